# SPDX-License-Identifier: Apache-2.0
# Copyright The Pintle Authors
"""The spine against a real kube-apiserver, given as KUBEBUILDER_ASSETS."""
import json
import os
import signal
import subprocess
import sys
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
        told = lambda: node.log_of("survivor").count(line)
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
