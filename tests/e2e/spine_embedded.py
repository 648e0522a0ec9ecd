# SPDX-License-Identifier: Apache-2.0
# Copyright The Pintle Authors
"""The spine against the embedded API endpoint, and what only standalone mode has."""
import base64
import json
import os
import re
import signal
import ssl
import subprocess
import sys
import threading
import unittest
import urllib.request

import results
from harness import *  # noqa: F403
from spine import SLEEP, SpineCases

OPTIONS = None


class EmbeddedApi(SpineCases, unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        try:
            cls.node = Node(OPTIONS.build, real_api=False, keep=OPTIONS.keep, runtime=OPTIONS.runtime)
        except NotHere as missing:
            raise unittest.SkipTest(str(missing))

    @classmethod
    def tearDownClass(cls):
        cls.node.close()

    def test_a_manifest_in_the_folder_runs_and_a_bad_one_stops_nobody(self):
        good = busybox_pod("static", SLEEP)
        del good["spec"]["nodeName"]
        (self.node.manifests / "good.json").write_text(json.dumps(good))
        (self.node.manifests / "bad.yaml").write_text("apiVersion: v1\nkind: Pod\nmetadata:\n  name: bad\nspec:\n  containers:\n  - name: c\n    imag: x\n")
        name = f"static-{NODE}"
        wait_until(lambda: f'"{name}"' in self.node.ctl("get", "pods", "-o", "json"), 20, "static pod known")
        wait_until(lambda: "Running" in self.node.ctl("get", "pods", name, check=False).stdout, 30, "static pod Running")
        told = self.node.ctl("status", check=False)
        status = told.stdout + told.stderr
        self.assertIn("bad.yaml:8", status)
        self.assertIn("image", status)
        (self.node.manifests / "good.json").rename(self.node.manifests / "renamed.json")
        (self.node.manifests / "bad.yaml").unlink()
        (self.node.manifests / "renamed.json").unlink()
        wait_until(lambda: f'"{name}"' not in self.node.ctl("get", "pods", "-o", "json"), 30, "static pod gone")
        wait_until(lambda: "bad.yaml" not in self.node.ctl("status", check=False).stderr, 10, "problem cleared")

    def test_run_follows_a_pod_and_its_exit_code_says_how_it_went(self):
        done = self.node.ctl("run", "-f", str(ROOT / "deploy/examples/web.yaml"), "--timeout", "60s", check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("Running", done.stdout + done.stderr)
        traffic = lambda: self.node.ebpf("web")["pods"][0]["counters"]
        wait_until(lambda: int(traffic()["rxBytes"]) > 0 and int(traffic()["connects"]) > 0, 20, "counted traffic")
        self.assertIn("web", self.node.ctl("get", "pods", "-o", "wide"))
        refused = self.node.ctl("run", "-f", "-", stdin="kind: Pod\n", check=False)
        self.assertNotEqual(refused.returncode, 0)
        self.assertIn("apiVersion", refused.stderr + refused.stdout)

    def test_what_a_pod_does_is_in_metrics_event_log_and_commands(self):
        self.node.apply(busybox_pod("shown", "while true; do wget -q -O /dev/null http://127.0.0.1:9/; sleep 1; done"))
        self.node.wait_ready("shown")
        connect = lambda line: (event := json.loads(line))["name"] == "shown" and event["type"] == "connect" and event
        logged = lambda: next(filter(None, map(connect, (self.node.dir / "events.json").read_text().splitlines())), None)
        self.assertEqual(wait_until(logged, 20, "connect in the event log")["destination"], "127.0.0.1:9/tcp")
        page = lambda: urllib.request.urlopen(f"http://{METRICS}/metrics", timeout=10).read().decode()
        shown = r'pintle_pod_socket_calls_total\{namespace="default",pod="shown",call="connect"\} [1-9]'
        wait_until(lambda: re.search(shown, page()), 20, "connects in the metrics")
        self.assertIn('pintle_pod_hook_effective{namespace="default",pod="shown",hook="egress"} 1\n', page())
        self.assertIn('pintle_component_up{component="metrics"} 1\n', page())
        self.assertIn("egress: in force", self.node.ctl("ebpf", "explain", "shown", "egress"))
        self.assertIn("default/shown", self.node.ctl("ebpf", "top", "--once", "-n", "1"))
        traced = self.node.ctl("ebpf", "trace", "connect", "--pod", "shown", "--for", "3s", "-o", "json").splitlines()
        self.assertTrue(traced and all(json.loads(line)["name"] == "shown" for line in traced), traced)

    def test_what_was_read_and_how_full_maps_are_is_told_and_an_ended_pod_has_no_links(self):
        self.node.apply(busybox_pod("calls", "while true; do wget -q -O /dev/null http://127.0.0.1:9/; sleep 0.2; done"),
                        busybox_pod("ended", "true", restart="Never"))
        self.node.wait_ready("calls")
        self.node.wait_phase("ended", "Succeeded")
        ring = lambda: next(one for one in json.loads(self.node.ctl("ebpf", "cost", "-o", "json"))["rings"] if one["name"] == "bulk_events")
        wait_until(lambda: int(ring()["received"]) > 3, 20, "events counted as read")
        read = lambda: {hook["hook"]: hook for hook in self.node.ebpf("calls")["pods"][0]["hooks"]}
        hooks = wait_until(lambda: int((hooks := read())["connect4"]["hits"]) > 3 and hooks, 20, "calls counted")
        self.assertTrue(hooks["connect4"]["countedTogether"])
        page = urllib.request.urlopen(f"http://{METRICS}/metrics", timeout=10).read().decode()
        figures = {name: dict(re.findall(name + r'\{map="(\w+)"\} (\d+)', page)) for name in ("pintle_ebpf_map_entries", "pintle_ebpf_map_max_entries")}
        entries, most = figures.values()
        self.assertIn("pod_slots", most)
        self.assertEqual([name for name in most if int(entries[name]) > 0.9 * int(most[name])], [], "what the alert PintleMapNearlyFull asks")
        wait_until(lambda: json.loads(self.node.ctl("ebpf", "status", "ended", "-o", "json"))["pods"][0]["hooks"] == [], 20, "no hooks told")
        self.assertRegex(self.node.ctl("ebpf", "status", "default/ended"), r"default/ended\s+-\s+Ended")
        # A look at all pods, which finds a link that somebody detached, finds nothing amiss with a pod that has ended.
        link = hooks["connect6"]["linkId"]
        subprocess.run(["bpftool", "link", "detach", "id", str(link)], check=True, capture_output=True)
        now = lambda: next(hook for hook in self.node.ebpf_now("calls")["pods"][0]["hooks"] if hook["hook"] == "connect6")
        wait_until(lambda: now()["effective"] and now()["linkId"] != link, 20, "attached again by the audit")
        wait_until(lambda: "ProgramsDied" in self._event_reasons("calls"), 10, "told of the pod that it happened to")
        self.assertNotIn("ProgramsDied", self._event_reasons("ended"))

    def test_a_reader_that_goes_away_ends_a_command_and_a_full_disk_is_an_error(self):
        words = [str(self.node.build / "pintlectl"), "--socket", str(self.node.socket)]
        for command in (["ebpf", "trace", "oom"], ["ebpf", "status", "-w"], ["ebpf", "top", "-n", "100"]):
            with self.subTest(command):
                reading, writing = os.pipe()
                process = subprocess.Popen([*words, *command], stdout=writing, stderr=subprocess.PIPE, text=True)
                os.close(writing)
                os.close(reading)  # nothing happens that would be written
                self.assertEqual((process.wait(timeout=20), process.stderr.read()), (0, ""))
                process.stderr.close()
        with open("/dev/full", "w") as full:
            done = subprocess.run([*words, "ebpf", "status", "-o", "json"], stdout=full, stderr=subprocess.PIPE, text=True, timeout=20)
        self.assertEqual(done.returncode, 5)
        self.assertIn("standard output can't be written to", done.stderr)

    def test_a_program_set_may_be_configured(self):
        self.node.apply(busybox_pod("configured", SLEEP))
        self.node.wait_ready("configured")
        path = self.node.dir / "pintled.yaml"

        def restart_with(name):
            config = json.loads(path.read_text())
            config["pintle"]["ebpf"]["programSet"] = name
            path.write_text(json.dumps(config))
            self.node.kill_daemon(signal.SIGTERM)
            self.node.start_daemon()

        self.addCleanup(restart_with, "builtin")
        _, _, links = self._set_status("configured")
        restart_with("next")
        told = wait_until(lambda: (told := self._set_status("configured"))[1] == {"next"} and told, 30, "set 'next' in force")
        self.assertEqual(told[2], links)
        page = urllib.request.urlopen(f"http://{METRICS}/metrics", timeout=10).read().decode()
        self.assertIn('pintle_ebpf_program_set_info{set="next",state="in force"} 1\n', page)
        restart_with("absent")
        told = wait_until(lambda: (told := self._set_status("configured"))[0]["state"] == "refused" and told, 30, "set 'absent' refused")
        self.assertEqual((told[0]["name"], told[0]["wanted"], told[1], told[2]), ("next", "absent", {"next"}, links))
        self.assertIn("No such file", told[0]["error"])
        self.assertIn("'next'", told[0]["error"])

    def test_logs_by_kubectl_and_by_our_own_command(self):
        self.node.apply(busybox_pod("talks", "echo hello from $HOSTNAME; " + SLEEP))
        self.node.wait_ready("talks")
        wait_until(lambda: "hello from talks" in self.node.kubectl("logs", "talks"), 10, "log line")
        self.assertIn("hello from talks", self.node.ctl("logs", "talks"))

    def test_a_required_program_that_is_refused_holds_the_pod_and_says_why(self):
        parent = f"/sys/fs/cgroup/unified{self.node.cgroup_root}/kubepods"
        if not os.path.isdir(parent):
            parent = f"/sys/fs/cgroup{self.node.cgroup_root}/kubepods"
        shown = json.loads(subprocess.run(["bpftool", "-j", "prog", "show"], capture_output=True, text=True, check=True).stdout)
        ours = next(prog["id"] for prog in shown if prog["type"] == "cgroup_skb")
        # Without "multi" the program is exclusive: nothing may be attached below it.
        subprocess.run(["bpftool", "cgroup", "attach", parent, "ingress", "id", str(ours)], check=True)
        try:
            self.node.apply(busybox_pod("strict", SLEEP, annotations={"pintle.dev/ebpf": "required"}),
                            busybox_pod("lenient", SLEEP, annotations={"pintle.dev/ebpf": "best-effort"}))
            self.node.wait_ready("lenient")
            held = self.node.wait_pod("strict", lambda p: condition(p, "pintle.dev/ProgramsAttached") == "False", 20, "held")
            self.assertEqual(held["status"]["phase"], "Pending")
            message = next(c["message"] for c in held["status"]["conditions"] if c["type"] == "pintle.dev/ProgramsAttached")
            self.assertIn("ingress", message)
            self.assertIn("the only one allowed", message)
        finally:
            subprocess.run(["bpftool", "cgroup", "detach", parent, "ingress", "id", str(ours)], check=True)
        self.node.wait_ready("strict")

    def test_a_manifest_may_bring_its_network_policy_and_a_bad_annotation_holds_the_pod(self):
        self.addCleanup(self.node.kubectl, "delete", "networkpolicies", "--all")
        policy = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "quiet", "namespace": "default"},
                  "spec": {"podSelector": {"matchLabels": {"app": "guarded"}}}}
        manifest = {"apiVersion": "v1", "kind": "List", "items": [busybox_pod("guarded", SLEEP), policy]}
        done = self.node.ctl("run", "-f", "-", "--timeout", "60s", stdin=json.dumps(manifest), check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("NetworkPolicy/quiet created", done.stdout)
        self.assertRegex(self.node.kubectl("get", "netpol"), r"quiet\s+app=guarded")
        self.node.apply(busybox_pod("typo", SLEEP, annotations={"pintle.dev/ebpf-trace": "everything"}))
        told = lambda pod: next((c for c in pod["status"].get("conditions", []) if c["type"] == "pintle.dev/ProgramsAttached"), {})
        held = self.node.wait_pod("typo", lambda pod: told(pod).get("reason") == "PlanRefused", 20, "held")
        self.assertEqual(held["status"]["phase"], "Pending")
        self.assertIn("pintle.dev/ebpf-trace", told(held)["message"])
        self.assertIn("everything", told(held)["message"])
        self.node.kubectl("annotate", "pod", "typo", "--overwrite", "pintle.dev/ebpf-trace=connect")
        self.node.wait_ready("typo")
        self.node.kubectl("annotate", "pod", "typo", "--overwrite", "pintle.dev/sysctl-writes=perhaps")
        kept = self.node.wait_pod("typo", lambda pod: "perhaps" in told(pod).get("message", ""), 20, "told of the bad annotation")
        self.assertEqual((told(kept)["status"], condition(kept, "Ready")), ("True", "True"))

    def test_a_network_policy_refuses_and_then_lets_through(self):
        policy = lambda name, **spec: {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": name, "namespace": "default"},
                                       "spec": {"podSelector": {"matchLabels": {"app": "server"}}, "policyTypes": ["Ingress"], **spec}}
        self.addCleanup(self.node.kubectl, "delete", "networkpolicies", "--all")
        self.node.apply(busybox_pod("server", "mkdir /www; echo served > /www/index.html; exec httpd -f -p 8080 -h /www"))
        address = self.node.wait_ready("server")["status"]["podIP"]
        ask = f"n=0; while true; do n=$((n+1)); echo $n $(timeout 1 wget -q -O - http://{address}:8080/ || echo refused); sleep 0.2; done"
        self.node.apply(busybox_pod("client", ask))
        self.node.wait_ready("client")

        def answers():
            return [line.split(" ", 1) for line in self.node.kubectl("logs", "client").splitlines() if " " in line]

        def settles(on):
            """The newest three answers are all `on`, and were given after this call."""
            since = int(answers()[-1][0]) if answers() else 0
            fresh = lambda: [answer for number, answer in answers() if int(number) > since + 1][-3:]
            wait_until(lambda: fresh() == [on] * 3, 30, f"three answers '{on}'")

        settles("served")
        self.node.apply(policy("deny"))
        settles("refused")
        self.assertEqual(condition(self.node.pod("server"), "Ready"), "True")
        self.node.apply(policy("allow", ingress=[{"from": [{"podSelector": {"matchLabels": {"app": "client"}}}], "ports": [{"port": 8080}]}]))
        settles("served")
        self.node.kubectl("delete", "networkpolicy", "allow")
        settles("refused")
        self.node.kubectl("delete", "networkpolicy", "deny")
        settles("served")
        drops = sum(int(hook.get("drops", 0)) for hook in self.node.ebpf("server")["pods"][0]["hooks"])
        self.assertGreater(drops, 0)


class Collector:
    """pintle_collector: what it received, as it prints it."""

    def __init__(self, build):
        self.process = subprocess.Popen([str(build / "pintle_collector")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.ports = json.loads(self.process.stdout.readline())
        self.items = []
        self.reader = threading.Thread(target=lambda: self.items.extend(json.loads(line) for line in self.process.stdout), daemon=True)
        self.reader.start()

    def spans(self, pod, name):
        return [item for item in list(self.items) if item["signal"] == "traces" and item["name"] == name and item["attributes"]["k8s.pod.name"] == pod]

    def close(self):
        if self.process.stdin.closed:
            return
        self.process.stdin.write("end\n")  # the node's guard keeps the other end of the pipe open too
        self.process.stdin.close()
        self.process.wait(timeout=20)
        self.reader.join()
        self.process.stdout.close()


class EmbeddedTelemetry(unittest.TestCase):
    """OTLP from a running node to a collector, over HTTP in protobuf and in JSON, and over gRPC."""

    PROTOCOLS = ("http/protobuf", "grpc", "http/json")

    @classmethod
    def setUpClass(cls):
        if os.geteuid() != 0:
            raise unittest.SkipTest("needs root")
        cls.addClassCleanup(lambda: [collector.close() for collector in cls.collectors.values()])
        cls.collectors = {protocol: Collector(OPTIONS.build) for protocol in cls.PROTOCOLS}
        try:
            cls.node = Node(OPTIONS.build, keep=OPTIONS.keep, runtime=OPTIONS.runtime, pintle={"otlp": cls.section("http/protobuf")})
        except NotHere as missing:
            raise unittest.SkipTest(str(missing))
        cls.addClassCleanup(cls.node.close)

    @classmethod
    def section(cls, protocol):
        port = cls.collectors[protocol].ports["grpc" if protocol == "grpc" else "http"]
        return {"endpoint": f"http://127.0.0.1:{port}", "protocol": protocol, "interval": "1s", "timeout": "5s",
                "compression": "none" if protocol == "http/protobuf" else "gzip",
                "resourceAttributes": {"deployment.environment.name": "e2e"}}

    def speak(self, protocol):
        """Restarts the daemon with another protocol."""
        path = self.node.dir / "pintled.yaml"
        config = json.loads(path.read_text())
        if config["pintle"]["otlp"]["protocol"] != protocol:
            config["pintle"]["otlp"] = self.section(protocol)
            path.write_text(json.dumps(config))
            self.node.kill_daemon(signal.SIGTERM)
            self.node.start_daemon()
        return self.collectors[protocol]

    def request(self, method, name, traceparent, body=None):
        """As an API client with a trace of its own does it."""
        view = json.loads(self.node.kubectl("config", "view", "--raw", "-o", "json"))
        cluster, user = view["clusters"][0]["cluster"], view["users"][0]["user"]
        trust = ssl.create_default_context(cadata=base64.b64decode(cluster["certificate-authority-data"]).decode())
        request = urllib.request.Request(cluster["server"] + "/api/v1/namespaces/default/pods" + name, body and json.dumps(body).encode(), method=method,
            headers={"Content-Type": "application/json", "Authorization": f"Bearer {user['token']}", "traceparent": traceparent})
        with urllib.request.urlopen(request, context=trust, timeout=20) as answer:
            return json.loads(answer.read())

    def check_start(self, collector, pod, trace, parent):
        root = wait_until(lambda: collector.spans(pod, "pod.start"), 20, f"pod.start of {pod}")[0]
        self.assertEqual((root["traceId"], root["parentSpanId"], root["status"]), (trace, parent, 0))
        for name in ("pod.admit", "cgroup.ensure", "ebpf.attach", "volumes.mount", "image.pull", "sandbox.run", "container", "pod.ready"):
            span = wait_until(lambda: collector.spans(pod, name), 10, f"{name} of {pod}")[0]
            self.assertEqual((span["traceId"], span["parentSpanId"]), (trace, root["spanId"]), name)
            self.assertLessEqual(span["start"], span["end"])
        attach = collector.spans(pod, "ebpf.attach")[0]
        self.assertEqual(attach["attributes"]["pintle.ebpf.hooks"], ["ingress", "egress", "connect4", "connect6"])
        self.assertEqual(attach["attributes"]["pintle.ebpf.links"], 4)
        hooks = self.node.ebpf(pod)["pods"][0]
        self.assertEqual(attach["attributes"]["pintle.cgroup.id"], int(hooks["cgroupId"]))
        self.assertLessEqual(attach["end"], collector.spans(pod, "sandbox.run")[0]["start"])
        resource = attach["resource"]
        self.assertEqual((resource["service.name"], resource["k8s.node.name"], resource["deployment.environment.name"]), ("pintled", NODE, "e2e"))
        container = collector.spans(pod, "container")[0]["attributes"]
        self.assertEqual(container["k8s.container.name"], "c0")
        self.assertIn(container["container.id"], self.node.containers())

    def test_a_request_s_trace_goes_on_to_the_attach(self):
        for number, protocol in enumerate(self.PROTOCOLS):
            with self.subTest(protocol):
                collector = self.speak(protocol)
                trace, parent = f"4bf92f3577b34da6a3ce929d0e0e473{number}", "00f067aa0ba902b7"
                name = f"traced{number}"
                made = self.request("POST", "", f"00-{trace}-{parent}-01", busybox_pod(name, SLEEP))
                self.assertEqual(made["metadata"]["annotations"]["pintle.dev/traceparent"], f"00-{trace}-{parent}-01")
                self.node.wait_ready(name)
                self.check_start(collector, name, trace, parent)
                ending, deleter = f"0af7651916cd43dd8448eb211c80319{number}", "b7ad6b7169203331"
                self.request("DELETE", f"/{name}", f"00-{ending}-{deleter}-01")
                self.node.wait_gone(name)
                stop = wait_until(lambda: collector.spans(name, "pod.stop"), 20, "pod.stop")[0]
                self.assertEqual((stop["traceId"], stop["parentSpanId"]), (ending, deleter))
                self.assertEqual([link["traceId"] for link in stop["links"]], [trace])
                for step in ("container.stop", "sandbox.stop", "ebpf.detach", "cgroup.remove"):
                    span = wait_until(lambda: collector.spans(name, step), 10, f"{step} of {name}")[0]
                    self.assertEqual((span["traceId"], span["parentSpanId"]), (ending, stop["spanId"]), step)
        made = self.request("POST", "", "", busybox_pod("forced", SLEEP))
        self.assertNotIn("pintle.dev/traceparent", made["metadata"].get("annotations", {}))
        self.node.wait_ready("forced")
        self.request("DELETE", "/forced?gracePeriodSeconds=0", f"00-{'a' * 32}-{'b' * 16}-01")
        stop = wait_until(lambda: collector.spans("forced", "pod.stop"), 20, "pod.stop")[0]
        self.assertEqual((stop["traceId"], stop["parentSpanId"]), ("a" * 32, "b" * 16))
        detach = wait_until(lambda: collector.spans("forced", "ebpf.detach"), 10, "ebpf.detach")[0]
        self.assertEqual((detach["traceId"], detach["parentSpanId"]), ("a" * 32, stop["spanId"]))
        self.node.apply(busybox_pod("untraced", SLEEP))
        self.node.wait_ready("untraced")
        self.node.delete("untraced")
        stop = wait_until(lambda: collector.spans("untraced", "pod.stop"), 20, "pod.stop")[0]
        self.assertEqual(stop["parentSpanId"], "")  # kubectl has no trace

    def test_run_s_trace_goes_from_the_command_line_to_the_attach(self):
        collector = self.speak("http/protobuf")
        done = self.node.ctl("run", "-v", "-f", "-", stdin=json.dumps(busybox_pod("ran", SLEEP)), check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        trace = re.search(r"trace ([0-9a-f]{32})", done.stderr).group(1)
        attach = wait_until(lambda: collector.spans("ran", "ebpf.attach"), 20, "ebpf.attach")[0]
        self.assertEqual(attach["traceId"], trace)
        again = self.node.ctl("run", "-f", "-", "--no-wait", stdin=json.dumps(busybox_pod("ran", SLEEP)))
        self.assertIn("Pod/ran unchanged", again)
        other = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
        self.node.ctl("run", "-f", "-", stdin=json.dumps(busybox_pod("ran2", SLEEP)), env={"TRACEPARENT": other})
        root = wait_until(lambda: collector.spans("ran2", "pod.start"), 20, "pod.start")[0]
        self.assertEqual((root["traceId"], root["parentSpanId"]), (other[3:35], other[36:52]))

    def test_figures_lines_and_events_are_exported(self):
        for number, protocol in enumerate(self.PROTOCOLS):
            with self.subTest(protocol):
                collector = self.speak(protocol)
                name = f"busy{number}"
                self.node.apply(busybox_pod(name, "httpd -p 8080 -h /bin; while true; do nc 127.0.0.1 8080 </dev/null; sleep 0.2; done"))
                self.node.wait_ready(name)
                of_pod = lambda item: item["attributes"].get("k8s.pod.name") == name
                points = lambda metric: [p for p in list(collector.items) if p["signal"] == "metrics" and p["name"] == metric and of_pod(p)]
                calls = lambda: [p for p in points("pintle.pod.socket.calls") if p["attributes"]["call"] == "connect" and p["value"] > 0]
                point = wait_until(calls, 20, "connects as a metric")[-1]
                self.assertEqual((point["type"], point["temporality"], point["monotonic"], point["unit"]), ("sum", 2, True, "{call}"))
                self.assertLess(point["start"], point["time"])
                page = urllib.request.urlopen("http://127.0.0.1:9810/metrics", timeout=10).read().decode()
                on_page = {line.split("{")[0].split(" ")[0].removesuffix("_total") for line in page.splitlines() if line and line[0] != "#"}
                exported = lambda: {p["name"] for p in list(collector.items) if p["signal"] == "metrics"}
                self.assertGreater(len(exported()), 40)
                for metric in exported():  # nothing is told that the page does not have
                    self.assertTrue(any(known.startswith(metric.replace(".", "_")) for known in on_page), metric)
                records = lambda kind: [r for r in list(collector.items) if r["signal"] == "logs" and r["eventName"] == kind and of_pod(r)]
                event = wait_until(lambda: records("pintle.ebpf.connect"), 20, "events as log records")[0]
                self.assertEqual((event["attributes"]["network.peer.address"], event["attributes"]["network.peer.port"]), ("127.0.0.1", 8080))
                self.assertTrue(any(r["signal"] == "logs" and r["attributes"].get("pintle.component") == "main" for r in list(collector.items)))
                times = [r["time"] for r in records("pintle.ebpf.connect") if "pintle.event.late" not in r["attributes"]]
                self.assertEqual(times, sorted(times))

    def test_z_a_dead_collector_delays_no_pod_and_is_counted(self):
        """Last: it ends one collector."""
        self.speak("http/protobuf")
        self.collectors["http/protobuf"].close()
        self.node.apply(busybox_pod("undisturbed", SLEEP))
        self.node.wait_ready("undisturbed")

        def failures():
            page = urllib.request.urlopen("http://127.0.0.1:9810/metrics", timeout=10).read().decode()
            return float(re.search(r'pintle_otlp_failures_total\{signal="traces"\} (\S+)', page).group(1))
        wait_until(lambda: failures() > 0, 20, "failed exports counted")
        told = self.node.ctl("status", "-o", "json", check=False).stdout
        self.assertIn("can't be exported", told)
        self.node.kill_daemon(signal.SIGTERM)  # within 20 s: the last flush is bounded


if __name__ == "__main__":
    enter_namespaces()
    OPTIONS = arguments()
    sys.exit(results.run(sys.modules["__main__"], OPTIONS))
