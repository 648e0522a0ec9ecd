# SPDX-License-Identifier: Apache-2.0
# Copyright The Pintle Authors
"""The spine against the embedded API endpoint, and what only standalone mode has."""
import json
import os
import re
import subprocess
import sys
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
            cls.node = Node(OPTIONS.build, real_api=False, keep=OPTIONS.keep)
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


if __name__ == "__main__":
    enter_namespaces()
    OPTIONS = arguments()
    sys.exit(results.run(sys.modules["__main__"], OPTIONS.junit))
