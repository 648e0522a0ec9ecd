# SPDX-License-Identifier: Apache-2.0
# Copyright The Pintle Authors
"""docs/companion.md as it is written, on a cluster that `kind create cluster` makes with no configuration of its own: installed, in force on
every pod, counting and refusing, kept over a killed agent and a restarted node, taken off.

PINTLE_KIND names the kind program; docker is on the path (podman, if KIND_EXPERIMENTAL_PROVIDER says so), and the node image there or to be had
(PINTLE_KIND_IMAGE: another than kind's own).
The cluster is called pintle-e2e, and deleted at the end."""
import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

import results
from harness import BUSYBOX, ROOT, arguments, wait_until

OPTIONS = None
CLUSTER = "pintle-e2e"
CONTROL_PLANE = f"{CLUSTER}-control-plane"
IMAGE = "docker.io/library/pintle:dev"  # podman would call pintle:dev localhost/pintle:dev
OVERLAYS = ROOT / "deploy" / "kustomize" / "overlays"
SERVE = "mkdir -p /tmp/www; head -c 100000 /dev/zero > /tmp/www/big; exec httpd -f -p 8080 -h /tmp/www"
SLEEP = "trap 'exit 0' TERM; while true; do sleep 1 & wait $!; done"


def run(*words, check=True, stdin=None, seconds=600):
    done = subprocess.run([str(word) for word in words], capture_output=True, input=stdin, timeout=seconds, text=not isinstance(stdin, bytes))
    if check and done.returncode != 0:
        raise AssertionError(f"{' '.join(map(str, words))} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done


def pod(name, command, labels=None, annotations=None, **spec):
    container = {"name": "c", "image": BUSYBOX, "imagePullPolicy": "Never", "command": ["sh", "-c", command]}
    container |= spec.pop("container", {})
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": labels or {}, "annotations": annotations or {}},
            "spec": {"terminationGracePeriodSeconds": 1, "containers": [container], **spec}}


