# SPDX-License-Identifier: Apache-2.0
# Copyright The Pintle Authors
"""Programs of operators and of Pintle beside a real kubelet: ConfigMaps as an operator makes them, bpftool as the judge of what pintlectl
shows, taking Pintle off after the worst, and connect() from a container's first instruction on. Needs what beside_kubelet.py needs."""
import contextlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest

import beside_kubelet
import results
from beside_kubelet import IMAGE, SERVE, SLEEP, SiteCase
from harness import NODE, ROOT, arguments, busybox_pod, cgroups_of, enter_namespaces, wait_until
from spine import labelled, pod_program

# Its first instructions are calls of connect(), each told by its errno; then it is ready and waits.
CONNECTS = r"""
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
int main(int argc, char **argv) {
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(8080)};
  inet_pton(AF_INET, argv[1], &to.sin_addr);
  int refused = 0, passed = 0;
  for (int i = 0; argc > 2 && i < atoi(argv[2]); ++i) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (connect(fd, (struct sockaddr *)&to, sizeof to) == 0 || errno == EINPROGRESS) ++passed;
    else if (errno == EPERM) ++refused;
    close(fd);
  }
  printf("refused %d passed %d\n", refused, passed);
  fflush(stdout);
  close(open("/tmp/tried", O_CREAT | O_WRONLY, 0644));
  for (;;) pause();
}
"""
TRIES = 200


def bpftool(*words):
    done = subprocess.run(["bpftool", "-j", *map(str, words)], capture_output=True, text=True, check=True,
                          env={**os.environ, "PATH": os.environ["PATH"] + ":/usr/sbin:/sbin"})
    return json.loads(done.stdout or "[]")


def held_by(pid):
    """Ids of the BPF objects that a process has open, as the kernel tells them: kind -> ids. (bpftool does not know holders everywhere.)"""
    held = {"link": set(), "prog": set(), "map": set()}
    for entry in pathlib.Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # it was closed meanwhile
            kind = os.readlink(entry).removeprefix("anon_inode:").strip("[]").removeprefix("bpf").strip("-_")
            if kind in held:
                info = dict(line.split(":", 1) for line in pathlib.Path(f"/proc/{pid}/fdinfo", entry.name).read_text().splitlines())
                held[kind].add(int(info[f"{kind}_id"]))
    return held


