# SPDX-License-Identifier: Apache-2.0
# Copyright The Pintle Authors
"""Mode companion beside a real kubelet, kube-apiserver and containerd: KUBEBUILDER_ASSETS names a folder that has a kubelet too.
PINTLE_CONTAINERD names a folder with another containerd than the one that is installed; with 1.7 and newer the suite runs with NRI.

The kubelet owns the pods; pintled finds their cgroups, attaches, counts, enforces and lets go again."""
import contextlib
import hashlib
import io
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
import unittest

import results
from harness import (NODE, NotHere, ROOT, _end_daemon, _remove_cgroups, _run, arguments, busybox_pod, cgroups_of, enter_namespaces,
                     start_guard, wait_until)

OPTIONS = None
ADDRESS = "192.0.2.1"
SERVICE = "10.0.0.1"  # of the API, in the pods of a cluster: the first one of the range of scripts/dev-apiserver
IMAGE = "pintle.local/pintle:1"
SLEEP = "trap 'exit 0' TERM; while true; do sleep 1 & wait $!; done"
# Counts down from its first instruction: says what was reachable, and when.
SERVE = "mkdir -p /tmp/www; echo hello > /tmp/www/index.html; exec httpd -f -p 8080 -h /tmp/www"


SERVER = "jsonpath={.clusters[0].cluster.server}"


def forward(address, target):
    """What a service proxy does for one address, for as long as this process lives."""
    def pass_on(source, sink):
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                sink.sendall(data)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def serve():
        while True:
            incoming, _ = listener.accept()
            try:
                outgoing = socket.create_connection(target)
            except OSError:  # the API server is not there: as a client of it would see
                incoming.close()
                continue
            for pair in ((incoming, outgoing), (outgoing, incoming)):
                threading.Thread(target=pass_on, args=pair, daemon=True).start()

    listener = socket.create_server(address)
    threading.Thread(target=serve, daemon=True).start()


def containerd_version():
    """(1, 7) of "containerd github.com/containerd/containerd 1.7.24~ds1 …"; (0, 0) where it says otherwise."""
    done = subprocess.run(["containerd", "--version"], capture_output=True, text=True)
    found = re.search(r"\bv?(\d+)\.(\d+)\.\d", done.stdout)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def kubelet_program():
    return pathlib.Path(os.environ.get("KUBEBUILDER_ASSETS", "/nonexistent"), "kubelet")


def remove_site(build, folder, keep):
    """Ends and removes everything of the site in `folder`; what fails is told at the end and stops nothing else."""
    errors = []

    def attempt(step, *args):
        try:
            step(*args)
        except (OSError, RuntimeError, subprocess.SubprocessError) as error:
            errors.append(str(error))

    attempt(_end_daemon, folder / "pintled.yaml")
    attempt(end_kubelet, folder / "kubelet.json")
    attempt(_run, ROOT / "scripts" / "dev-containerd", "stop", "--dir", folder / "containerd")
    attempt(_run, ROOT / "scripts" / "dev-apiserver", "stop", "--dir", folder / "api")
    if (folder / "pintled.yaml").exists():
        attempt(_run, build / "pintled", "uninstall", "--config", folder / "pintled.yaml")
    if cgroups_of(folder.name):  # the kubelet leaves its tree, as it should
        attempt(_remove_cgroups, folder.name)
    for line in pathlib.Path("/proc/self/mounts").read_text().splitlines()[::-1]:
        point = line.split()[1]
        if point.startswith(f"{folder}/"):
            attempt(_run, "umount", "-l", point)
    if not keep:
        shutil.rmtree(folder, ignore_errors=True)
    if errors:
        raise RuntimeError("the site was not removed cleanly:\n" + "\n".join(errors))


def end_kubelet(config):
    """The one that was started with this file."""
    for sig in (signal.SIGTERM, signal.SIGKILL):
        pids = [int(path.parent.name) for path in pathlib.Path("/proc").glob("[0-9]*/cmdline") if os.fsencode(config) in _words(path)]
        for pid in pids:
            os.kill(pid, sig)
        try:
            return wait_until(lambda: not any(os.fsencode(config) in _words(pathlib.Path(f"/proc/{pid}/cmdline")) for pid in pids), 20, "the kubelet's end")
        except AssertionError:
            continue
    raise RuntimeError("the kubelet does not end")


