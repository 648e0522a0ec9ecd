# SPDX-License-Identifier: Apache-2.0
# Copyright The Pintle Authors
"""A node for end-to-end tests: private mount and network namespaces, a runtime, an API and a pintled of its own.

Everything lies in one temporary folder and one cgroup prefix; Node.close() ends and removes all of it. Should this process end
without close() (a timeout's KILL, Ctrl-C), a guard process does the same.
"""
import argparse
import glob
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import runtimes
from runtimes import NotHere

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUSYBOX = "pintle.local/busybox:1"
NODE = "e2e-node"
METRICS = "127.0.0.1:9810"  # in a network namespace of the test's own


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
    parser.add_argument("--junit", type=pathlib.Path, help="where the results are written to; left out: nowhere")
    parser.add_argument("--keep", action="store_true", help="leave the folder for inspection")
    parser.add_argument("--runtime", choices=runtimes.KINDS, default="containerd", help="what runs the pods where the suite has a choice")
    parser.add_argument("words", nargs="*", metavar="WORD", help="run only tests whose name has one of these words in it")
    options = parser.parse_args()
    options.build = options.build.resolve()  # the daemon's configuration takes absolute paths
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


def _processes_of(path):
    """Pids of daemons that were started with this configuration file."""
    for folder in glob.glob("/proc/[0-9]*"):
        try:
            words = pathlib.Path(folder, "cmdline").read_bytes().split(b"\0")
        except OSError:  # it ended meanwhile
            continue
        if os.fsencode(path) in words and words[0].endswith(b"pintled"):
            yield int(folder[6:])


def _signal(pid, sig):
    try:
        os.kill(pid, sig)
    except ProcessLookupError:  # it ended meanwhile
        pass


def _end_daemon(path):
    for sig, seconds in ((signal.SIGTERM, 20), (signal.SIGKILL, 5)):
        for pid in _processes_of(path):
            _signal(pid, sig)
        deadline = time.monotonic() + seconds
        while list(_processes_of(path)):
            if time.monotonic() > deadline:
                break
            time.sleep(0.05)
        else:
            if sig == signal.SIGTERM:
                return
    raise RuntimeError("the daemon did not end within 20 s of SIGTERM and was killed")


def _run(*words):
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, timeout=120)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, words))}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout


def cgroups_of(name):
    """The cgroup directories of one test, over all hierarchies, deepest first."""
    tops = glob.glob(f"/sys/fs/cgroup/{name}") + glob.glob(f"/sys/fs/cgroup/*/{name}")
    return [path for top in tops for path, _, _ in os.walk(top, topdown=False)]


def _remove_cgroups(name):
    deadline = time.monotonic() + 5
    while left := cgroups_of(name):
        for path in left:
            try:
                for pid in pathlib.Path(path, "cgroup.procs").read_text().split():
                    _signal(int(pid), signal.SIGKILL)
                os.rmdir(path)
            except OSError:  # killed processes leave their cgroup when they have exited
                pass
        if time.monotonic() > deadline:
            raise RuntimeError(f"these cgroups can't be removed: {left}")
        time.sleep(0.05)


def remove_traces(build, folder, keep=False):
    """Ends and removes everything of the node in `folder`; what fails is told at the end and stops nothing else.

    The daemon's own clean-up goes first and must have left nothing: what the last step finds is an error, and removed."""
    config = folder / "pintled.yaml"
    errors = []

    def attempt(step, *args):
        try:
            step(*args)
        except (OSError, RuntimeError, subprocess.SubprocessError) as error:
            errors.append(str(error))

    attempt(_end_daemon, config)
    for runtime in runtimes.KINDS:
        if (folder / runtime).exists():
            attempt(_run, ROOT / "scripts" / f"dev-{runtime}", "stop", "--dir", folder / runtime)
    if config.exists():
        attempt(_run, build / "pintled", "cleanup", "--config", config)
    if (folder / "api").exists():
        attempt(_run, ROOT / "scripts" / "dev-apiserver", "stop", "--dir", folder / "api")
    if left := cgroups_of(folder.name):
        errors.append(f"pintled cleanup left {len(left)} cgroups, such as {left[0]}")
        attempt(_remove_cgroups, folder.name)
    if os.path.ismount(folder / "run"):
        attempt(_run, "umount", folder / "run")
    if not keep:
        shutil.rmtree(folder, ignore_errors=True)
    if errors:
        raise RuntimeError("the node was not removed cleanly:\n" + "\n".join(errors))