class CompanionPrograms(SiteCase):
    maxDiff = None

    def hooks(self, name):
        return self.site.ebpf(name)["hooks"]

    def ours(self, kind, pid=None, bpffs=None):
        """What the daemon holds or has pinned, with the programs of its links and the maps of its programs: id -> bpftool's entry."""
        pid, bpffs = pid or self.site.daemon.pid, bpffs or self.site.bpffs
        held = held_by(pid)[kind]
        if kind == "prog":
            held |= {link["prog_id"] for link in self.ours("link", pid, bpffs).values()}
        if kind == "map":
            held |= {number for program in self.ours("prog", pid, bpffs).values() for number in program.get("map_ids", [])}
        return {entry["id"]: entry for entry in bpftool("-f", kind)
                if entry["id"] in held or any(pin.startswith(f"{bpffs}/") for pin in entry.get("pinned", []))}

    def nothing_is_hidden(self, ctl, *place):
        """`ebpf progs`, `maps` and `cost` tell what bpftool has of the daemon's, and nothing else."""
        linked, loaded, maps = (self.ours(kind, *place) for kind in ("link", "prog", "map"))
        shown = {one["id"]: one for one in json.loads(ctl("ebpf", "progs", "-o", "json"))["items"]}
        self.assertEqual({number: (one["tag"], one["name"][:15]) for number, one in shown.items()},
                         {number: (one["tag"], one.get("name", "")[:15]) for number, one in loaded.items()})
        per_program = {number: sum(link.get("prog_id") == number for link in linked.values()) for number in shown}
        self.assertEqual({number: int(one["links"]) for number, one in shown.items()}, per_program)
        named = {one["id"]: one["name"] for one in json.loads(ctl("ebpf", "maps", "-o", "json"))["items"]}
        self.assertEqual(named, {number: one.get("name", "") for number, one in maps.items()})
        cost = json.loads(ctl("ebpf", "cost", "-o", "json"))
        self.assertEqual((int(cost["programs"]), int(cost["maps"]), int(cost["links"])), (len(loaded), len(maps), len(linked)))

    def cgroup_of(self, name):
        """The pod's directory in the v2 tree, by its cgroup's id."""
        wanted = int(self.site.ebpf(name)["cgroupId"])
        return next(path for path in cgroups_of(self.site.dir.name) if os.stat(path).st_ino == wanted)

    def config_map(self, name, folder, namespace="kube-system", replace=False):
        """The commands of docs/programs.md, for every file of the folder."""
        files = [f"--from-file={path}" for path in sorted(folder.iterdir())]
        kubectl = self.site.kubectl
        if replace:
            made = kubectl("create", "configmap", name, "-n", namespace, *files, "--dry-run=client", "-o", "yaml")
            marked = kubectl("label", "--local", "-f", "-", "pintle.dev/pod-program=true", "-o", "yaml", stdin=made)
            return kubectl("replace", "-f", "-", stdin=marked)
        kubectl("create", "configmap", name, "-n", namespace, *files)
        return kubectl("label", "configmap", name, "-n", namespace, "pintle.dev/pod-program=true")

    def files(self, document, **objects):
        """A folder with a document and its objects, name -> object of tests/bpf/programs."""
        folder = pathlib.Path(tempfile.mkdtemp(dir=self.site.dir))
        (folder / "program.yaml").write_text(json.dumps(document))
        for name, source in objects.items():
            shutil.copy(OPTIONS.build / "tests" / "bpf" / "programs" / source, folder / f"{name}.bpf.o")
        return folder

    def containers_of(self, *names):
        told = {name: self.site.pod(name)["status"]["containerStatuses"] for name in names}
        return {name: [(c["containerID"], c["restartCount"], c["ready"]) for c in statuses] for name, statuses in told.items()}

    def refused_ports(self, name):
        """Of the two that the test's objects know."""
        return [port for port in (7001, 7002) if "not permitted" in self.site.in_pod(name, f"nc 127.0.0.1 {port} </dev/null").stderr]

    def test_an_operators_program_comes_as_a_config_map_to_the_daemon_set(self):
        self.site.apply(labelled(busybox_pod("guarded", SLEEP), app="guarded"), labelled(busybox_pod("other", SLEEP), app="other"))
        self.site.wait_ready("guarded")
        self.site.wait_ready("other")
        before = self.containers_of("guarded", "other")
        self.install("overlays/programs")

        def programs():
            return {one["name"]: one for one in json.loads(self.in_agent("ebpf", "programs", "-o", "json").stdout)["items"]}

        def row(pod):
            told = self.in_agent("ebpf", "status", pod, "-o", "json").stdout
            return next((hook for hook in json.loads(told)["pods"][0]["hooks"] if hook.get("podProgram") == "deny-port"), None)

        document = pod_program("deny-port", {"app": "guarded"}, namespaces=["default"], order="before")
        self.config_map("deny", self.files(document, connect="connect_v1.bpf.o"), "pintle-system")
        first = wait_until(lambda: (found := row("guarded")) and found["state"] == "Attached" and found, 20, "attached")
        told = programs()["deny-port"]
        self.assertEqual((told["state"], told["pods"], told["origin"]), ("Loaded", 1, "configmap pintle-system/deny"))
        self.assertIsNone(row("other"))
        self.assertRegex(self.in_agent("ebpf", "status", "guarded").stdout, r"connect4:deny-port\s")
        self.assertEqual((self.refused_ports("guarded"), self.refused_ports("other")), ([7001], []))
        [link] = [link for link in self.site.links() if link["id"] == first["linkId"]]
        tag = bpftool("prog", "show", "id", link["prog_id"])["tag"]
        self.assertEqual((link["attach_type"], tag), ("cgroup_inet4_connect", first["programTag"]))
        self.assertTrue([pin for pin in link["pinned"] if pin.startswith("/sys/fs/bpf/")], "pinned where the node sees it")

        # With the agent's three capabilities as well.
        pid = self.site.pid_of(self.site.pod("pintle", "pintle-system")["status"]["containerStatuses"][0]["containerID"])
        self.nothing_is_hidden(lambda *words: self.in_agent(*words).stdout, pid, "/sys/fs/bpf")

        self.config_map("deny", self.files(document, connect="connect_v2.bpf.o"), "pintle-system", replace=True)
        second = wait_until(lambda: (found := row("guarded"))["programTag"] != first["programTag"] and found, 20, "second version")
        self.assertEqual((second["linkId"], self.refused_ports("guarded")), (first["linkId"], [7002]))

        bad = pod_program("deny-port", {"app": "guarded"}, "bad.bpf.o", "no_null_check")
        self.config_map("deny", self.files(bad, bad="bad.bpf.o"), "pintle-system", replace=True)
        outdated = wait_until(lambda: (found := programs()["deny-port"])["state"] == "Outdated" and found, 20, "the refusal told")
        self.assertIn("map_value_or_null", outdated["error"])
        self.assertEqual((row("guarded")["linkId"], self.refused_ports("guarded")), (first["linkId"], [7002]))
        worse = pod_program("worse", {"app": "other"}, "bad.bpf.o", "no_null_check")
        self.config_map("worse", self.files(worse, bad="bad.bpf.o"), "pintle-system")
        refused = wait_until(lambda: (found := programs().get("worse")) and found["state"] == "Refused" and found, 20, "refused")
        self.assertIn("map_value_or_null", refused["error"])
        reasons = lambda: self.site.kubectl("get", "events", "-A", "-o", "jsonpath={.items[*].reason}")
        wait_until(lambda: "PodProgramRefused" in reasons(), 20, "event PodProgramRefused")
        self.assertEqual(self.containers_of("guarded", "other"), before)

        self.site.kubectl("delete", "configmap", "deny", "worse", "-n", "pintle-system")
        wait_until(lambda: row("guarded") is None and not programs(), 20, "removed")
        self.assertEqual((self.refused_ports("guarded"), [link for link in self.site.links() if link["id"] == first["linkId"]]), ([], []))
        wait_until(lambda: not [one for one in bpftool("prog") if one.get("name") == "deny_port"], 20, "freed")
        self.assertEqual(self.containers_of("guarded", "other"), before)

    def test_bpftool_and_pintlectl_tell_the_same(self):
        plain = busybox_pod("plain", SLEEP)
        traced = busybox_pod("traced", SLEEP, annotations={"pintle.dev/ebpf-trace": "connect,sendmsg,bind,accept,tcp"})
        self.site.apply(labelled(plain, app="plain"), labelled(traced, app="traced"))
        document = pod_program("deny-port", {"app": "plain"}, order="before")
        self.config_map("deny", self.files(document, connect="connect_v1.bpf.o"))
        self.addCleanup(self.site.kubectl, "delete", "configmap", "deny", "-n", "kube-system")
        for name in ("plain", "traced"):
            self.site.wait_ready(name)
            self.effective(name)
        wait_until(lambda: any(hook.get("podProgram") for hook in self.hooks("plain")), 20, "the operator's program")
        self.assertGreater(len(self.hooks("traced")), len(self.hooks("plain")))

        links = {link["id"]: link for link in self.site.links()}
        for name in ("plain", "traced"):
            row = self.site.ebpf(name)
            with self.subTest(name):
                told = {(hook["linkId"], hook["programId"], int(row["cgroupId"])) for hook in row["hooks"]}
                self.assertEqual(told, {(link["id"], link["prog_id"], link["cgroup_id"]) for link in links.values()
                                        if link.get("cgroup_id") == int(row["cgroupId"])})
                tags = {hook["programId"]: hook["programTag"] for hook in row["hooks"]}
                self.assertEqual(tags, {number: bpftool("prog", "show", "id", number)["tag"] for number in tags})
                path = self.cgroup_of(name)
                kinds = sorted((hook["programId"], links[hook["linkId"]]["attach_type"]) for hook in row["hooks"])
                [in_tree] = [group["programs"] for group in bpftool("cgroup", "tree", path) if group["cgroup"] == path]
                for told in (bpftool("cgroup", "show", path), in_tree):
                    self.assertEqual(sorted((one["id"], one["attach_type"]) for one in told), kinds)
                running = bpftool("cgroup", "show", path, "effective")
                for hook in row["hooks"]:
                    order = [one["id"] for one in running if one["attach_type"] == links[hook["linkId"]]["attach_type"]]
                    self.assertEqual((order[hook["position"] - 1], len(order)), (hook["programId"], hook["effectiveCount"]), hook["hook"])

        self.nothing_is_hidden(self.site.ctl)

    def account(self, name, without):
        """A kubeconfig of an account that may what the DaemonSet's may, but for one kind of objects; and the rule that it lacks."""
        kubectl = self.site.kubectl
        made = kubectl("create", "--dry-run=client", "-o", "json", "-f", ROOT / "deploy/kustomize/base/rbac.yaml")  # one document after another
        rules = next(json.loads("{" + one) for one in made.split("\n{") if '"kind": "ClusterRole",' in one)["rules"]
        [lacking] = [rule for rule in rules if without in rule["resources"]]
        kubectl("create", "serviceaccount", name)
        self.addCleanup(kubectl, "delete", "serviceaccount", name)
        self.addCleanup(kubectl, "delete", "clusterrole,clusterrolebinding", name)
        role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": name},
                "rules": [rule for rule in rules if rule is not lacking]}
        self.site.apply(role)
        kubectl("create", "clusterrolebinding", name, f"--clusterrole={name}", f"--serviceaccount=default:{name}")
        config = json.loads(kubectl("config", "view", "--raw", "--flatten", "-o", "json"))
        config["users"] = [{"name": user["name"], "user": {"token": kubectl("create", "token", name).strip()}} for user in config["users"]]
        path = self.site.dir / f"{name}.kubeconfig"
        path.write_text(json.dumps(config))
        return path, {**role, "rules": rules}

    def test_an_account_that_may_not_watch_nodes_goes_by_its_configuration_and_says_so(self):
        sets = lambda: {hook["programSet"] for hook in self.hooks("labelled")}
        # Of the node alone: this account may not read the ConfigMaps of this suite's namespace either.
        note = lambda: [line for line in self.site.ctl("status", check=False).stderr.splitlines() if line.startswith(f"note: node '{NODE}'")]
        label = lambda value: self.site.kubectl("label", "node", NODE, "--overwrite", f"pintle.dev/program-set{value}")
        config = {"setsFolder": str(OPTIONS.build / "ebpf" / "sets")}
        path, whole_role = self.account("no-nodes", without="nodes")
        label("=next")
        self.addCleanup(label, "-")
        self.site.apply(busybox_pod("labelled", SLEEP))
        self.site.wait_ready("labelled")
        self.effective("labelled")
        def wait_set(name, why):
            try:
                wait_until(lambda: sets() == {name}, 90, why)
            except AssertionError as error:
                raise AssertionError(f"{error}\n{self.site.ctl('status', check=False)}\n{self.site.log_tail()}")
        wait_set("next", "the label followed, with the rights of an administrator")
        self.site.kill_daemon(signal.SIGTERM)
        try:
            self.site.agents_kubeconfig = path
            self.site.start_daemon(ebpf=config)  # each part works: what counts then is the configuration
            wait_set("builtin", "no label counts")
            [refused] = wait_until(note, 20, "the refusal told")
            for words in ("403 Forbidden", "no label of the node counts", "configuration's ('builtin')", 'cannot list resource "nodes"', "no-nodes"):
                self.assertIn(words, refused)
            self.assertEqual(self.site.ctl("status", check=False).returncode, 0, "a note, and no part that fails")
            self.effective("labelled")
            self.assertEqual(self.site.ctl("ebpf", "status", "labelled", check=False).returncode, 0)
            self.site.apply(whole_role)
            wait_set("next", "the label counts as soon as it may be read")
            wait_until(lambda: not note(), 20, "the note gone")
        finally:
            self.site.agents_kubeconfig = self.site.kubeconfig
            self.site.kill_daemon(signal.SIGTERM)
            self.site.start_daemon()
            if self.site.nri:
                self.site.wait_nri()

    def test_uninstall_leaves_nothing_of_two_sets_and_operators_programs_of_a_killed_agent(self):
        self.site.apply(labelled(busybox_pod("survivor", SLEEP), app="survivor"))
        self.site.wait_ready("survivor")
        before = self.containers_of("survivor")
        self.config_map("deny", self.files(pod_program("deny-port", {"app": "survivor"}), connect="connect_v1.bpf.o"))
        self.addCleanup(self.site.kubectl, "delete", "configmap", "deny", "-n", "kube-system")
        known = {"link": {}, "prog": {}, "map": {}}  # every object of ours that there was

        def note():
            for kind, ids in known.items():
                for number, entry in self.ours(kind).items():
                    ids[number] = entry.get("name") or entry.get("attach_type") or entry["type"]

        def has(program_set):
            rows = self.hooks("survivor")
            sets = {hook["programSet"] for hook in rows if not hook.get("podProgram")}
            return sets == {program_set} and any(hook.get("podProgram") for hook in rows)
        wait_until(lambda: has("builtin"), 30, "the operator's program")
        note()
        try:
            for program_set in ("next", "builtin", "next"):
                self.site.kill_daemon(signal.SIGKILL)
                self.site.start_daemon(ebpf={"setsFolder": str(OPTIONS.build / "ebpf" / "sets"), "programSet": program_set})
                wait_until(lambda: has(program_set), 30, f"set {program_set}")
                note()
            tree = set(cgroups_of(self.site.dir.name))
            self.site.kill_daemon(signal.SIGKILL)
            self.assertTrue(self.site.pinned_links())
            self.assertEqual(self.refused_ports("survivor"), [7001], "in force without an agent")
            self.site.uninstall()
            self.assertEqual(self.site.pinned_links(), {})
            self.assertEqual(set(os.listdir(self.site.bpffs)) - {"maps.debug", "progs.debug"}, set())

            def left():
                there = {kind: {one["id"] for one in bpftool(kind)} for kind in known}
                return [(kind, number, name) for kind, ids in known.items() for number, name in ids.items() if number in there[kind]]
            try:
                wait_until(lambda: not left(), 30, "all of them gone")
            except AssertionError as error:
                raise AssertionError(f"{error}: {left()}")
            self.assertGreater(min(len(ids) for ids in known.values()), 4)
            self.assertEqual(set(cgroups_of(self.site.dir.name)), tree, "cgroups are the kubelet's")
            self.assertEqual((self.refused_ports("survivor"), self.containers_of("survivor")), ([], before))
        finally:
            self.site.start_daemon()
        self.effective("survivor")

    def test_the_cleaner_waits_for_an_agent_that_still_runs(self):
        self.site.apply(busybox_pod("kept", SLEEP))
        self.site.wait_ready("kept")
        self.install("base")
        ours = lambda: [pin for link in self.site.links() for pin in link.get("pinned", []) if pin.startswith("/sys/fs/bpf/")]
        before = set(ours())
        self.assertTrue(before)
        # As `helm upgrade` does it: the new DaemonSet comes before the old one's pods have gone.
        _, [cleaner] = self.rendered("uninstall", IMAGE)
        self.site.apply(cleaner)
        told = lambda: self.site.kubectl("logs", "-n", "pintle-system", "pintle-uninstall", "-c", "uninstall", check=False).stdout
        refusal = "a pintled uses them, in this container or another one of the node; stop it first"
        wait_until(lambda: refusal in told(), 30, "the cleaner refuses")
        self.assertEqual(before - set(ours()), set(), "nothing taken from the agent")
        self.site.kubectl("delete", "pod", "pintle", "-n", "pintle-system", "--grace-period=5")
        self.site.wait_ready("pintle-uninstall", namespace="pintle-system")
        self.assertIn("removed all pins", told())
        self.assertEqual((ours(), set(os.listdir("/sys/fs/bpf")) - {"maps.debug", "progs.debug"}), ([], set()))

    def probe_pod(self, name, group, address):
        pod = busybox_pod(name, "", volumes=[{"name": "probe", "hostPath": {"path": str(self.site.dir / "probe")}}])
        pod["metadata"]["labels"]["group"] = group
        [container] = pod["spec"]["containers"]
        container.update(command=["/probe/connects", address, str(TRIES)],
                         volumeMounts=[{"name": "probe", "mountPath": "/probe", "readOnly": True}],
                         readinessProbe={"exec": {"command": ["cat", "/tmp/tried"]}, "periodSeconds": 1})
        return pod

    def connects(self, names):
        """What each pod's program told: (refused, passed)."""
        told = {}
        for name in names:
            self.site.wait_ready(name)
            [line] = [line.split() for line in self.site.logs(name).splitlines() if " refused " in line]
            told[name] = (int(line[-3]), int(line[-1]))
        return told

    def connect_from_the_first_instruction(self, pods, prefix):
        """Of pods with the prefix, whose logs may stay a while after they have gone."""
        (self.site.dir / "probe").mkdir(exist_ok=True)
        program = self.site.dir / "probe" / "connects"
        subprocess.run(["cc", "-O1", "-static", "-x", "c", "-o", program, "-"], input=CONNECTS, text=True, check=True)
        self.site.apply(busybox_pod("server", SERVE))
        address = self.site.wait_ready("server")["status"]["podIP"]
        self.close_egress_of("shut")
        self.site.apply(self.probe_pod(f"{prefix}-open", "open", address))
        self.assertEqual(self.connects([f"{prefix}-open"]), {f"{prefix}-open": (0, TRIES)}, "others may connect, and it is counted")
        told = {}
        for first in range(0, pods, 8):
            names = [f"{prefix}-{number}" for number in range(first, min(first + 8, pods))]
            self.site.apply(*(self.probe_pod(name, "shut", address) for name in names))
            told.update(self.connects(names))
            self.site.kubectl("delete", "pods", "-l", "group=shut", "--grace-period=0", "--force", "--wait=false")
        return told

    def test_nri_no_connect_leaks_from_the_first_instruction_on(self):
        self.need_nri()
        told = self.connect_from_the_first_instruction(24, "held")
        self.assertEqual(told, dict.fromkeys(told, (TRIES, 0)))
        self.assertEqual(len(told), 24)

    def test_without_nri_no_connect_leaks_while_the_agent_has_a_processor(self):
        self.site.kill_daemon(signal.SIGTERM)
        try:
            self.site.start_daemon(mode="off")
            told = self.connect_from_the_first_instruction(24, "raced")
            self.assertEqual(told, dict.fromkeys(told, (TRIES, 0)))
            self.assertEqual(len(told), 24)
        finally:
            self.site.kill_daemon(signal.SIGTERM)
            self.site.start_daemon()
            if self.site.nri:
                self.site.wait_nri()


if __name__ == "__main__":
    enter_namespaces()
    OPTIONS = beside_kubelet.OPTIONS = arguments()
    sys.exit(results.run(sys.modules["__main__"], OPTIONS))