def _words(path):
    try:
        return path.read_bytes().split(b"\0")
    except OSError:  # it ended meanwhile
        return []


class Site:
    """A kubelet's node with everything it needs, in one folder and one cgroup, removed by close()."""

    def __init__(self, build):
        if os.geteuid() != 0:
            raise NotHere("needs root")
        if not os.environ.get("KUBEBUILDER_ASSETS"):
            raise NotHere("KUBEBUILDER_ASSETS is not set")
        if not os.access(kubelet_program(), os.X_OK):
            raise NotHere("there is no kubelet in KUBEBUILDER_ASSETS")
        if folder := os.environ.get("PINTLE_CONTAINERD"):
            os.environ["PATH"] = f"{folder}:{os.environ['PATH']}"
        for tool in ("containerd", "ctr", "ip", "unshare", "bpftool"):
            if shutil.which(tool, path=os.environ["PATH"] + ":/usr/sbin:/sbin") is None:
                raise NotHere(f"{tool} is not installed")
        self.build = build
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="pintle-kubelet-", dir="/run"))
        self.cgroup_root = f"/{self.dir.name}"
        self.kubelet = self.daemon = None
        self.nri = containerd_version() >= (1, 7)
        self.manifests = self.dir / "manifests"
        self.manifests.mkdir()
        self.log = self.dir / "pintled.log"
        self.kubectl_program = shutil.which("kubectl") or str(kubelet_program().with_name("kubectl"))
        self.guard = start_guard(build, self.dir, OPTIONS.keep, remove_site)
        try:
            self._start_parts()
        except BaseException:
            self.close()
            raise

    def _start_parts(self):
        # A node as kind's: mounts are shared, and nobody has mounted a bpffs. All of it in this test's own mount namespace.
        _run("mount", "--make-rshared", "/")
        while "bpf" in {line.split()[2] for line in pathlib.Path("/proc/self/mounts").read_text().splitlines() if line.split()[1] == "/sys/fs/bpf"}:
            _run("umount", "/sys/fs/bpf")
        # Where a kubelet always makes its links to logs.
        (self.dir / "containers").mkdir()
        os.makedirs("/var/log/containers", exist_ok=True)
        _run("mount", "--bind", self.dir / "containers", "/var/log/containers")
        # The API server asks for the node by its name.
        (self.dir / "hosts").write_text(pathlib.Path("/etc/hosts").read_text() + f"{ADDRESS} {NODE}\n")
        _run("mount", "--bind", self.dir / "hosts", "/etc/hosts")
        # The node's address: kubelets look for it at the default route.
        for command in ("link add node0 type veth peer name node1", "link set node1 up", f"addr add {ADDRESS}/24 dev node0", "link set node0 up", "route add default dev node0"):
            _run("ip", *command.split())
        self.start_containerd()
        _run(ROOT / "scripts" / "dev-apiserver", "start", "--dir", self.dir / "api", "--authorization", "RBAC")
        self.kubeconfig = self.agents_kubeconfig = self.dir / "api" / "kubeconfig"
        _run("ip", "addr", "add", f"{SERVICE}/32", "dev", "lo")
        forward((SERVICE, 443), ("127.0.0.1", int(self.kubectl("config", "view", "--raw", "-o", SERVER).rsplit(":", 1)[1])))
        # An agent's bpffs that a node without one gets from the init container; here in the test's own mount namespace.
        self.bpffs = self.dir / "bpffs"
        self.bpffs.mkdir()
        _run("mount", "-t", "bpf", "bpf", self.bpffs)
        self._make_cgroups()
        self.start_kubelet()
        self.start_daemon()
        if self.nri:
            self.wait_nri()

    def start_containerd(self, *words):
        _run(ROOT / "scripts" / "dev-containerd", "start", "--dir", self.dir / "containerd", *(["--nri"] if self.nri else []), *words)

    def _make_cgroups(self):
        for top in ("/sys/fs/cgroup", *map(str, pathlib.Path("/sys/fs/cgroup").iterdir())):
            if not os.path.exists(top + "/cgroup.procs") or os.path.islink(top):
                continue
            own = pathlib.Path(top, self.dir.name)
            own.mkdir(exist_ok=True)
            if (own / "cpu.shares").exists():
                (own / "cpu.shares").write_text("10240")  # one share for a whole node would starve beside other work of this machine
            for name in ("cpuset.cpus", "cpuset.mems"):  # v1: a new cpuset is empty
                if (own / name).exists() and os.path.exists(f"{top}/cgroup.clone_children"):
                    (own / name).write_text(pathlib.Path(top, name).read_text())

    def start_kubelet(self):
        config = {
            "apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration", "failSwapOn": False, "failCgroupV1": False,
            "cgroupDriver": "cgroupfs", "cgroupRoot": self.cgroup_root, "enforceNodeAllocatable": [],
            "containerRuntimeEndpoint": f"unix://{self.dir}/containerd/containerd.sock", "staticPodPath": str(self.manifests),
            "authentication": {"anonymous": {"enabled": True}, "webhook": {"enabled": False}}, "authorization": {"mode": "AlwaysAllow"},
            "address": ADDRESS, "port": 21250, "healthzPort": 0, "readOnlyPort": 0, "podLogsDir": str(self.dir / "logs"),
            "evictionHard": {"memory.available": "1Mi", "nodefs.available": "0%", "imagefs.available": "0%", "nodefs.inodesFree": "0%"},
            "imageGCHighThresholdPercent": 100, "volumePluginDir": str(self.dir / "plugins"), "fileCheckFrequency": "1s",
        }
        (self.dir / "kubelet.json").write_text(json.dumps(config))
        with open(self.dir / "kubelet.log", "ab") as log:
            self.kubelet = subprocess.Popen(
                [str(kubelet_program()), "--config", str(self.dir / "kubelet.json"), "--kubeconfig", str(self.kubeconfig), "--root-dir",
                 str(self.dir / "kubelet"), "--cert-dir", str(self.dir / "kubelet-pki"), "--hostname-override", NODE, "--node-ip", ADDRESS, "--v=2"],
                stdout=log, stderr=log, start_new_session=True)
        ready = "jsonpath={.status.conditions[?(@.type=='Ready')].status}"
        wait_until(lambda: self.kubectl("get", "node", NODE, "-o", ready, check=False).stdout == "True", 90, "the kubelet's node Ready")

    def _write_config(self, ebpf, **nri):
        nri = {"socket": f"{self.dir}/containerd/nri.sock", **nri}
        ebpf = {"bpffs": str(self.bpffs), "programsFolder": "", "programsNamespace": "kube-system",
                "setsFolder": str(self.build / "ebpf" / "sets"), **ebpf}
        config = {"apiVersion": "pintle.dev/v1", "kind": "PintleConfiguration", "cgroupRoot": self.cgroup_root,
                  "podLogsDir": str(self.dir / "logs"),  # the kubelet's, as both have it by default
                  "pintle": {"mode": "companion", "nodeName": NODE, "kubeconfig": str(self.agents_kubeconfig), "rootDir": str(self.dir / "root"),
                             "runDir": str(self.dir / "run"), "metrics": {"listen": ""}, "companion": {"nri": nri}, "ebpf": ebpf}}
        (self.dir / "pintled.yaml").write_text(json.dumps(config))

    def start_daemon(self, ebpf=None, **nri):
        """With more of the sections `ebpf` and `companion.nri`."""
        self._write_config(ebpf or {}, **nri)
        with open(self.log, "ab") as log:
            self.daemon = subprocess.Popen([str(self.build / "pintled"), "--config", str(self.dir / "pintled.yaml")], stdout=log, stderr=log)
        self.ctl("status", "--wait", "--timeout", "30s")

    def wait_nri(self):
        """Until the runtime asks the agent."""
        return wait_until(lambda: (row := self.nri_row()) and " tells of pods at " in row["detail"] and row, 30, "the runtime asks by NRI")

    def nri_row(self):
        done = self.ctl("doctor", "-o", "json", check=False)
        checks = json.loads(done.stdout)["checks"] if done.stdout.startswith("{") else []
        return next((check for check in checks if check["check"] == "NRI"), None)

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

    def pod(self, name, namespace="default"):
        done = self.kubectl("get", "pod", name, "-n", namespace, "-o", "json", check=False)
        return json.loads(done.stdout) if done.returncode == 0 else None

    def wait_ready(self, name, seconds=120, namespace="default"):
        def ready():
            pod = self.pod(name, namespace)
            return pod and any(c["type"] == "Ready" and c["status"] == "True" for c in pod["status"].get("conditions", [])) and pod
        try:
            return wait_until(ready, seconds, f"pod {name} Ready")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{json.dumps(self.pod(name, namespace))}\n{self.logs(name, namespace)}\n{self.kubelet_tail()}")

    def ebpf(self, name):
        """The pod's row of `ebpf status`; None while the agent has none."""
        done = self.ctl("ebpf", "status", name, "-o", "json", check=False)
        pods = json.loads(done.stdout)["pods"] if done.stdout.startswith("{") else []
        return pods[0] if pods else None

    def in_pod(self, name, command):
        """Runs a command in the pod's first container, without the API's help."""
        return self.in_container(self.pod(name)["status"]["containerStatuses"][0]["containerID"], "sh", "-c", command)

    def in_container(self, container, *words):
        return self.ctr("tasks", "exec", "--exec-id", f"e{os.urandom(4).hex()}", container.removeprefix("containerd://"), *words)

    def ctr(self, *words):
        return subprocess.run(["ctr", "-a", str(self.dir / "containerd" / "containerd.sock"), "-n", "k8s.io", *words], capture_output=True,
                              text=True, timeout=60)

    def pid_of(self, container):
        rows = [line.split() for line in self.ctr("tasks", "list").stdout.splitlines()]
        return int(next(row[1] for row in rows if row[0] == container.removeprefix("containerd://")))

    def logs(self, name, namespace="default"):
        return "\n".join(f"{path}:\n{path.read_text(errors='replace')[-2000:]}" for path in (self.dir / "logs").glob(f"{namespace}_{name}_*/*/*.log"))

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

    def import_image(self, name):
        """The image as the Dockerfile makes it, of the binaries under test."""
        root = self.dir / "image"
        _run(ROOT / "scripts" / "image-root", self.build, root)
        layer, archive = self.dir / "layer.tar", self.dir / "image.tar"
        with tarfile.open(layer, "w") as tar:
            tar.add(root, arcname=".")
        digest = hashlib.sha256(layer.read_bytes()).hexdigest()
        machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, os.uname().machine)
        config = json.dumps({"architecture": machine, "os": "linux", "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
                             "config": {"Entrypoint": ["/usr/local/bin/pintled"]}}).encode()
        manifest = json.dumps([{"Config": "config.json", "RepoTags": [name], "Layers": ["layer.tar"]}]).encode()
        with tarfile.open(archive, "w") as tar:
            tar.add(layer, arcname="layer.tar")
            for path, content in (("config.json", config), ("manifest.json", manifest)):
                entry = tarfile.TarInfo(path)
                entry.size = len(content)
                tar.addfile(entry, io.BytesIO(content))
        _run("ctr", "-a", self.dir / "containerd" / "containerd.sock", "-n", "k8s.io", "images", "import", archive)

    def uninstall(self):
        return _run(self.build / "pintled", "uninstall", "--config", self.dir / "pintled.yaml")

    def close(self):
        if self.guard is None:
            return
        try:
            remove_site(self.build, self.dir, OPTIONS.keep)
        finally:
            os.write(self.guard, b"x")
            os.close(self.guard)
            self.guard = None