class OnKind(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.kind = os.environ.get("PINTLE_KIND")
        if not cls.kind:
            raise unittest.SkipTest("PINTLE_KIND is not set")
        cls.engine = os.environ.get("KIND_EXPERIMENTAL_PROVIDER", "docker")
        for tool in (cls.engine, "kubectl"):
            if shutil.which(tool) is None:
                raise unittest.SkipTest(f"{tool} is not on the path")
        folder = tempfile.mkdtemp(prefix="pintle-kind-")
        cls.addClassCleanup(shutil.rmtree, folder, ignore_errors=True)
        cls.kubeconfig = f"{folder}/kubeconfig"
        cls.make_images(folder)
        image = os.environ.get("PINTLE_KIND_IMAGE")
        if not OPTIONS.keep:
            cls.addClassCleanup(run, cls.kind, "delete", "cluster", "--name", CLUSTER, "--kubeconfig", cls.kubeconfig)
        run(cls.kind, "create", "cluster", "--name", CLUSTER, "--kubeconfig", cls.kubeconfig, *(["--image", image] if image else []))
        cls.load_image(folder)
        run(cls.kind, "load", "image-archive", f"{folder}/busybox.tar", "--name", CLUSTER)
        cls.kubectl("apply", "-k", OVERLAYS / "kind")
        cls.wait_for_agent()

    @classmethod
    def make_images(cls, folder):
        """pintle:dev as the Dockerfile's second stage has it, of the binaries that were built here."""
        run(ROOT / "scripts" / "image-root", OPTIONS.build, f"{folder}/image")
        tree = subprocess.run(["tar", "-C", f"{folder}/image", "-c", "."], capture_output=True, check=True).stdout
        run(cls.engine, "import", "-c", 'ENTRYPOINT ["/usr/local/bin/pintled"]', "-c", 'CMD ["--config", "/etc/pintle/pintled.yaml"]',
            "-", IMAGE, stdin=tree)
        run(ROOT / "scripts" / "dev-image", "build", f"{folder}/busybox.tar")

    @classmethod
    def load_image(cls, folder):
        if cls.engine == "docker":
            return run(cls.kind, "load", "docker-image", "pintle:dev", "--name", CLUSTER)
        run(cls.engine, "save", "-o", f"{folder}/pintle.tar", IMAGE)
        return run(cls.kind, "load", "image-archive", f"{folder}/pintle.tar", "--name", CLUSTER)

    @classmethod
    def kubectl(cls, *words, check=True, stdin=None):
        return run("kubectl", "--kubeconfig", cls.kubeconfig, *words, check=check, stdin=stdin)

    @classmethod
    def wait_for_agent(cls):
        cls.kubectl("rollout", "status", "-n", "pintle-system", "daemonset/pintle", "--timeout=180s")

    @classmethod
    def ctl(cls, *words, check=True):
        return cls.kubectl("exec", "-n", "pintle-system", "daemonset/pintle", "--", "/usr/local/bin/pintlectl", *words, check=check)

    def apply(self, *objects):
        self.kubectl("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)}))
        names = [f"pod/{item['metadata']['name']}" for item in objects if item["kind"] == "Pod"]
        if names:
            self.addCleanup(self.kubectl, "delete", "--ignore-not-found", *names)
            self.kubectl("wait", "--for=condition=Ready", "--timeout=120s", *names)

    def policy(self, name, **spec):
        self.apply({"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": name}, "spec": spec})
        self.addCleanup(self.kubectl, "delete", "--ignore-not-found", "networkpolicy", name)

    def sh(self, name, command):
        return self.kubectl("exec", name, "--", "sh", "-c", command, check=False)

    def address(self, name):
        return self.kubectl("get", "pod", name, "-o", "jsonpath={.status.podIP}").stdout

    def status(self, name=None):
        pods = json.loads(self.ctl("ebpf", "status", *([name] if name else []), "-o", "json").stdout)["pods"]
        return pods[0] if name else pods

    def links(self, *names):
        return {(name, hook["hook"]): hook["linkId"] for name in names for hook in self.status(name)["hooks"]}

    def pins(self):
        found = run(self.engine, "exec", CONTROL_PLANE, "find", "/sys/fs/bpf", "-mindepth", "1").stdout.split()
        return [path for path in found if not path.endswith(".debug")]  # the kernel's own two

    def test_every_pod_has_its_programs_and_every_check_is_well(self):
        self.apply(pod("best", SLEEP), pod("host", SLEEP, hostNetwork=True), pod("off", SLEEP, annotations={"pintle.dev/ebpf": "off"}),
                   pod("sure", SLEEP, annotations={"pintle.dev/ebpf": "required"},
                       container={"resources": {"limits": {"cpu": "100m", "memory": "64Mi"}}}))
        rows = {row["name"]: row for row in self.status()}  # exit code 0: all of them in force
        self.assertIn(f"kube-apiserver-{CONTROL_PLANE}", rows)
        for name in ("best", "host", "sure"):
            self.assertEqual({hook["state"] for hook in rows[name]["hooks"]}, {"Attached"}, name)
        self.ctl("status")
        checks = {check["check"]: check for check in json.loads(self.ctl("doctor", "-o", "json").stdout)["checks"]}
        self.assertEqual(checks["NRI"]["state"], "ok", checks["NRI"])
        self.assertEqual(checks["capabilities"]["detail"], "effective: CAP_BPF CAP_PERFMON CAP_NET_ADMIN")

    def test_bytes_are_those_of_the_pods_interface(self):
        self.apply(pod("server", SERVE), pod("client", SLEEP))
        device = "cat /sys/class/net/eth0/statistics/rx_bytes /sys/class/net/eth0/statistics/rx_packets"
        seen = lambda: [int(number) for number in self.sh("client", device).stdout.split()]
        before, counted = seen(), self.status("client")["counters"]
        self.assertEqual(self.sh("client", f"wget -q -O - http://{self.address('server')}:8080/big | wc -c").stdout.strip(), "100000")
        after, counters = seen(), self.status("client")["counters"]
        packets = int(counters["rxPackets"]) - int(counted["rxPackets"])
        self.assertGreater(packets, 5)
        # What the interface has more: ARP and neighbour discovery, which are not the pod's sockets', and 14 bytes of each frame.
        others = after[1] - before[1] - packets
        self.assertIn(others, range(8))
        rest = after[0] - before[0] - 14 * (after[1] - before[1]) - (int(counters["rxBytes"]) - int(counted["rxBytes"]))
        self.assertIn(rest, range(28 * others, 100 * others + 1))

    def test_policies_refuse_and_survive_the_agent(self):
        self.apply(pod("server", SERVE, labels={"app": "server"}), pod("client", SLEEP, labels={"app": "client"}),
                   pod("host", SLEEP, hostNetwork=True))
        url = f"http://{self.address('server')}:8080/big"
        ask = f"timeout 4 wget -q -O /dev/null {url}"
        self.assertEqual(self.sh("client", ask).returncode, 0)
        self.policy("in", podSelector={"matchLabels": {"app": "server"}}, policyTypes=["Ingress"])
        wait_until(lambda: self.sh("client", ask).returncode != 0, 30, "the ingress refused")
        self.assertEqual(self.sh("host", ask).returncode, 0, "the node's own address, as a probe's")
        self.assertEqual(self.ctl("ebpf", "policy", "test", "client", "server", "8080", check=False).returncode, 1)
        self.assertEqual(self.ctl("ebpf", "policy", "test", "host", "server", "8080").returncode, 0)
        self.kubectl("delete", "networkpolicy", "in")
        self.policy("out", podSelector={"matchLabels": {"app": "client"}}, policyTypes=["Egress"])
        refused = lambda: "not permitted" in self.sh("client", ask).stderr
        wait_until(refused, 30, "the egress refused")
        links = self.links("server", "client")
        run(self.engine, "exec", CONTROL_PLANE, "sh", "-c", "kill -9 $(pidof pintled)")
        self.assertTrue(refused(), "while no agent runs")
        wait_until(lambda: self.ctl("status", check=False).returncode == 0, 90, "the agent back")
        self.kubectl("rollout", "restart", "-n", "pintle-system", "daemonset/pintle")
        self.wait_for_agent()
        self.assertTrue(refused())
        self.assertEqual(self.links("server", "client"), links)
        self.assertEqual({hook["state"] for hook in self.status("client")["hooks"]}, {"Adopted"})

    def test_a_container_that_may_not_start_without_its_programs_does_not(self):
        manifest = pod("strict", SLEEP, annotations={"pintle.dev/ebpf": "required", "pintle.dev/network-policy": "strictly"})
        self.addCleanup(self.kubectl, "delete", "--ignore-not-found", "pod", "strict")
        self.kubectl("apply", "-f", "-", stdin=json.dumps(manifest))
        why = "jsonpath={.status.containerStatuses[0].state.waiting.message}"
        wait_until(lambda: "are required and not in force" in self.kubectl("get", "pod", "strict", "-o", why).stdout, 60, "the container refused")
        sources = self.kubectl("get", "events", "--field-selector", "reason=ProgramPlanRefused", "-o", "jsonpath={.items[*].source.component}").stdout
        self.assertEqual(set(sources.split()), {"pintle"})
        self.kubectl("annotate", "pod", "strict", "pintle.dev/network-policy-")
        self.kubectl("wait", "--for=condition=Ready", "--timeout=120s", "pod/strict")

    def test_the_node_starts_anew(self):
        self.apply(pod("stays", SLEEP))
        run(self.engine, "restart", CONTROL_PLANE)  # its bpffs is gone with it
        wait_until(lambda: self.kubectl("get", "--raw", "/readyz", check=False).returncode == 0, 180, "the API back")
        def back():
            row = next((row for row in json.loads(self.ctl("ebpf", "status", "-o", "json", check=False).stdout or '{"pods": []}')["pods"]
                        if row["name"] == "stays"), None)
            return row and {hook["state"] for hook in row["hooks"]} == {"Attached"}
        wait_until(back, 180, "in force again")
        wait_until(lambda: self.ctl("ebpf", "status", check=False).returncode == 0, 60, "on every pod")

    def test_zz_taken_off_nothing_is_left(self):
        self.apply(pod("survivor", SLEEP))
        self.assertTrue(self.pins())
        self.kubectl("delete", "-n", "pintle-system", "daemonset/pintle")
        self.assertTrue(self.pins(), "left in force, on purpose")
        self.kubectl("apply", "-k", OVERLAYS / "kind-uninstall")
        self.kubectl("rollout", "status", "-n", "pintle-system", "daemonset/pintle-uninstall", "--timeout=120s")
        self.assertEqual(self.pins(), [])
        self.kubectl("delete", "namespace", "pintle-system")
        self.kubectl("delete", "clusterrole,clusterrolebinding", "pintle")
        self.assertEqual(self.sh("survivor", "echo alive").stdout, "alive\n")


if __name__ == "__main__":
    OPTIONS = arguments()
    sys.exit(results.run(sys.modules["__main__"], OPTIONS))
