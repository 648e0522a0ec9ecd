# SPDX-License-Identifier: Apache-2.0
# Copyright The Pintle Authors
"""deploy/ as a cluster takes it: kustomizations render, ask for no more than they say, hold a configuration that pintled reads, and are
accepted by a real kube-apiserver (KUBEBUILDER_ASSETS); the Helm chart gives the same objects, for every variation of its values, where there
is a helm (on the path or in KUBEBUILDER_ASSETS)."""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

import results
from chart_values import REFUSED, VARIATIONS
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
        for folder in ("base", "overlays/kind", "overlays/programs", "uninstall", "overlays/kind-uninstall"):
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
        told = told_by_daemon(objects_of(rendered("base")))
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
        told = told_by_daemon(programs)
        self.assertIn("programsNamespace: pintle-system", told)

    def test_a_component_puts_sys_admin_in_the_place_of_what_a_runtime_lacks(self):
        folder = pathlib.Path(tempfile.mkdtemp(prefix="pintle-component-", dir=KUSTOMIZE / "overlays"))
        self.addCleanup(shutil.rmtree, folder, ignore_errors=True)
        for resource in ("../../base", "../../uninstall"):
            (folder / "kustomization.yaml").write_text(json.dumps({"resources": [resource], "components": ["../../components/sys-admin"]}))
            spec = pod_spec(objects_of(rendered(folder)))
            for container in spec["containers"] + [c for c in spec["initContainers"] if c["name"] != "mount-bpffs"]:
                self.assertEqual(container["securityContext"]["capabilities"], {"drop": ["ALL"], "add": ["SYS_ADMIN", "NET_ADMIN"]}, resource)

    def test_kind_never_pulls(self):
        for folder in ("overlays/kind", "overlays/kind-uninstall"):
            spec = pod_spec(objects_of(rendered(folder)))
            for container in spec["containers"] + spec["initContainers"]:
                self.assertEqual((container["image"], container["imagePullPolicy"]), ("pintle:dev", "Never"), folder)


class OnKubeApiserver(unittest.TestCase):
    """With a kube-apiserver of its own; there are no controllers."""
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


class KubeApiserver(OnKubeApiserver):
    def test_every_object_is_accepted(self):
        namespace = one(objects_of(rendered("base")), "Namespace")
        self.kubectl("apply", "-f", "-", stdin=json.dumps(namespace))  # a dry run of what lies in it needs it
        for folder in ("base", "overlays/kind", "overlays/programs", "uninstall", "overlays/kind-uninstall"):
            with self.subTest(folder):
                told = self.kubectl("apply", "--dry-run=server", "--validate=strict", "-f", "-", stdin=rendered(folder)).stdout
                self.assertIn("daemonset.apps/pintle", told)

    def test_the_account_may_do_what_it_must_and_no_more(self):
        self.kubectl("apply", "-k", KUSTOMIZE / "base")
        for verb, resource, answer in (
                ("list", "pods", "yes"), ("watch", "pods", "yes"), ("list", "networkpolicies.networking.k8s.io", "yes"),
                ("watch", "namespaces", "yes"), ("list", "services", "yes"), ("watch", "endpointslices.discovery.k8s.io", "yes"),
                ("list", "nodes", "yes"), ("watch", "nodes", "yes"), ("get", "nodes", "no"),
                ("create", "events", "yes"), ("patch", "events", "yes"), ("get", "secrets", "no"), ("list", "secrets", "no"),
                ("patch", "pods/status", "no"), ("delete", "pods", "no"), ("create", "pods", "no"), ("patch", "nodes", "no"),
                ("update", "nodes/status", "no"), ("create", "leases.coordination.k8s.io", "no"), ("create", "pods/exec", "no")):
            with self.subTest(f"{verb} {resource}"):
                told = self.kubectl("auth", "can-i", verb, resource, "--as", ACCOUNT, "-n", "default", check=False).stdout.strip()
                self.assertEqual(told, answer)


def told_by_daemon(objects):
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        file.write(one(objects, "ConfigMap")["data"]["pintled.yaml"])
        file.flush()
        return run(OPTIONS.build / "pintled", "config", "--config", file.name, "--node-name", "n").stdout


def plain(objects):
    """Without what each tool adds: labels, the namespace's own object, the hash in a ConfigMap's name, a checksum, the image's tag."""
    out = {}
    for item in objects:
        if item["kind"] == "Namespace":
            continue
        item["metadata"] = {key: value for key, value in item["metadata"].items() if key in ("name", "namespace")}
        if item["kind"] == "ConfigMap":
            item["metadata"]["name"] = "pintle"
            item["data"] = told_by_daemon([item])
        if item["kind"] == "DaemonSet":
            item["spec"]["template"]["metadata"].get("annotations", {}).pop("checksum/config", None)
            spec = item["spec"]["template"]["spec"]
            for container in spec["containers"] + spec["initContainers"]:
                container.pop("imagePullPolicy", None)
                container["image"] = container["image"].rsplit(":", 1)[0]
            for volume in spec["volumes"]:
                if "configMap" in volume:
                    volume["configMap"]["name"] = "pintle"
        out[item["kind"]] = item
    return out