class SiteCase(unittest.TestCase):
    """With a site of its own; the pods of the namespace default go after each test."""

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

    def need_nri(self):
        if not self.site.nri:
            self.skipTest("this containerd has no NRI: PINTLE_CONTAINERD names a folder with 1.7 or newer")

    def close_egress_of(self, group):
        """Pods of the group may connect nowhere. In force for those that come as soon as the agent knows the policy."""
        self.site.apply({"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": group, "namespace": "default"},
                         "spec": {"podSelector": {"matchLabels": {"group": group}}, "policyTypes": ["Egress"]}})
        self.site.apply(self.connecting_pod(f"{group}-probe", group, "192.0.2.9", 0))
        self.site.wait_ready(f"{group}-probe")
        wait_until(lambda: "Egress" in self.site.ctl("ebpf", "policy", "show", f"{group}-probe", check=False).stdout.title(), 30, "the policy known")

    def connecting_pod(self, name, group, address, tries):
        """Connects from its first instruction on, and writes down what came of it; then it is ready."""
        loop = f"for i in $(seq {tries}); do nc -w 1 {address} 8080 </dev/null >/dev/null 2>&1 && echo leaked; done; echo tried; touch /tmp/tried; {SLEEP}"
        pod = busybox_pod(name, loop)
        pod["metadata"]["labels"]["group"] = group
        pod["spec"]["containers"][0]["readinessProbe"] = {"exec": {"command": ["cat", "/tmp/tried"]}, "periodSeconds": 1}
        return pod

    def leaks(self, name):
        self.site.wait_ready(name)
        text = self.site.logs(name)
        self.assertIn(" tried\n", text)
        return text.count(" leaked\n")

    def rendered(self, folder, image):
        """The objects of a kustomization, with what differs here: the image, the cgroups' root, whose network is the node's. There is no
        controller that makes pods of a DaemonSet or token volumes of a service account: done here as they do."""
        objects, pods = [], []
        text = self.site.kubectl("kustomize", ROOT / "deploy" / "kustomize" / folder)
        listed = self.site.kubectl("create", "--dry-run=client", "-o", "json", "-f", "-", stdin=text)
        items, at = [], 0
        while at < len(listed.rstrip()):
            item, end = json.JSONDecoder().raw_decode(listed, at)
            items += item["items"] if item["kind"] == "List" else [item]
            at = end + len(listed[end:]) - len(listed[end:].lstrip())
        for item in items:
            if item["kind"] == "ConfigMap" and "pintled.yaml" in item["data"]:
                item["data"]["pintled.yaml"] = f"cgroupRoot: {self.site.cgroup_root}\n" + item["data"]["pintled.yaml"]
            if item["kind"] != "DaemonSet":
                objects.append(item)
                continue
            template = item["spec"]["template"]
            spec = template["spec"]
            spec.update(nodeName=NODE, restartPolicy="Always")
            for volume in spec["volumes"]:
                path = volume.get("hostPath", {}).get("path")
                if path == "/proc/1/net":
                    volume["hostPath"]["path"] = f"/proc/{self.site.kubelet.pid}/net"
                elif path == "/var/run/nri":
                    volume["hostPath"]["path"] = f"{self.site.dir}/containerd"
            for container in spec["initContainers"] + spec["containers"]:
                container.update(image=image, imagePullPolicy="Never")
                if "uninstall" in container["args"]:
                    container["args"] += ["--cgroup-root", self.site.cgroup_root]
            if spec.get("automountServiceAccountToken", True):
                main = spec["containers"][0]
                main["volumeMounts"].append({"name": "token", "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount", "readOnly": True})
                spec["volumes"].append({"name": "token", "projected": {"sources": [
                    {"serviceAccountToken": {"path": "token"}}, {"configMap": {"name": "ca", "items": [{"key": "ca.crt", "path": "ca.crt"}]}}]}})
            pods.append({"apiVersion": "v1", "kind": "Pod", "spec": spec,
                         "metadata": {**template["metadata"], "name": item["metadata"]["name"], "namespace": item["metadata"]["namespace"]}})
        return objects, pods

    def install(self, folder):
        """The kustomization's DaemonSet, as a pod, takes the place of the agent of the site; until leave(). Its pod, ready."""
        self.site.kill_daemon(signal.SIGTERM)
        self.addCleanup(self.leave)
        self.site.uninstall()
        self.site.import_image(IMAGE)
        objects, [pod] = self.rendered(folder, IMAGE)
        ca = (self.site.dir / "api" / "certs" / "apiserver.crt").read_text()
        objects.append({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "ca", "namespace": "pintle-system"}, "data": {"ca.crt": ca}})
        for item in sorted(objects, key=lambda item: item["kind"] != "Namespace"):
            self.site.apply(item)
        self.site.apply(pod)
        return self.site.wait_ready("pintle", namespace="pintle-system")

    def take_off(self):
        """As the documentation has it: the agent goes, and the cleaner comes and is ready."""
        self.site.kubectl("delete", "pod", "pintle", "-n", "pintle-system", "--grace-period=5")
        _, [cleaner] = self.rendered("uninstall", IMAGE)
        self.site.apply(cleaner)
        self.site.wait_ready("pintle-uninstall", namespace="pintle-system")

    def leave(self):
        self.site.kubectl("delete", "pods", "--all", "-n", "pintle-system", "--grace-period=1", check=False)
        self.site.start_daemon()

    def in_agent(self, *words):
        """pintlectl in the agent's container, by the kubelet's exec."""
        return self.site.kubectl("exec", "-n", "pintle-system", "pintle", "--", "/usr/local/bin/pintlectl", *words, check=False)


