# SPDX-License-Identifier: Apache-2.0
# Copyright The Pintle Authors
"""The container runtimes a test's node can have, each one of the test's own (scripts/dev-*): started, and asked past Pintle."""
import json
import os
import pathlib
import shutil
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]


class NotHere(Exception):
    """A precondition of this machine is missing; the text names it."""


def _output(*words):
    return subprocess.run([str(word) for word in words], check=True, capture_output=True, text=True, timeout=30).stdout


class Runtime:
    """`name` is that of the script, of the folder and of the socket in it."""

    def __init__(self, folder):
        self.dir, self.socket = folder, folder / f"{self.name}.sock"

    @staticmethod
    def check_tools(*tools):
        for tool in tools:
            if shutil.which(tool) is None:
                raise NotHere(f"{tool} is not installed")

    def _script(self, *words):
        words = [str(ROOT / "scripts" / f"dev-{self.name}"), *map(str, words), "--dir", str(self.dir)]
        done = subprocess.run(words, capture_output=True, text=True, timeout=120)
        if done.returncode != 0:
            raise RuntimeError(f"{' '.join(words)}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
        return done.stdout

    def start(self, resume=False):
        self._script("start", *(["--resume"] if resume else []))

    def pid(self):
        return int(next(line for line in self._script("status").splitlines() if line.startswith("PID=")).split("=")[1])


class Containerd(Runtime):
    name = "containerd"

    @classmethod
    def check(cls):
        cls.check_tools("containerd", "ctr")

    def _ctr(self, *words):
        return _output("ctr", "-a", self.socket, "-n", "k8s.io", *words)

    def containers(self):
        return set(self._ctr("containers", "ls", "-q").split())

    def kill(self, id):
        self._ctr("task", "kill", "-s", "SIGKILL", id)

    def exec(self, id, *words):
        return self._ctr("task", "exec", "--exec-id", f"e{time.monotonic_ns()}", id, *words)


class Crio(Runtime):
    """PINTLE_CRIO names the folder with crio and pinns. It has no client of its own for these: its storage and runc are asked."""
    name = "crio"

    @classmethod
    def check(cls):
        if not os.environ.get("PINTLE_CRIO"):
            raise NotHere("PINTLE_CRIO is not set: a folder with crio and pinns")
        cls.check_tools("conmon", "runc", "skopeo")

    def _runc(self, *words):
        return _output("runc", "--root", self.dir / "oci", *words)

    def containers(self):
        lists = (self.dir / "root" / "vfs-containers" / name for name in ("containers.json", "volatile-containers.json"))
        return {one["id"] for path in lists if path.exists() for one in json.loads(path.read_text() or "[]")}

    def kill(self, id):
        self._runc("kill", id, "KILL")

    def exec(self, id, *words):
        return self._runc("exec", id, *words)


KINDS = {"containerd": Containerd, "crio": Crio}
