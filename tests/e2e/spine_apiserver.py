# SPDX-License-Identifier: Apache-2.0
# Copyright The Pintle Authors
"""The spine against a real kube-apiserver, given as KUBEBUILDER_ASSETS."""
import json
import os
import signal
import subprocess
import sys
import time
import unittest

import results
from harness import *  # noqa: F403
from spine import SLEEP, SpineCases

OPTIONS = None


class KubeApiserver(SpineCases, unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        try:
            cls.node = Node(OPTIONS.build, real_api=True, keep=OPTIONS.keep)
        except NotHere as missing:
            raise unittest.SkipTest(str(missing))

    @classmethod
    def tearDownClass(cls):
        cls.node.close()

    def test_while_the_api_is_down_containers_restart_with_what_is_known_also_after_a_restart_of_the_agent(self):
        node = self.node
        self.addCleanup(node.kubectl, "delete", "configmap,secret", "kept", "--ignore-not-found")
        for kind, field in (("ConfigMap", "data"), ("Secret", "stringData")):
            node.apply({"apiVersion": "v1", "kind": kind, "metadata": {"name": "kept", "namespace": "default"}, field: {"word": f"of-{kind}"}})
        pod = busybox_pod("survivor", f"echo env $MAP $SECRET $KUBERNETES_SERVICE_HOST files $(cat /m/word /s/word); {SLEEP}",
                          volumes=[{"name": "m", "configMap": {"name": "kept"}}, {"name": "s", "secret": {"secretName": "kept"}}])
        ref = {"name": "kept", "key": "word"}
        pod["spec"]["containers"][0].update(volumeMounts=[{"name": name, "mountPath": f"/{name}"} for name in ("m", "s")],
                                            env=[{"name": "MAP", "valueFrom": {"configMapKeyRef": ref}},
                                                 {"name": "SECRET", "valueFrom": {"secretKeyRef": ref}}])
        node.apply(pod)
        node.wait_ready("survivor")
        host = node.kubectl("get", "service", "kubernetes", "-o", "jsonpath={.spec.clusterIP}").strip()
        line = f"env of-ConfigMap of-Secret {host} files of-ConfigMapof-Secret"
        told = lambda: node.starts_of("survivor", line)
        self.assertEqual(told(), 1, node.log_of("survivor"))
        seen = lambda: json.loads(node.ctl("get", "pod", "survivor", "-o", "json", check=False).stdout)
        running = lambda: seen()["status"]["containerStatuses"][0]["state"].get("running") and \
            seen()["status"]["containerStatuses"][0]["containerID"]

        pid_file = node.dir / "api" / "kube-apiserver.pid"
        pid = int(pid_file.read_text())
        words = [os.fsdecode(word) for word in open(f"/proc/{pid}/cmdline", "rb").read().split(b"\0")[:-1]]
        os.kill(pid, signal.SIGKILL)
        try:
            wait_until(lambda: node.kubectl("get", "nodes", check=False).returncode != 0, 20, "the API down")
            node.kill_container("survivor", running())
            wait_until(lambda: told() == 2, 40, "a restart while the API is down")
            wait_until(running, 20, "running again")
            node.kill_daemon()
            node.start_daemon(all_parts=False)
            node.kill_container("survivor", wait_until(running, 20, "the pod known again"))
            wait_until(lambda: told() == 3, 60, "a restart after the agent's own")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{node.ctl('explain', 'pod/survivor', check=False).stdout}\n{node.log_of('survivor')}\n{node.log_tail()}")
        finally:
            with open(node.dir / "api" / "kube-apiserver.log", "ab") as log:
                pid_file.write_text(str(subprocess.Popen(words, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True).pid))
            wait_until(lambda: node.kubectl("get", "nodes", check=False).returncode == 0, 60, "the API up again")
        back = node.wait_pod("survivor", lambda pod: pod["status"]["containerStatuses"][0]["restartCount"] == 2 and condition(pod, "Ready") == "True",
                             60, "Ready, with two restarts")
        self.assertEqual(back["status"]["phase"], "Running")

    def _keeps(self, name, script, **more):
        """A pod whose every start says what it was given of the ConfigMap and the Secret `kept`."""
        pod = busybox_pod(name, f"echo env $MAP $SECRET files $(cat /m/word /s/word); {script}",
                          volumes=[{"name": "m", "configMap": {"name": "kept"}}, {"name": "s", "secret": {"secretName": "kept"}}])
        ref = {"name": "kept", "key": "word"}
        pod["spec"]["containers"][0].update(volumeMounts=[{"name": volume, "mountPath": f"/{volume}"} for volume in ("m", "s")],
                                            env=[{"name": "MAP", "valueFrom": {"configMapKeyRef": ref}},
                                                 {"name": "SECRET", "valueFrom": {"secretKeyRef": ref}}], **more)
        return pod

    def test_while_the_api_hangs_pods_are_looked_after_and_nothing_is_doubled_when_it_goes_on(self):
        node = self.node
        self.addCleanup(node.kubectl, "delete", "configmap,secret", "kept", "--ignore-not-found")
        for kind, field in (("ConfigMap", "data"), ("Secret", "stringData")):
            node.apply({"apiVersion": "v1", "kind": kind, "metadata": {"name": "kept", "namespace": "default"}, field: {"word": f"of-{kind}"}})
        # Environment alone is not watched: its objects have to be asked for at each start.
        self.addCleanup(node.kubectl, "delete", "configmap", "asked", "--ignore-not-found")
        node.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "asked", "namespace": "default"}, "data": {"word": "of-ConfigMap"}})
        only_env = busybox_pod("only-env", f"echo env $MAP; {SLEEP}")
        only_env["spec"]["containers"][0]["env"] = [{"name": "MAP", "valueFrom": {"configMapKeyRef": {"name": "asked", "key": "word"}}}]
        probed = busybox_pod("probed", f"touch /alive; {SLEEP}")
        probed["spec"]["containers"][0]["livenessProbe"] = {"exec": {"command": ["cat", "/alive"]}, "periodSeconds": 1, "failureThreshold": 1}
        node.apply(self._keeps("both", SLEEP), only_env, probed)
        names = ("both", "only-env", "probed")
        first = {name: node.wait_ready(name)["status"]["containerStatuses"][0]["containerID"] for name in names}
        links = {name: [hook["linkId"] for hook in node.ebpf(name)["pods"][0]["hooks"]] for name in names}
        seen = lambda name: json.loads(node.ctl("get", "pod", name, "-o", "json", check=False).stdout)["status"]["containerStatuses"][0]
        running = lambda name, than=None: (now := seen(name))["state"].get("running") and now["containerID"] != than and now["containerID"]
        starts = node.starts_of
        took = {}

        def timed(what, condition, seconds):
            begun = time.monotonic()
            got = wait_until(condition, seconds, what)
            took[what] = time.monotonic() - begun
            return got

        pid = int((node.dir / "api" / "kube-apiserver.pid").read_text())
        os.kill(pid, signal.SIGSTOP)
        try:
            for name, line in (("only-env", "env of-ConfigMap"), ("both", "env of-ConfigMap of-Secret files of-ConfigMapof-Secret")):
                node.kill_container(name, first[name])
                timed(f"{name} restarts", lambda: starts(name, line) == 2 and running(name, first[name]), 10)
            node.exec_in("probed", "rm", "/alive", id=first["probed"].split("//")[-1])
            timed("a probe ends what it finds dead", lambda: running("probed", first["probed"]), 30)
            for words in (["get", "pods"], ["status"], ["explain", "pod/both"], ["logs", "both"], ["doctor"], ["ebpf", "status"], ["ebpf", "progs"]):
                begun = time.monotonic()
                answer = node.ctl(*words, check=False)
                took[" ".join(words)] = time.monotonic() - begun
                self.assertTrue(answer.stdout, f"{words}: {answer.stderr}")
                self.assertLess(took[" ".join(words)], 8, words)
            for name in names:
                hooks = node.ebpf(name)["pods"][0]["hooks"]
                self.assertEqual({hook["state"] for hook in hooks}, {"Attached"}, hooks)
                self.assertEqual([hook["linkId"] for hook in hooks], links[name])
            second = running("only-env")
            node.kill_daemon()
            node.start_daemon(all_parts=False)
            timed("the pods are known after a restart of the agent", lambda: running("only-env"), 25)
            node.kill_container("only-env", second)
            timed("a restart after it", lambda: starts("only-env", "env of-ConfigMap") == 3 and running("only-env", second), 45)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{took}\n{node.ctl('explain', 'pod/only-env', check=False).stdout}\n{node.log_tail()}")
        finally:
            os.kill(pid, signal.SIGCONT)
        print({what: round(seconds, 1) for what, seconds in took.items()}, file=sys.stderr)
        wait_until(lambda: node.kubectl("get", "nodes", check=False).returncode == 0, 30, "the API answers again")
        counts = {"both": 1, "only-env": 2, "probed": 1}
        settled = lambda pod: pod["status"]["containerStatuses"][0]["restartCount"] == counts[pod["metadata"]["name"]] and \
            condition(pod, "Ready") == "True"
        for name in names:
            node.wait_pod(name, settled, 60, "its status arrives")
        # What was sent while nobody listened is carried out late, some of it after what was sent since: the newest has the last word.
        end = time.monotonic() + 5
        while time.monotonic() < end:
            for name in names:
                now = node.pod(name)
                self.assertTrue(settled(now), now["status"])
                self.assertEqual(running(name), now["status"]["containerStatuses"][0]["containerID"])
        self.assertEqual((starts("both", "env of-"), starts("only-env", "env of-")), (2, 3))
        self.assertEqual(len(json.loads(node.kubectl("get", "nodes", "-o", "json"))["items"]), 1)
        events = json.loads(node.kubectl("get", "events", "-o", "json"))["items"]
        for name in names:  # what the killed agent had not sent is lost, and nothing is told twice
            started = [event for event in events if event["reason"] == "Started" and event["involvedObject"]["name"] == name]
            self.assertLessEqual(sum(event.get("count") or 1 for event in started), counts[name] + 1, started)