class BesideAKubelet(SiteCase):
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

    def test_the_node_s_label_chooses_the_program_set(self):
        self.site.apply(busybox_pod("labelled", SLEEP))
        self.site.wait_ready("labelled")
        links = [hook["linkId"] for hook in self.effective("labelled")["hooks"]]
        label = lambda value: self.site.kubectl("label", "node", NODE, "--overwrite", f"pintle.dev/program-set{value}")
        self.addCleanup(label, "-")

        def told():
            status = json.loads(self.site.ctl("ebpf", "status", "labelled", "-o", "json", check=False).stdout)
            hooks = status["pods"][0]["hooks"]
            return status["programSet"], {hook["programSet"] for hook in hooks}, [hook["linkId"] for hook in hooks]
        label("=next")
        seen = wait_until(lambda: (now := told())[1] == {"next"} and now, 10, "set 'next' on the pod")
        self.assertEqual((seen[0]["name"], seen[2]), ("next", links))
        label("=blind")
        seen = wait_until(lambda: (now := told())[0]["state"] == "refused" and now, 10, "set 'blind' refused")
        self.assertEqual((seen[0]["wanted"], seen[1], seen[2]), ("blind", {"next"}, links))
        reasons = lambda: self.site.kubectl("get", "events", "-n", "default", "--field-selector", f"involvedObject.name={NODE}", "-o", "jsonpath={.items[*].reason}")
        wait_until(lambda: {"ProgramSetInForce", "ProgramSetRefused"} <= set(reasons().split()), 20, "the node's events")
        label("=next")
        wait_until(lambda: told()[0]["state"] == "in force", 10, "nothing amiss again")
        self.site.kill_daemon()
        self.site.start_daemon()
        self.assertEqual((told()[1], told()[2]), ({"next"}, links))  # kept until the label is known, and then
        label("-")
        seen = wait_until(lambda: (now := told())[1] == {"builtin"} and now, 10, "the set compiled in again")
        self.assertEqual(seen[2], links)

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

    def test_logs_and_the_links_to_them_stay_the_kubelet_s(self):
        done = busybox_pod("done", "echo last words", restart="Never")
        self.site.apply(done)
        wait_until(lambda: self.site.pod("done")["status"].get("phase") == "Succeeded", 60, "done has ended")
        pod = self.site.pod("done")
        uid, container = pod["metadata"]["uid"], pod["status"]["containerStatuses"][0]["containerID"].split("//")[1]
        log, link = self.site.dir / "logs" / f"default_done_{uid}" / "c0" / "0.log", pathlib.Path(f"/var/log/containers/done_default_c0-{container}.log")
        wait_until(lambda: not [path for path in self.site.pinned_links() if uid in path], 60, "its links unpinned")
        for _ in range(2):
            self.assertIn("last words", log.read_text())
            self.assertEqual(link.resolve(), log)
            self.site.kill_daemon()
            self.site.start_daemon()

    def test_the_daemon_set_runs_with_three_capabilities(self):
        self.site.apply(busybox_pod("guarded", SLEEP))
        uid = self.site.wait_ready("guarded")["metadata"]["uid"]
        self.effective("guarded")
        running = self.install("base")
        container = running["status"]["containerStatuses"][0]["containerID"]
        self.assertEqual([running["spec"].get(name) for name in ("hostNetwork", "hostPID", "hostIPC")], [None] * 3)
        [row] = json.loads(self.in_agent("ebpf", "status", "guarded", "-o", "json").stdout)["pods"]
        self.assertEqual((row["uid"], {hook["state"] for hook in row["hooks"]}), (uid, {"Attached"}))
        told = self.in_agent("doctor", "-o", "json").stdout
        nri = next(check["detail"] for check in json.loads(told)["checks"] if check["check"] == "NRI")
        self.assertIn(" tells of pods at " if self.site.nri else "No such file or directory", nri)
        pid = self.site.pid_of(container)
        words = dict(line.split(":\t", 1) for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines() if ":\t" in line)
        # BPF, PERFMON, NET_ADMIN at most: the daemon may give up what it has loaded with.
        for kind in ("CapBnd", "CapPrm", "CapEff"):
            self.assertEqual(int(words[kind], 16) & ~(1 << 39 | 1 << 38 | 1 << 12), 0, f"{kind} {words[kind]}")
        self.assertEqual((words["Seccomp"], words["NoNewPrivs"]), ("2", "1"))
        for kind in ("pid", "net", "ipc", "uts", "mnt"):
            self.assertNotEqual(os.readlink(f"/proc/{pid}/ns/{kind}"), os.readlink(f"/proc/{self.site.kubelet.pid}/ns/{kind}"), kind)
        root = next(line.split() for line in pathlib.Path(f"/proc/{pid}/mounts").read_text().splitlines() if line.split()[1] == "/")
        self.assertIn("ro", root[3].split(","), "a read-only root")
        pins = [pin for link in self.site.links() for pin in link.get("pinned", []) if pin.startswith("/sys/fs/bpf/") and uid in pin]
        self.assertTrue(pins, "pinned where the node sees it")
        links = {hook["hook"]: hook["linkId"] for hook in row["hooks"]}

        os.kill(pid, signal.SIGKILL)  # the kubelet starts the container again
        def back():
            now = self.site.pod("pintle", "pintle-system")["status"]["containerStatuses"][0]
            if now["restartCount"] == 0 or not now["ready"]:
                return None
            done = self.site.in_container(now["containerID"], "/usr/local/bin/pintlectl", "ebpf", "status", "guarded", "-o", "json")
            return json.loads(done.stdout)["pods"][0] if done.stdout.startswith("{") else None
        row = wait_until(lambda: (row := back()) and {hook["state"] for hook in row["hooks"]} == {"Adopted"} and row, 90, "adopted again")
        self.assertEqual({hook["hook"]: hook["linkId"] for hook in row["hooks"]}, links)

        self.take_off()
        self.assertEqual([pin for link in self.site.links() for pin in link.get("pinned", []) if pin.startswith("/sys/fs/bpf/")], [])
        self.assertEqual(set(os.listdir("/sys/fs/bpf")) - {"maps.debug", "progs.debug"}, set())

    def start_starved(self, pod):
        """Starts the pod while the agent gets no processor, from before its sandbox until half a second after it was made."""
        def containers():
            return set(self.site.ctr("containers", "list", "-q").stdout.split())
        before = containers()
        self.site.daemon.send_signal(signal.SIGSTOP)
        try:
            self.site.apply(pod)
            wait_until(lambda: containers() - before, 30, "the sandbox made")
            time.sleep(0.5)
        finally:
            self.site.daemon.send_signal(signal.SIGCONT)

    def test_nri_not_one_connect_gets_past_a_policy(self):
        self.need_nri()
        self.site.apply(busybox_pod("server", SERVE))
        address = self.site.wait_ready("server")["status"]["podIP"]
        self.close_egress_of("shut")
        self.site.apply(self.connecting_pod("open", "open", address, 3))
        self.assertGreater(self.leaks("open"), 0, "the server can be reached by others")
        names = [f"shut-{i}" for i in range(12)]
        self.site.apply(*(self.connecting_pod(name, "shut", address, 5) for name in names))
        self.assertEqual({name: self.leaks(name) for name in names}, dict.fromkeys(names, 0))
        self.start_starved(self.connecting_pod("starved", "shut", address, 5))
        self.assertEqual(self.leaks("starved"), 0, "held back while the agent had no processor")

    def test_nri_without_it_the_race_is_there(self):
        self.need_nri()
        self.site.apply(busybox_pod("server", SERVE))
        address = self.site.wait_ready("server")["status"]["podIP"]
        self.close_egress_of("shut")
        self.site.kill_daemon(signal.SIGTERM)
        try:
            self.site.start_daemon(mode="off")
            self.assertIn("switched off", self.site.nri_row()["detail"])
            pod = self.connecting_pod("starved", "shut", address, 5)
            self.start_starved(pod)
            self.site.daemon.send_signal(signal.SIGSTOP)
            try:
                self.assertGreater(self.leaks("starved"), 0)
            finally:
                self.site.daemon.send_signal(signal.SIGCONT)
        finally:
            self.site.kill_daemon(signal.SIGTERM)
            self.site.start_daemon()
            self.site.wait_nri()

    def lost_to_the_runtime(self):
        """How often the runtime gave the agent up: for one answer that comes after 2 s, which a starved machine is enough for."""
        return self.site.log.read_text().count("no container waits for its programs: NRI of ")

    def refused_or_unasked(self, name):
        """How the container waits that was refused; None if it runs, because the runtime had given the agent up and did not ask."""
        lost = self.lost_to_the_runtime()

        def outcome():
            state = self.site.pod(name)["status"]["containerStatuses"][0]["state"]
            waiting = state.get("waiting", {})
            return ("refused", waiting) if waiting.get("reason") == "CreateContainerError" else ("runs", None) if "running" in state else None
        what, waiting = wait_until(outcome, 60, f"the container of {name} refused")
        if what == "runs":
            wait_until(lambda: self.lost_to_the_runtime() > lost, 20, f"{name} runs without its programs: was the runtime's connection lost?")
        return waiting

    def test_nri_refuses_what_requires_its_programs_and_has_none(self):
        self.need_nri()
        pod = busybox_pod("strict", SLEEP, annotations={"pintle.dev/ebpf": "required", "pintle.dev/network-policy": "strictly"})
        for _ in range(3):
            self.site.wait_nri()
            self.site.apply(pod)
            if told := self.refused_or_unasked("strict"):
                break
            self.site.kubectl("delete", "pod", "strict", "--grace-period=1")
        self.assertTrue(told, "the runtime gave the agent up three times: nothing can be told of refusals on this machine")
        self.assertIn("eBPF programs of pod 'default/strict' are required and not in force", told["message"])
        # The first refusal may be that the agent had no time to look; the kubelet asks again each 10 to 15 s.
        why = lambda: self.site.pod("strict")["status"]["containerStatuses"][0]["state"]["waiting"]["message"]
        wait_until(lambda: "strictly" in why(), 60, "the annotation named")
        source = "jsonpath={.items[*].source.component}"
        told_by = self.site.kubectl("get", "events", "-n", "default", "--field-selector", "reason=ProgramPlanRefused,involvedObject.name=strict", "-o", source)
        self.assertEqual(set(told_by.split()), {"pintle"}, "not the kubelet's own event")
        self.site.kubectl("annotate", "pod", "strict", "pintle.dev/network-policy-")
        self.site.wait_ready("strict")
        self.effective("strict")

    def test_nri_is_back_when_the_runtime_is(self):
        self.need_nri()
        self.site.apply(busybox_pod("stays", SLEEP))
        self.site.wait_ready("stays")
        links = {hook["hook"]: hook["linkId"] for hook in self.effective("stays")["hooks"]}
        told = _run(ROOT / "scripts" / "dev-containerd", "status", "--dir", self.site.dir / "containerd")
        pid = int(re.search(r"^PID=(\d+)$", told, re.M)[1])
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not os.path.exists(f"/proc/{pid}"), 20, "containerd's end")
        wait_until(lambda: "no container waits for its programs" in self.site.ctl("status", check=False).stdout, 20, "told in the status")
        self.site.start_containerd("--resume")
        self.site.wait_nri()
        self.assertEqual({hook["hook"]: hook["linkId"] for hook in self.effective("stays")["hooks"]}, links)
        self.site.apply(busybox_pod("later", SLEEP))
        self.site.wait_ready("later")
        self.effective("later")

    def test_uninstall_leaves_nothing_and_ends_no_pod(self):
        self.site.apply(busybox_pod("survivor", SLEEP))
        pod = self.site.wait_ready("survivor")
        self.effective("survivor")
        ours = set(self.site.pinned_links().values())
        self.assertTrue(ours & self.site.link_ids())
        self.site.kill_daemon(signal.SIGTERM)
        try:
            self.assertTrue(ours <= self.site.link_ids())  # an ended agent keeps its programs in force
            self.assertRegex(self.site.uninstall(), r"took the programs off [1-9]\d* pods, and removed all pins")
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
    sys.exit(results.run(sys.modules["__main__"], OPTIONS))
