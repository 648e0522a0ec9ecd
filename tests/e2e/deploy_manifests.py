# SPDX-License-Identifier: Apache-2.0
# Copyright The Pintle Authors
"""deploy/ as a cluster takes it: kustomizations render, ask for no more than they say, hold a configuration that pintled reads, and are
accepted by a real kube-apiserver (KUBEBUILDER_ASSETS); the Helm chart gives the same objects, where there is a helm."""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

import results
from harness import ROOT, _run, arguments, enter_namespaces

OPTIONS = None
KUSTOMIZE = ROOT / "deploy" / "kustomize"
CHART = ROOT / "deploy" / "helm" / "pintle"
ACCOUNT = "system:serviceaccount:pintle-system:pintle"


def find(program):
    """In KUBEBUILDER_ASSETS, else on the path; a test that lacks it is skipped by name."""
    given = pathlib.Path(os.environ.get("KUBEBUILDER_ASSETS", "/nonexistent"), program)
    path = str(given) if os.access(given, os.X_OK) else shutil.which(program)
    if path is None:
        raise unittest.SkipTest(f"{program} is neither in KUBEBUILDER_ASSETS nor on the path")
    return path


def run(*words, stdin=None, check=True):
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, input=stdin, timeout=120)
    if check and done.returncode != 0:
        raise AssertionError(f"{' '.join(map(str, words))} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done


def objects_of(text):
    """YAML documents as values. kubectl reads them without a server when it has nothing to ask."""
    listed = run(find("kubectl"), "patch", "--local", "-f", "-", "--type=merge", "-p", "{}", "-o", "json", stdin=text).stdout
    objects, at = [], 0
    while at < len(listed.rstrip()):
        item, end = json.JSONDecoder().raw_decode(listed, at)
        objects.append(item)
        at = end + len(listed[end:]) - len(listed[end:].lstrip())
    return objects


def rendered(folder):
    return run(find("kubectl"), "kustomize", KUSTOMIZE / folder).stdout


def one(objects, kind):
    [found] = [item for item in objects if item["kind"] == kind]
    return found


def pod_spec(objects):
    return one(objects, "DaemonSet")["spec"]["template"]["spec"]


class Kustomizations(unittest.TestCase):
    def test_the_agent_asks_for_three_capabilities_and_no_namespace_of_the_node(self):
        for folder in ("base", "overlays/kind", "overlays/programs", "uninstall"):
            with self.subTest(folder):
                spec = pod_spec(objects_of(rendered(folder)))
                for name in ("hostNetwork", "hostPID", "hostIPC"):
                    self.assertNotIn(name, spec)
                for container in spec["containers"] + [c for c in spec["initContainers"] if c["name"] != "mount-bpffs"]:
                    context = container["securityContext"]
                    self.assertEqual(context["capabilities"], {"drop": ["ALL"], "add": ["BPF", "PERFMON", "NET_ADMIN"]})
                    self.assertNotIn("privileged", context)
                    self.assertEqual((context["readOnlyRootFilesystem"], context["allowPrivilegeEscalation"]), (True, False))
                    self.assertEqual(context["seccompProfile"], {"type": "RuntimeDefault"})
        privileged = [c["name"] for c in spec["containers"] + spec["initContainers"] if c["securityContext"].get("privileged")]
        self.assertEqual(privileged, [])  # of uninstall, the last one

    def test_what_is_mounted_of_the_node_is_read_only_but_the_bpffs(self):
        spec = pod_spec(objects_of(rendered("base")))
        hosts = {volume["name"]: volume["hostPath"]["path"] for volume in spec["volumes"] if "hostPath" in volume}
        self.assertEqual(hosts, {"cgroup": "/sys/fs/cgroup", "network": "/proc/1/net", "nri": "/var/run/nri", "bpffs": "/sys/fs/bpf"})
        [container] = spec["containers"]
        writable = [mount["name"] for mount in container["volumeMounts"] if mount["name"] in hosts and not mount.get("readOnly")]
        self.assertEqual(writable, ["bpffs"])

    def test_the_configuration_is_one_that_the_daemon_reads(self):
        text = one(objects_of(rendered("base")), "ConfigMap")["data"]["pintled.yaml"]
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            file.write(text)
            file.flush()
            told = run(OPTIONS.build / "pintled", "config", "--config", file.name, "--node-name", "n").stdout
        for line in ("mode: companion", "cgroupMount: /host/sys/fs/cgroup", "nodeNetwork: /host/net", "controlSocket: /run/pintle/pintle.sock"):
            self.assertIn(line, told)

    def test_config_maps_are_read_with_the_overlay_alone_and_in_its_namespace(self):
        base = objects_of(rendered("base"))
        self.assertEqual([item for item in base if item["kind"] == "Role"], [])
        self.assertNotIn("programsNamespace", one(base, "ConfigMap")["data"]["pintled.yaml"])
        programs = objects_of(rendered("overlays/programs"))
        role = one(programs, "Role")
        self.assertEqual((role["metadata"]["namespace"], role["rules"]),
                         ("pintle-system", [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["list", "watch"]}]))
        text = one(programs, "ConfigMap")["data"]["pintled.yaml"]
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            file.write(text)
            file.flush()
            told = run(OPTIONS.build / "pintled", "config", "--config", file.name, "--node-name", "n").stdout
        self.assertIn("programsNamespace: pintle-system", told)

    def test_kind_never_pulls(self):
        spec = pod_spec(objects_of(rendered("overlays/kind")))
        for container in spec["containers"] + spec["initContainers"]:
            self.assertEqual((container["image"], container["imagePullPolicy"]), ("pintle:dev", "Never"))


