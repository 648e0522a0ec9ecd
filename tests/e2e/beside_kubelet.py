# SPDX-License-Identifier: Apache-2.0
# Copyright The Pintle Authors
"""Mode companion beside a real kubelet, kube-apiserver and containerd: KUBEBUILDER_ASSETS names a folder that has a kubelet too.

The kubelet owns the pods; pintled finds their cgroups, attaches, counts, enforces and lets go again."""
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest

import results
from harness import (NODE, NotHere, ROOT, _end_daemon, _remove_cgroups, _run, arguments, busybox_pod, cgroups_of, enter_namespaces,
                     wait_until)

OPTIONS = None
SLEEP = "trap 'exit 0' TERM; while true; do sleep 1 & wait $!; done"
# Counts down from its first instruction: says what was reachable, and when.
SERVE = "mkdir -p /tmp/www; echo hello > /tmp/www/index.html; exec httpd -f -p 8080 -h /tmp/www"


def kubelet_program():
    return pathlib.Path(os.environ.get("KUBEBUILDER_ASSETS", "/nonexistent"), "kubelet")


class Site:
    """A kubelet's node with everything it needs, in one folder and one cgroup, removed by close()."""

    def __init__(self, build):
        if os.geteuid() != 0:
            raise NotHere("needs root")
        if not os.environ.get("KUBEBUILDER_ASSETS"):
            raise NotHere("KUBEBUILDER_ASSETS is not set")
        if not os.access(kubelet_program(), os.X_OK):
            raise NotHere("there is no kubelet in KUBEBUILDER_ASSETS")
        for tool in ("containerd", "ctr", "ip", "unshare", "bpftool"):
            if shutil.which(tool, path=os.environ["PATH"] + ":/usr/sbin:/sbin") is None:
                raise NotHere(f"{tool} is not installed")
        self.build = build
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="pintle-kubelet-", dir="/run"))
        self.cgroup_root = f"/{self.dir.name}"
        self.kubelet = self.daemon = None
        self.manifests = self.dir / "manifests"
        self.manifests.mkdir()
        self.log = self.dir / "pintled.log"
        self.kubectl_program = shutil.which("kubectl") or str(kubelet_program().with_name("kubectl"))
        try:
            self._start_parts()
        except BaseException:
            self.close()
            raise

    def _start_parts(self):
        _run(ROOT / "scripts" / "dev-containerd", "start", "--dir", self.dir / "containerd")
        _run(ROOT / "scripts" / "dev-apiserver", "start", "--dir", self.dir / "api")
        self.kubeconfig = self.dir / "api" / "kubeconfig"
        # An agent's bpffs that a node without one gets from the init container; here in the test's own mount namespace.
        self.bpffs = self.dir / "bpffs"
        self.bpffs.mkdir()
        _run("mount", "-t", "bpf", "bpf", self.bpffs)
        self._make_cgroups()
        self.start_kubelet()
        self._write_config()
        self.start_daemon()

    def _make_cgroups(self):
        for top in ("/sys/fs/cgroup", *map(str, pathlib.Path("/sys/fs/cgroup").iterdir())):
            if not os.path.exists(top + "/cgroup.procs") or os.path.islink(top):
                continue
            own = pathlib.Path(top, self.dir.name)
            own.mkdir(exist_ok=True)
            for name in ("cpuset.cpus", "cpuset.mems"):  # v1: a new cpuset is empty
                if (own / name).exists() and os.path.exists(f"{top}/cgroup.clone_children"):
                    (own / name).write_text(pathlib.Path(top, name).read_text())

    def start_kubelet(self):
        config = {
            "apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration", "failSwapOn": False, "failCgroupV1": False,
            "cgroupDriver": "cgroupfs", "cgroupRoot": self.cgroup_root, "enforceNodeAllocatable": [],
            "containerRuntimeEndpoint": f"unix://{self.dir}/containerd/containerd.sock", "staticPodPath": str(self.manifests),
            "authentication": {"anonymous": {"enabled": True}, "webhook": {"enabled": False}}, "authorization": {"mode": "AlwaysAllow"},
            "address": "127.0.0.1", "port": 21250, "healthzPort": 0, "readOnlyPort": 0, "podLogsDir": str(self.dir / "logs"),
            "evictionHard": {"memory.available": "1Mi", "nodefs.available": "0%", "imagefs.available": "0%", "nodefs.inodesFree": "0%"},
            "imageGCHighThresholdPercent": 100, "volumePluginDir": str(self.dir / "plugins"), "fileCheckFrequency": "1s",
        }
        (self.dir / "kubelet.json").write_text(json.dumps(config))
        with open(self.dir / "kubelet.log", "ab") as log:
            self.kubelet = subprocess.Popen(
                [str(kubelet_program()), "--config", str(self.dir / "kubelet.json"), "--kubeconfig", str(self.kubeconfig), "--root-dir",
                 str(self.dir / "kubelet"), "--cert-dir", str(self.dir / "kubelet-pki"), "--hostname-override", NODE, "--v=2"],
                stdout=log, stderr=log, start_new_session=True)
        ready = "jsonpath={.status.conditions[?(@.type=='Ready')].status}"
        wait_until(lambda: self.kubectl("get", "node", NODE, "-o", ready, check=False).stdout == "True", 90, "the kubelet's node Ready")

    def _write_config(self):
        config = {"apiVersion": "pintle.dev/v1", "kind": "PintleConfiguration", "cgroupRoot": self.cgroup_root,
                  "pintle": {"mode": "companion", "nodeName": NODE, "kubeconfig": str(self.kubeconfig), "rootDir": str(self.dir / "root"),
                             "runDir": str(self.dir / "run"), "ebpf": {"bpffs": str(self.bpffs)}, "metrics": {"listen": ""}}}
        (self.dir / "pintled.yaml").write_text(json.dumps(config))

    def start_daemon(self):
        with open(self.log, "ab") as log:
            self.daemon = subprocess.Popen([str(self.build / "pintled"), "--config", str(self.dir / "pintled.yaml")], stdout=log, stderr=log)
        self.ctl("status", "--wait", "--timeout", "30s")

    def kill_daemon(self, sig=signal.SIGKILL):
        self.daemon.send_signal(sig)
        self.daemon.wait(timeout=20)

    def ctl(self, *args, check=True):
        done = subprocess.run([str(self.build / "pintlectl"), *map(str, args)], capture_output=True, text=True, timeout=120,
                              env={**os.environ, "PINTLE_SOCKET": str(self.dir / "run" / "pintle.sock")})
        if check and done.returncode != 0:
            raise AssertionError(f"pintlectl {' '.join(map(str, args))} ended with {done.returncode}:\n{done.stdout}{done.stderr}\n{self.log_tail()}")
        return done.stdout if check else done

    def kubectl(self, *args, check=True, stdin=None):
        done = subprocess.run([self.kubectl_program, "--kubeconfig", str(self.kubeconfig), *map(str, args)], capture_output=True, text=True,
                              input=stdin, timeout=180)
        if check and done.returncode != 0:
            raise AssertionError(f"kubectl {' '.join(map(str, args))} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        return done.stdout if check else done

    def apply(self, *objects):
        return self.kubectl("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)}))

    def pod(self, name):
        done = self.kubectl("get", "pod", name, "-o", "json", check=False)
        return json.loads(done.stdout) if done.returncode == 0 else None

    def wait_ready(self, name, seconds=120):
        def ready():
            pod = self.pod(name)
            return pod and any(c["type"] == "Ready" and c["status"] == "True" for c in pod["status"].get("conditions", [])) and pod
        try:
            return wait_until(ready, seconds, f"pod {name} Ready")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{json.dumps(self.pod(name))}\n{self.kubelet_tail()}")

    def ebpf(self, name):
        """The pod's row of `ebpf status`; None while the agent has none."""
        done = self.ctl("ebpf", "status", name, "-o", "json", check=False)
        pods = json.loads(done.stdout)["pods"] if done.stdout.startswith("{") else []
        return pods[0] if pods else None

    def in_pod(self, name, command, seconds=60):
        """Runs a command in the pod's first container; the kubelet's exec needs a route that this network lacks, so ctr's is used."""
        pod = self.pod(name)
        container = pod["status"]["containerStatuses"][0]["containerID"].removeprefix("containerd://")
        return subprocess.run(["ctr", "-a", str(self.dir / "containerd" / "containerd.sock"), "-n", "k8s.io", "tasks", "exec", "--exec-id",
                               f"e{os.urandom(4).hex()}", container, "sh", "-c", command], capture_output=True, text=True, timeout=seconds)

    def links(self):
        """Every link of the kernel with its pins, as bpftool tells them."""
        done = subprocess.run(["bpftool", "-j", "-f", "link", "show"], capture_output=True, text=True, check=True,
                              env={**os.environ, "PATH": os.environ["PATH"] + ":/usr/sbin:/sbin"})
        return json.loads(done.stdout)

    def pinned_links(self):
        """The links that are pinned in the agent's bpffs: path -> id."""
        return {pin: link["id"] for link in self.links() for pin in link.get("pinned", []) if pin.startswith(f"{self.bpffs}/")}

    def link_ids(self):
        return {link["id"] for link in self.links()}

    def wait_answer(self, name, address, text="hello\n", seconds=30):
        """Until the pod gets the text from the server there."""
        last = None

        def answered():
            nonlocal last
            last = self.in_pod(name, f"timeout 5 wget -q -O - http://{address}:8080/")
            return last.stdout == text
        try:
            wait_until(answered, seconds, f"{name} is answered")
        except AssertionError as error:
            raise AssertionError(f"{error}: {last}")

    def log_tail(self):
        return self.log.read_text(errors="replace")[-6000:] if self.log.exists() else ""

    def kubelet_tail(self):
        path = self.dir / "kubelet.log"
        return path.read_text(errors="replace")[-4000:] if path.exists() else ""

    def uninstall(self):
        _run(self.build / "pintled", "uninstall", "--config", self.dir / "pintled.yaml")

    def close(self):
        errors = []

        def attempt(step, *args):
            try:
                step(*args)
            except (OSError, RuntimeError, subprocess.SubprocessError) as error:
                errors.append(str(error))

        attempt(_end_daemon, self.dir / "pintled.yaml")
        if self.kubelet is not None:
            self.kubelet.terminate()
            try:
                self.kubelet.wait(timeout=20)
            except subprocess.TimeoutExpired:
                self.kubelet.kill()
        attempt(_run, ROOT / "scripts" / "dev-containerd", "stop", "--dir", self.dir / "containerd")
        attempt(_run, ROOT / "scripts" / "dev-apiserver", "stop", "--dir", self.dir / "api")
        if (self.dir / "pintled.yaml").exists():
            attempt(self.uninstall)
        if cgroups_of(self.dir.name):  # the kubelet leaves its tree, as it should
            attempt(_remove_cgroups, self.dir.name)
        for line in pathlib.Path("/proc/self/mounts").read_text().splitlines()[::-1]:
            point = line.split()[1]
            if point.startswith(f"{self.dir}/"):
                attempt(_run, "umount", "-l", point)
        if OPTIONS is None or not OPTIONS.keep:
            shutil.rmtree(self.dir, ignore_errors=True)
        if errors:
            raise RuntimeError("the node was not removed cleanly:\n" + "\n".join(errors))


class BesideAKubelet(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        try:
            cls.site = Site(OPTIONS.build)
        except NotHere as missing:
            raise unittest.SkipTest(str(missing))

    @classmethod
    def tearDownClass(cls):
        cls.site.close()

    def tearDown(self):
        for manifest in self.site.manifests.iterdir():
            manifest.unlink()
        self.site.kubectl("delete", "networkpolicies", "--all", check=False)
        self.site.kubectl("delete", "pods", "--all", "--grace-period=1", "--wait=false", check=False)
        wait_until(lambda: not self.site.kubectl("get", "pods", "-o", "name").strip(), 90, "all pods gone")

    def effective(self, name, seconds=30):
        def told():
            row = self.site.ebpf(name)
            return row and row["hooks"] and {hook["state"] for hook in row["hooks"]} <= {"Attached", "Adopted"} and row
        try:
            return wait_until(told, seconds, f"hooks of {name} in force")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.site.ebpf(name)}\n{self.site.ctl('status', check=False).stdout}\n{self.site.log_tail()}")

    def test_a_pod_of_the_kubelet_has_its_programs_and_counts(self):
        self.site.apply(busybox_pod("server", SERVE))
        address = self.site.wait_ready("server")["status"]["podIP"]
        self.assertTrue(self.effective("server"))
        self.site.apply(busybox_pod("client", SLEEP))
        self.site.wait_ready("client")
        before = self.effective("client")["counters"]
        self.site.wait_answer("client", address)
        after = self.site.ebpf("client")["counters"]
        self.assertGreater(int(after["connects"]), int(before.get("connects", 0)))
        self.assertGreater(int(after["rxBytes"]), int(before.get("rxBytes", 0)))
        self.assertGreater(int(after["txPackets"]), int(before.get("txPackets", 0)))

    def test_a_static_pod_is_found_by_its_hash(self):
        pod = busybox_pod("static", SLEEP)
        del pod["spec"]["nodeName"]
        (self.site.manifests / "static.json").write_text(json.dumps(pod))
        name = f"static-{NODE}"
        mirror = self.site.wait_ready(name)
        row = self.effective(name)
        self.assertEqual(row["uid"], mirror["metadata"]["annotations"]["kubernetes.io/config.hash"])

    def test_network_policy_refuses_and_lets_through(self):
        self.site.apply(busybox_pod("server", SERVE), busybox_pod("client", SLEEP))
        address = self.site.wait_ready("server")["status"]["podIP"]
        self.site.wait_ready("client")
        self.effective("client")
        ask = f"timeout 5 wget -q -O - http://{address}:8080/"
        self.site.wait_answer("client", address)
        self.site.apply({"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "closed", "namespace": "default"},
                         "spec": {"podSelector": {"matchLabels": {"app": "client"}}, "policyTypes": ["Egress"]}})
        refused = wait_until(lambda: (done := self.site.in_pod("client", ask)).returncode != 0 and done, 30, "the connection refused")
        self.assertIn("not permitted", refused.stderr)
        self.assertGreater(int(self.site.ebpf("client")["counters"]["denied"]), 0)
        self.site.kubectl("delete", "networkpolicy", "closed")
        self.site.wait_answer("client", address)

    def test_killing_the_companion_changes_no_link_and_no_verdict(self):
        self.site.apply(busybox_pod("server", SERVE), busybox_pod("steady", SLEEP))
        address = self.site.wait_ready("server")["status"]["podIP"]
        pod = self.site.wait_ready("steady")
        self.effective("steady")
        self.site.apply({"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "closed", "namespace": "default"},
                         "spec": {"podSelector": {"matchLabels": {"app": "steady"}}, "policyTypes": ["Egress"]}})
        ask = f"timeout 5 wget -q -O - http://{address}:8080/"
        wait_until(lambda: self.site.in_pod("steady", ask).returncode != 0, 30, "the connection refused")
        links = {hook["hook"]: hook["linkId"] for hook in self.effective("steady")["hooks"]}
        for sig in (signal.SIGKILL, signal.SIGTERM, signal.SIGKILL):
            self.site.kill_daemon(sig)
            self.assertNotEqual(self.site.in_pod("steady", ask).returncode, 0, "refused while no agent runs")
            self.site.start_daemon()
            self.assertNotEqual(self.site.in_pod("steady", ask).returncode, 0, "refused when it is back")
        row = self.effective("steady")
        self.assertEqual({hook["hook"]: hook["linkId"] for hook in row["hooks"]}, links)
        self.assertEqual({hook["state"] for hook in row["hooks"]}, {"Adopted"})
        now = self.site.pod("steady")
        self.assertEqual([c["restartCount"] for c in now["status"]["containerStatuses"]], [0])
        self.assertEqual(now["status"]["containerStatuses"][0]["containerID"], pod["status"]["containerStatuses"][0]["containerID"])

    def test_it_writes_no_status_and_owns_nothing(self):
        self.site.apply(busybox_pod("plain", SLEEP))
        pod = self.site.wait_ready("plain")
        self.effective("plain")
        self.assertNotIn("pintle.dev/ProgramsAttached", [c["type"] for c in pod["status"]["conditions"]])
        managers = {field["manager"] for field in json.loads(self.site.kubectl("get", "pod", "plain", "-o", "json", "--show-managed-fields"))
                    ["metadata"]["managedFields"] if field.get("subresource") == "status"}
        self.assertEqual(managers, {"kubelet"})
        self.assertEqual(self.site.kubectl("get", "leases", "-n", "kube-node-lease", "-o", "jsonpath={.items[*].metadata.name}"), NODE)

    def test_a_pod_that_ends_leaves_no_link(self):
        self.site.apply(busybox_pod("brief", SLEEP))
        uid = self.site.wait_ready("brief")["metadata"]["uid"]
        self.effective("brief")
        self.assertTrue([path for path in self.site.pinned_links() if uid in path])
        self.site.kubectl("delete", "pod", "brief", "--grace-period=1")
        wait_until(lambda: not [path for path in self.site.pinned_links() if uid in path], 60, "its links unpinned")

    def test_what_ended_while_the_companion_was_dead_is_released(self):
        self.site.apply(busybox_pod("gone", SLEEP))
        uid = self.site.wait_ready("gone")["metadata"]["uid"]
        self.effective("gone")
        self.site.kill_daemon()
        self.site.kubectl("delete", "pod", "gone", "--grace-period=1")
        self.assertTrue([path for path in self.site.pinned_links() if uid in path])
        self.site.start_daemon()
        wait_until(lambda: not [path for path in self.site.pinned_links() if uid in path], 60, "its links unpinned")

    def test_uninstall_leaves_nothing_and_ends_no_pod(self):
        self.site.apply(busybox_pod("survivor", SLEEP))
        pod = self.site.wait_ready("survivor")
        self.effective("survivor")
        ours = set(self.site.pinned_links().values())
        self.assertTrue(ours & self.site.link_ids())
        self.site.kill_daemon(signal.SIGTERM)
        try:
            self.assertTrue(ours <= self.site.link_ids())  # an ended agent keeps its programs in force
            self.site.uninstall()
            self.assertEqual(self.site.pinned_links(), {})
            self.assertEqual(set(os.listdir(self.site.bpffs)) - {"maps.debug", "progs.debug"}, set())  # the kernel's own two
            wait_until(lambda: not ours & self.site.link_ids(), 10, "bpftool knows none of the links any more")
            self.assertEqual(self.site.pod("survivor")["status"]["containerStatuses"][0]["containerID"],
                             pod["status"]["containerStatuses"][0]["containerID"])
            self.assertEqual(self.site.in_pod("survivor", "echo alive").stdout, "alive\n")
        finally:
            self.site.start_daemon()
        self.effective("survivor")  # installed again, it finds what runs


if __name__ == "__main__":
    enter_namespaces()
    OPTIONS = arguments()
    sys.exit(results.run(sys.modules["__main__"], OPTIONS.junit))