class HelmChart(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.helm = find("helm")

    def template(self, *words, values=None, namespace="pintle-system"):
        return run(self.helm, "template", "pintle", CHART, "--namespace", namespace, *words, *(["--values", "-"] if values else []),
                   stdin=json.dumps(values)).stdout

    def test_its_objects_are_those_of_the_kustomizations(self):
        for folder, words in (("base", ()), ("overlays/programs", ("--set", "programs.configMaps=true")),
                              ("overlays/kind", ("--set", "image.repository=pintle,image.tag=dev,image.pullPolicy=Never"))):
            with self.subTest(folder):
                rows, texts = objects_of(self.template(*words)), objects_of(rendered(folder))
                if folder == "overlays/kind":
                    for spec in (pod_spec(rows), pod_spec(texts)):
                        said = {(c["image"], c["imagePullPolicy"]) for c in spec["containers"] + spec["initContainers"]}
                        self.assertEqual(said, {("pintle:dev", "Never")})
                chart, base = plain(rows), plain(texts)
                self.assertEqual(set(chart), set(base))
                for kind, item in base.items():
                    self.assertEqual(chart[kind], item, kind)

    def test_uninstall_puts_the_cleaner_in_the_agents_place(self):
        chart = plain(objects_of(self.template("--set", "uninstall=true")))
        base = plain(objects_of(rendered("uninstall")))
        self.assertEqual(chart["DaemonSet"], base["DaemonSet"])

    def test_every_variation_renders_and_says_what_was_asked(self):
        for title, values, holds in VARIATIONS:
            with self.subTest(title):
                objects = objects_of(self.template(values=values))
                told = told_by_daemon(objects)
                self.assertIn("mode: companion", told)
                self.assertTrue(holds(pod_spec(objects), told), f"{json.dumps(pod_spec(objects), indent=1)}\n{told}")

    def test_in_another_namespace_nothing_points_to_the_usual_one(self):
        text = self.template("--set", "programs.configMaps=true", namespace="agents")
        self.assertNotIn("pintle-system", text)
        self.assertIn("programsNamespace: agents", told_by_daemon(objects_of(text)))

    def test_values_are_checked(self):
        run(self.helm, "lint", "--strict", CHART)
        for wrong, field in REFUSED:
            with self.subTest(wrong):
                done = run(self.helm, "template", "pintle", CHART, "--set", wrong, check=False)
                self.assertNotEqual(done.returncode, 0, done.stdout)
                self.assertIn("don't meet the specifications of the schema", done.stderr)
                self.assertIn(field, done.stderr)


class HelmOnKubeApiserver(OnKubeApiserver):
    @classmethod
    def setUpClass(cls):
        cls.helm = find("helm")
        super().setUpClass()

    def helm_run(self, *words, stdin=None):
        return run(self.helm, "--kubeconfig", self.dir / "api" / "kubeconfig", "--namespace", "pintle-system", *words, stdin=stdin).stdout

    def daemon_sets(self):
        return sorted(self.kubectl("get", "daemonsets", "-n", "pintle-system", "-o", "name").stdout.split())

    def test_every_variation_is_accepted(self):
        self.kubectl("create", "namespace", "agents")
        for title, values, _ in (*VARIATIONS, ("uninstall", {"uninstall": True}, None), ("programs", {"programs": {"configMaps": True}}, None)):
            with self.subTest(title):
                text = run(self.helm, "template", "pintle", CHART, "--namespace", "agents", "--values", "-", stdin=json.dumps(values)).stdout
                self.kubectl("apply", "--dry-run=server", "--validate=strict", "-f", "-", stdin=text)

    def test_installed_taken_off_and_gone(self):
        told = self.helm_run("install", "pintle", CHART, "--create-namespace", "--set", "programs.configMaps=true")
        self.assertIn("rollout status -n pintle-system daemonset/pintle\n", told)
        self.assertIn("BPF, PERFMON, NET_ADMIN", told)
        self.assertEqual(self.daemon_sets(), ["daemonset.apps/pintle"])
        may = self.kubectl("auth", "can-i", "watch", "configmaps", "--as", ACCOUNT, "-n", "pintle-system", check=False).stdout.strip()
        self.assertEqual(may, "yes")
        told = self.helm_run("upgrade", "pintle", CHART, "--reset-then-reuse-values", "--set", "uninstall=true")
        self.assertIn("daemonset/pintle-uninstall", told)
        self.assertEqual(self.daemon_sets(), ["daemonset.apps/pintle-uninstall"])
        self.helm_run("uninstall", "pintle")
        self.assertEqual(self.daemon_sets(), [])
        for kind in ("clusterrole", "clusterrolebinding"):
            self.assertNotIn("/pintle\n", self.kubectl("get", kind, "-o", "name").stdout)
        self.assertEqual(self.kubectl("get", "roles,rolebindings,serviceaccounts", "-n", "pintle-system", "-o", "name").stdout, "")


if __name__ == "__main__":
    enter_namespaces()
    OPTIONS = arguments()
    sys.exit(results.run(sys.modules["__main__"], OPTIONS))