class KubeApiserver(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if not os.environ.get("KUBEBUILDER_ASSETS"):
            raise unittest.SkipTest("KUBEBUILDER_ASSETS is not set")
        cls.dir = pathlib.Path(tempfile.mkdtemp(prefix="pintle-deploy-"))
        cls.addClassCleanup(shutil.rmtree, cls.dir, ignore_errors=True)
        cls.addClassCleanup(_run, ROOT / "scripts" / "dev-apiserver", "stop", "--dir", cls.dir / "api")
        _run(ROOT / "scripts" / "dev-apiserver", "start", "--dir", cls.dir / "api", "--authorization", "RBAC")

    def kubectl(self, *words, stdin=None, check=True):
        return run(find("kubectl"), "--kubeconfig", self.dir / "api" / "kubeconfig", *words, stdin=stdin, check=check)

    def test_every_object_is_accepted(self):
        namespace = one(objects_of(rendered("base")), "Namespace")
        self.kubectl("apply", "-f", "-", stdin=json.dumps(namespace))  # a dry run of what lies in it needs it
        for folder in ("base", "overlays/kind", "overlays/programs", "uninstall"):
            with self.subTest(folder):
                told = self.kubectl("apply", "--dry-run=server", "--validate=strict", "-f", "-", stdin=rendered(folder)).stdout
                self.assertIn("daemonset.apps/pintle", told)

    def test_the_account_may_do_what_it_must_and_no_more(self):
        self.kubectl("apply", "-k", KUSTOMIZE / "base")
        for verb, resource, answer in (
                ("list", "pods", "yes"), ("watch", "pods", "yes"), ("list", "networkpolicies.networking.k8s.io", "yes"),
                ("watch", "namespaces", "yes"), ("list", "services", "yes"), ("watch", "endpointslices.discovery.k8s.io", "yes"),
                ("create", "events", "yes"), ("patch", "events", "yes"), ("get", "secrets", "no"), ("list", "secrets", "no"),
                ("patch", "pods/status", "no"), ("delete", "pods", "no"), ("create", "pods", "no"), ("patch", "nodes", "no"),
                ("update", "nodes/status", "no"), ("create", "leases.coordination.k8s.io", "no"), ("create", "pods/exec", "no")):
            with self.subTest(f"{verb} {resource}"):
                told = self.kubectl("auth", "can-i", verb, resource, "--as", ACCOUNT, "-n", "default", check=False).stdout.strip()
                self.assertEqual(told, answer)


class HelmChart(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.helm = find("helm")

    def template(self, *words):
        return run(self.helm, "template", "pintle", CHART, "--namespace", "pintle-system", *words).stdout

    def test_its_objects_are_those_of_the_kustomization(self):
        def plain(objects):
            """Without what each tool adds: labels, the namespace's own object, the hash in a ConfigMap's name, a checksum, the image's tag."""
            out = {}
            for item in objects:
                if item["kind"] == "Namespace":
                    continue
                item["metadata"] = {key: value for key, value in item["metadata"].items() if key in ("name", "namespace")}
                if item["kind"] == "ConfigMap":
                    item["metadata"]["name"] = "pintle"
                    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
                        file.write(item["data"]["pintled.yaml"])
                        file.flush()
                        item["data"] = run(OPTIONS.build / "pintled", "config", "--config", file.name, "--node-name", "n").stdout
                if item["kind"] == "DaemonSet":
                    item["spec"]["template"]["metadata"]["annotations"].pop("checksum/config", None)
                    spec = item["spec"]["template"]["spec"]
                    for container in spec["containers"] + spec["initContainers"]:
                        container.pop("imagePullPolicy", None)
                        container["image"] = container["image"].rsplit(":", 1)[0]
                    for volume in spec["volumes"]:
                        if "configMap" in volume:
                            volume["configMap"]["name"] = "pintle"
                out[item["kind"]] = item
            return out
        self.maxDiff = None
        chart, base = plain(objects_of(self.template())), plain(objects_of(rendered("base")))
        self.assertEqual(set(chart), set(base))
        for kind, item in base.items():
            self.assertEqual(chart[kind], item, kind)

    def test_uninstall_puts_the_cleaner_in_the_agents_place(self):
        chart = one(objects_of(self.template("--set", "uninstall=true")), "DaemonSet")
        base = one(objects_of(rendered("uninstall")), "DaemonSet")
        self.assertEqual(chart["metadata"]["name"], base["metadata"]["name"])
        for part in ("initContainers", "containers"):
            self.assertEqual([c["args"] for c in chart["spec"]["template"]["spec"][part]], [c["args"] for c in base["spec"]["template"]["spec"][part]])

    def test_values_are_checked(self):
        run(self.helm, "lint", "--strict", CHART)
        for wrong in ("config.ebpf.policy=maybe", "metrics.port=0", "nothing=1", "programs.configMaps=maybe", "config.mode=node"):
            with self.subTest(wrong):
                done = run(self.helm, "template", "pintle", CHART, "--set", wrong, check=False)
                self.assertNotEqual(done.returncode, 0, done.stdout)


if __name__ == "__main__":
    enter_namespaces()
    OPTIONS = arguments()
    sys.exit(results.run(sys.modules["__main__"], OPTIONS.junit))