ROLES = "rbac.authorization.k8s.io"


def cluster_role(name, resources, verbs=("*",)):
    return {"apiVersion": f"{ROLES}/v1", "kind": "ClusterRole", "metadata": {"name": name},
            "rules": [{"apiGroups": ["*"], "resources": list(resources), "verbs": list(verbs)}]}


def binding(role, namespace=None):
    """Of the agent, everywhere or in one namespace."""
    kind = "RoleBinding" if namespace else "ClusterRoleBinding"
    return {"apiVersion": f"{ROLES}/v1", "kind": kind, "metadata": {"name": role, **({"namespace": namespace} if namespace else {})},
            "roleRef": {"apiGroup": ROLES, "kind": "ClusterRole", "name": role},
            "subjects": [{"apiGroup": ROLES, "kind": "User", "name": "agent"}]}


class RefusingApiserver(unittest.TestCase):
    """With RBAC, which can be taken away: the API server answers, and what it says holds."""

    @classmethod
    def setUpClass(cls):
        try:
            cls.node = Node(OPTIONS.build, real_api=True, keep=OPTIONS.keep, roles=[
                cluster_role("agent", ["nodes", "nodes/status", "pods", "pods/status", "events", "leases", "services", "namespaces",
                                       "networkpolicies", "serviceaccounts/token"]), binding("agent"),
                cluster_role("agent-objects", ["configmaps", "secrets"]), *(binding("agent-objects", space) for space in ("default", "kube-system"))])
        except NotHere as missing:
            raise unittest.SkipTest(str(missing))

    @classmethod
    def tearDownClass(cls):
        cls.node.close()

    def _waiting(self, name):
        return self.node.pod(name)["status"]["containerStatuses"][0]["state"].get("waiting", {})

    def _restarts(self, name):
        return self.node.pod(name)["status"]["containerStatuses"][0]["restartCount"]

    def test_a_refused_object_is_not_served_from_memory_and_what_a_volume_shows_stays(self):
        node = self.node
        names = ("asked", "shown")
        for name in names:
            node.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "default"}, "data": {"word": f"of-{name}"}})
        asker = busybox_pod("asker", f"echo env $WORD; {SLEEP}")
        asker["spec"]["containers"][0]["env"] = [{"name": "WORD", "valueFrom": {"configMapKeyRef": {"name": "asked", "key": "word"}}}]
        shower, late = (busybox_pod(name, f"echo file $(cat /m/word); {SLEEP}", volumes=[{"name": "m", "configMap": {"name": "shown"}}])
                        for name in ("shower", "late"))
        for pod in (shower, late):
            pod["spec"]["containers"][0]["volumeMounts"] = [{"name": "m", "mountPath": "/m"}]
        node.apply(asker, shower)
        for name in ("asker", "shower"):
            node.wait_ready(name)

        node.kubectl("delete", "rolebinding", "agent-objects")
        wait_until(lambda: node.kubectl("get", "configmap", "asked", "--as", "agent", check=False).returncode != 0, 20, "the agent is refused")
        refusal = lambda name: f'configmaps "{name}" is forbidden: User "agent" cannot get resource "configmaps"'
        for name in ("asker", "shower"):
            node.kill_container(name)
        waiting = wait_until(lambda: (now := self._waiting("asker")).get("reason") == "CreateContainerConfigError" and now, 40, "asker waits")
        self.assertIn(refusal("asked"), waiting["message"])
        node.wait_pod("shower", lambda pod: pod["status"]["containerStatuses"][0]["restartCount"] == 1 and condition(pod, "Ready") == "True",
                      40, "restarted with the files it has")
        self.assertEqual(node.log_of("shower").count("file of-shown"), 2)

        node.kill_daemon()  # the next life has nothing to serve from either
        node.start_daemon()
        node.apply(late)
        told = lambda: node.kubectl("get", "events", "--field-selector", "involvedObject.name=late,reason=FailedMount", "-o", "jsonpath={.items[*].message}")
        wait_until(lambda: refusal("shown") in told(), 40, "late is told why")
        self.assertEqual(node.pod("late")["status"]["phase"], "Pending")
        waiting = self._waiting("asker")
        self.assertEqual(waiting.get("reason"), "CreateContainerConfigError", waiting)
        self.assertIn(refusal("asked"), waiting["message"])
        self.assertEqual(node.log_of("asker").count("env of-asked"), 1)
        self.assertIn("running", node.pod("shower")["status"]["containerStatuses"][0]["state"])

        node.apply(binding("agent-objects", "default"))
        node.wait_ready("asker", 120)
        self.assertEqual(node.log_of("asker").count("env of-asked"), 2)
        node.wait_ready("late", 120)
        self.assertEqual((self._restarts("asker"), self._restarts("shower"), self._restarts("late")), (1, 1, 0))


if __name__ == "__main__":
    enter_namespaces()
    OPTIONS = arguments()
    sys.exit(results.run(sys.modules["__main__"], OPTIONS))
