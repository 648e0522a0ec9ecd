# SPDX-License-Identifier: Apache-2.0
# Copyright The Pintle Authors
"""A node for end-to-end tests: private mount and network namespaces, a containerd, an API and a pintled of its own.

Everything lies in one temporary folder and one cgroup prefix; Node.close() ends and removes all of it.
"""
import argparse
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUSYBOX = "pintle.local/busybox:1"
NODE = "e2e-node"


class NotHere(Exception):
    """A precondition of this machine is missing; the text names it."""


def enter_namespaces():
    """Starts this script again in mount and network namespaces of its own."""
    if os.environ.get("PINTLE_E2E_INSIDE") == "1":
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        return
    os.environ["PINTLE_E2E_INSIDE"] = "1"
    os.execvp("unshare", ["unshare", "--mount", "--net", "--propagation", "private", sys.executable, *sys.argv])


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--junit", default="results.xml")
    parser.add_argument("--keep", action="store_true", help="leave the folder for inspection")
    options, rest = parser.parse_known_args()
    sys.argv[1:] = rest
    return options


def wait_until(condition, seconds=30, what="condition"):
    """Polls until condition() is truthy and returns it; fails naming `what` and the last value or error."""
    deadline = time.monotonic() + seconds
    last = None
    while time.monotonic() < deadline:
        try:
            last = condition()
            if last:
                return last
        except (subprocess.CalledProcessError, KeyError, IndexError, json.JSONDecodeError) as error:
            last = getattr(error, "stderr", None) or repr(error)
        time.sleep(0.05)
    raise AssertionError(f"{what} not reached within {seconds} s; last: {last}")