def start_guard(build, folder, keep, remove=remove_traces):
    """Forks a process that removes the node when this one is gone. Returns the descriptor to write to when it need not.

    It is nobody's child and in a session of its own, so that what kills a test with all its descendants does not reach it."""
    reading, writing = os.pipe()  # neither is inherited by programs
    if (child := os.fork()) != 0:
        os.waitpid(child, 0)
        os.close(reading)
        return writing
    try:
        os.close(writing)
        os.setsid()
        if os.fork() == 0:
            # The caller's output would keep its reader waiting for us.
            null = os.open(os.devnull, os.O_RDWR)
            for stream in (0, 1, 2):
                os.dup2(null, stream)
            if os.read(reading, 1) == b"":
                remove(build, folder, keep)
    finally:
        os._exit(0)


class Node:
    def __init__(self, build, real_api=False, keep=False, pintle=None, roles=(), runtime="containerd"):
        """`roles`: RBAC objects; with any of them the real API server authorizes by them, and the agent is its user "agent"."""
        if os.geteuid() != 0:
            raise NotHere("needs root")
        runtimes.KINDS[runtime].check()
        for tool in ("kubectl", "ip", "unshare"):
            if shutil.which(tool) is None:
                raise NotHere(f"{tool} is not installed")
        if real_api and not os.environ.get("KUBEBUILDER_ASSETS"):
            raise NotHere("KUBEBUILDER_ASSETS is not set")
        self.build, self.real_api, self.keep = build, real_api, keep
        self.roles = list(roles)
        self.pintle = pintle or {}  # more of the section of that name
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="pintle-e2e-", dir="/run" if os.path.isdir("/run") else None))
        self.runtime = runtimes.KINDS[runtime](self.dir / runtime)
        self.cgroup_root = f"/{self.dir.name}"
        self.manifests = self.dir / "manifests"
        self.manifests.mkdir()
        self.programs = self.dir / "programs"
        self.programs.mkdir(mode=0o755)
        self.logs, self.log_links = self.dir / "logs", self.dir / "containers"
        self.socket = self.dir / "pintle.sock"
        self.run_dir = self.dir / "run"  # of memory, as /run of a node
        self.run_dir.mkdir()
        _run("mount", "-t", "tmpfs", "-o", "mode=0755", "pintle-e2e", self.run_dir)
        self.daemon = None
        self.log = self.dir / "pintled.log"
        self.guard = start_guard(self.build, self.dir, keep)
        try:
            self._start_parts()
        except BaseException:
            try:
                self.close()
            except RuntimeError as error:
                print(error, file=sys.stderr)  # what went wrong first is the one to raise
            raise

    def _start_parts(self):
        self.runtime.start()
        if self.real_api:
            self._script("dev-apiserver", "start", "--dir", self.dir / "api", *(["--authorization", "RBAC"] if self.roles else []))
            self.kubeconfig = self.dir / "api" / "kubeconfig"
            if self.roles:
                self.apply(*self.roles)
        else:
            self.kubeconfig = self.dir / "root" / "kubeconfig"
        config = {
            "apiVersion": "pintle.dev/v1", "kind": "PintleConfiguration",
            "containerRuntimeEndpoint": f"unix://{self.runtime.socket}",
            "staticPodPath": str(self.manifests), "cgroupRoot": self.cgroup_root, "podLogsDir": str(self.logs),
            "pintle": {"mode": "node" if self.real_api else "standalone", "nodeName": NODE, "nodeIP": "127.0.0.1", "rootDir": str(self.dir / "root"),
                       "runDir": str(self.run_dir), "containerLogsDir": str(self.log_links), "controlSocket": str(self.socket), "metrics": {"listen": METRICS},
                       "events": {"json": str(self.dir / "events.json")},
                       "ebpf": {"programsFolder": str(self.programs), "programsNamespace": "kube-system",
                                "setsFolder": str(self.build / "ebpf" / "sets")}},
        }
        if self.real_api:
            config["pintle"]["kubeconfig"] = str(self.dir / "api" / "agent.kubeconfig" if self.roles else self.kubeconfig)
        else:
            config["pintle"]["listen"] = "127.0.0.1:0"
        config["pintle"].update(self.pintle)
        (self.dir / "pintled.yaml").write_text(json.dumps(config))  # JSON is YAML
        self.start_daemon()

    def _script(self, name, *args):
        done = subprocess.run([str(ROOT / "scripts" / name), *map(str, args)], capture_output=True, text=True, timeout=120)
        if done.returncode != 0:
            raise RuntimeError(f"scripts/{name} {' '.join(map(str, args))}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
        return done.stdout

    def start_daemon(self, all_parts=True):
        """Waits until every part works, or only until it answers."""
        with open(self.log, "ab") as log:
            self.daemon = subprocess.Popen([str(self.build / "pintled"), "--config", str(self.dir / "pintled.yaml")], stdout=log, stderr=log)
        if all_parts:
            self.ctl("status", "--wait", "--timeout", "20s")
        else:
            wait_until(lambda: self.ctl("status", check=False).returncode != 3, 20, "the daemon answers")

    def kill_daemon(self, sig=signal.SIGKILL):
        self.daemon.send_signal(sig)
        self.daemon.wait(timeout=20)

    def ctl(self, *args, check=True, stdin=None, env=None):
        environment = {**os.environ, "PINTLE_SOCKET": str(self.socket), **(env or {})}
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
        return self.runtime.containers()

    def container_of(self, name):
        """The id of the pod's first container, as the API has it."""
        return self.pod(name)["status"]["containerStatuses"][0]["containerID"].split("//")[1]

    def kill_container(self, name, id=None):
        self.runtime.kill((id or self.container_of(name)).split("//")[-1])

    def exec_in(self, name, *words, id=None):
        """What a command prints in the pod's first container."""
        return self.runtime.exec(id or self.container_of(name), *words)

    def starts_of(self, name, line):
        """Starts of the pod's first container so far, if its newest instance has printed the line; else 0. Older ones' logs may be gone."""
        logs = [pathlib.Path(file) for file in glob.glob(str(self.dir / "logs" / f"default_{name}_*" / "c0" / "*.log"))]
        newest = max(logs, key=lambda file: int(file.stem), default=None)
        return int(newest.stem) + 1 if newest and line in newest.read_text(errors="replace") else 0

    def log_of(self, name):
        """What the pod's first container has printed, over all its starts."""
        folders = glob.glob(str(self.dir / "logs" / f"default_{name}_*" / "c0" / "*.log"))
        return "\n".join(pathlib.Path(file).read_text(errors="replace") for file in sorted(folders))

    def ebpf(self, name):
        """The hooks of one pod as `pintlectl ebpf status -o json` has them."""
        return json.loads(self.ctl("ebpf", "status", name, "-o", "json"))

    def ebpf_now(self, name):
        """The same while not every hook is in force, of which the exit code would tell."""
        return json.loads(self.ctl("ebpf", "status", name, "-o", "json", check=False).stdout)

    def pod_programs(self):
        """Operators' programs by name. The exit code is not 0 while one is refused."""
        return {one["name"]: one for one in json.loads(self.ctl("ebpf", "programs", "-o", "json", check=False).stdout)["items"]}

    def pod_program_of(self, pod, name):
        """The row of an operator's program in a pod's eBPF status; None: it has none."""
        rows = json.loads(self.ctl("ebpf", "status", pod, "-o", "json", check=False).stdout)["pods"][0]["hooks"]
        return next((row for row in rows if row.get("podProgram") == name), None)

    def object(self, name):
        """A BPF object of tests/bpf/programs, as bytes."""
        return (self.build / "tests" / "bpf" / "programs" / name).read_bytes()

    def log_tail(self):
        return self.log.read_text(errors="replace")[-6000:] if self.log.exists() else ""

    def close(self):
        """Raises when something had to be removed that should have been gone, after removing it."""
        if self.guard is None:
            return
        try:
            remove_traces(self.build, self.dir, self.keep)
        finally:
            os.write(self.guard, b"x")
            os.close(self.guard)
            self.guard = None


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
