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


if __name__ == "__main__":
    enter_namespaces()
    OPTIONS = arguments()
    sys.exit(results.run(sys.modules["__main__"], OPTIONS))