class Node:
    def __init__(self, build, real_api=False, keep=False):
        if os.geteuid() != 0:
            raise NotHere("needs root")
        for tool in ("containerd", "ctr", "kubectl", "ip", "unshare"):
            if shutil.which(tool) is None:
                raise NotHere(f"{tool} is not installed")
        if real_api and not os.environ.get("KUBEBUILDER_ASSETS"):
            raise NotHere("KUBEBUILDER_ASSETS is not set")
        self.build, self.real_api, self.keep = build, real_api, keep
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="pintle-e2e-", dir="/run" if os.path.isdir("/run") else None))
        self.cgroup_root = f"/{self.dir.name}"
        self.manifests = self.dir / "manifests"
        self.manifests.mkdir()
        self.socket = self.dir / "pintle.sock"
        self.daemon = None
        self.log = self.dir / "pintled.log"
        try:
            self._start_parts()
        except BaseException:
            self.close()
            raise

    def _start_parts(self):
        self.start_containerd()
        if self.real_api:
            self._script("dev-apiserver", "start", "--dir", self.dir / "api")
            self.kubeconfig = self.dir / "api" / "kubeconfig"
        else:
            self.kubeconfig = self.dir / "root" / "kubeconfig"
        config = {
            "apiVersion": "pintle.dev/v1", "kind": "PintleConfiguration",
            "containerRuntimeEndpoint": f"unix://{self.dir}/containerd/containerd.sock",
            "staticPodPath": str(self.manifests), "cgroupRoot": self.cgroup_root, "podLogsDir": str(self.dir / "logs"),
            "pintle": {"mode": "node" if self.real_api else "standalone", "nodeName": NODE, "nodeIP": "127.0.0.1", "rootDir": str(self.dir / "root"),
                       "runDir": str(self.dir), "controlSocket": str(self.socket)},
        }
        if self.real_api:
            config["pintle"]["kubeconfig"] = str(self.kubeconfig)
        else:
            config["pintle"]["listen"] = "127.0.0.1:0"
        (self.dir / "pintled.yaml").write_text(json.dumps(config))  # JSON is YAML
        self.start_daemon()

    def _script(self, name, *args):
        done = subprocess.run([str(ROOT / "scripts" / name), *map(str, args)], capture_output=True, text=True, timeout=120)
        if done.returncode != 0:
            raise RuntimeError(f"scripts/{name} {' '.join(map(str, args))}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
        return done.stdout

    def start_containerd(self, resume=False):
        self._script("dev-containerd", "start", "--dir", self.dir / "containerd", *(["--resume"] if resume else []))

    def containerd_pid(self):
        told = self._script("dev-containerd", "status", "--dir", self.dir / "containerd")
        return int(next(line for line in told.splitlines() if line.startswith("PID=")).split("=")[1])

    def start_daemon(self):
        with open(self.log, "ab") as log:
            self.daemon = subprocess.Popen([str(self.build / "pintled"), "--config", str(self.dir / "pintled.yaml")], stdout=log, stderr=log)
        self.ctl("status", "--wait", "--timeout", "20s")

    def kill_daemon(self, sig=signal.SIGKILL):
        self.daemon.send_signal(sig)
        self.daemon.wait(timeout=20)

    def ctl(self, *args, check=True, stdin=None):
        environment = {**os.environ, "PINTLE_SOCKET": str(self.socket)}
        done = subprocess.run([str(self.build / "pintlectl"), *map(str, args)], capture_output=True, text=True, env=environment, input=stdin, timeout=180)
        if check and done.returncode != 0:
            raise AssertionError(f"pintlectl {' '.join(map(str, args))} ended with {done.returncode}:\n{done.stdout}{done.stderr}\n{self.log_tail()}")
        return done if not check else done.stdout

    def kubectl(self, *args, check=True, stdin=None):
        done = subprocess.run(["kubectl", "--kubeconfig", str(self.kubeconfig), *map(str, args)], capture_output=True, text=True, input=stdin, timeout=180)
        if check and done.returncode != 0:
            raise AssertionError(f"kubectl {' '.join(map(str, args))} ended with {done.returncode}:\n{done.stdout}{done.stderr}\n{self.log_tail()}")
        return done if not check else done.stdout

    def apply(self, *objects):
        return self.kubectl("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)}))

    def pod(self, name, namespace="default"):
        done = self.kubectl("get", "pod", name, "-n", namespace, "-o", "json", check=False)
        return json.loads(done.stdout) if done.returncode == 0 else None

    def wait_pod(self, name, condition, seconds=60, what=""):
        try:
            return wait_until(lambda: (pod := self.pod(name)) is not None and condition(pod) and pod, seconds, f"pod {name}: {what}")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.ctl('explain', 'pod/' + name, check=False).stdout}\n{json.dumps(self.pod(name), indent=1)}\n{self.log_tail()}")

    def wait_phase(self, name, phase, seconds=60):
        return self.wait_pod(name, lambda pod: pod["status"].get("phase") == phase, seconds, f"phase {phase}")

    def wait_ready(self, name, seconds=60):
        return self.wait_pod(name, lambda pod: condition(pod, "Ready") == "True", seconds, "Ready")

    def wait_gone(self, name, seconds=60):
        return wait_until(lambda: self.pod(name) is None, seconds, f"pod {name} gone")

    def delete(self, name, *more):
        self.kubectl("delete", "pod", name, "--wait=false", *more)

    def containers(self):
        """Every container the runtime has, by id, with the pod sandboxes."""
        done = subprocess.run(["ctr", "-a", str(self.dir / "containerd" / "containerd.sock"), "-n", "k8s.io", "containers", "ls", "-q"],
                              capture_output=True, text=True, timeout=30)
        return set(done.stdout.split())

    def ebpf(self, name):
        """The hooks of one pod as `pintlectl ebpf status -o json` has them."""
        return json.loads(self.ctl("ebpf", "status", name, "-o", "json"))

    def log_tail(self):
        return self.log.read_text(errors="replace")[-6000:] if self.log.exists() else ""

    def close(self):
        if self.daemon and self.daemon.poll() is None:
            self.kill_daemon(signal.SIGTERM)
        config = self.dir / "pintled.yaml"
        if (self.dir / "containerd").exists():
            try:
                self._script("dev-containerd", "stop", "--dir", self.dir / "containerd")
            except RuntimeError as error:
                print(error, file=sys.stderr)
        if config.exists():
            subprocess.run([str(self.build / "pintled"), "cleanup", "--config", str(config)], capture_output=True, timeout=30)
        if (self.dir / "api").exists():
            self._script("dev-apiserver", "stop", "--dir", self.dir / "api")
        if not self.keep:
            shutil.rmtree(self.dir, ignore_errors=True)


def condition(pod, kind):
    for entry in pod.get("status", {}).get("conditions", []):
        if entry["type"] == kind:
            return entry["status"]
    return None


def busybox_pod(name, *commands, init=(), restart="Always", **spec):
    """A pod with one busybox container per shell command."""
    def container(prefix, index, command):
        return {"name": f"{prefix}{index}", "image": BUSYBOX, "imagePullPolicy": "IfNotPresent", "command": ["sh", "-c", command]}
    annotations = spec.pop("annotations", {})
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "default", "labels": {"app": name}, "annotations": annotations},
            "spec": {"nodeName": NODE, "restartPolicy": restart, "terminationGracePeriodSeconds": 2, "automountServiceAccountToken": False,
                     "initContainers": [container("init", i, c) for i, c in enumerate(init)],
                     "containers": [container("c", i, c) for i, c in enumerate(commands)], **spec}}
