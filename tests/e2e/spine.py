# SPDX-License-Identifier: Apache-2.0
# Copyright The Pintle Authors
"""What a node agent must do with real pods, whichever API they come from. Subclassed by the two suites."""
import base64
import json
import os
import pathlib
import signal
import subprocess
import time

from harness import NODE, busybox_pod, condition, wait_until
from registry import Registry

SLEEP = "trap 'exit 0' TERM; while true; do sleep 1 & wait $!; done"


def running_ids(pod):
    return {status["name"]: status["containerID"] for status in pod["status"]["containerStatuses"]}


def restarts(pod):
    return {status["name"]: status["restartCount"] for status in pod["status"]["containerStatuses"]}


def pod_program(name, labels, object="connect.bpf.o", program="deny_port", hook="connect4", **spec):
    """A PodProgram; deny_port refuses connections to port 7001, in its second version to 7002."""
    return {"apiVersion": "pintle.dev/v1alpha1", "kind": "PodProgram", "metadata": {"name": name},
            "spec": {"object": object, "program": program, "hook": hook, "podSelector": {"matchLabels": labels}, **spec}}


def labelled(pod, **labels):
    pod["metadata"]["labels"] = labels
    return pod


class SpineCases:
    node = None  # set by the suite

    def tearDown(self):
        for folder in (self.node.manifests, self.node.programs):  # else their mirrors would come back
            for file in folder.iterdir():
                file.unlink()
        for name in self.node.kubectl("get", "pods", "-o", "name", check=False).stdout.split():
            self.node.kubectl("delete", name, "--grace-period=0", "--force", "--wait=false", check=False)
        wait_until(lambda: not self.node.kubectl("get", "pods", "-o", "name").strip(), 60, "all pods gone")

    def test_a_pod_runs_with_its_programs_attached(self):
        self.node.apply(busybox_pod("web", SLEEP, "while true; do echo tick; sleep 1; done", init=["echo prepared"]))
        pod = self.node.wait_ready("web")
        self.assertEqual(pod["status"]["phase"], "Running")
        self.assertTrue(pod["status"]["podIP"])
        self.assertEqual(pod["status"]["qosClass"], "BestEffort")
        self.assertEqual(pod["status"]["initContainerStatuses"][0]["state"]["terminated"]["exitCode"], 0)
        hooks = self.node.ebpf("web")["pods"][0]["hooks"]
        self.assertEqual({hook["state"] for hook in hooks}, {"Attached"}, hooks)
        self.assertEqual(condition(pod, "pintle.dev/ProgramsAttached"), "True")
        reasons = wait_until(lambda: (found := self._event_reasons("web")) >= {"Created", "Started"} and found, 10, "events of web")
        self.assertIn("Pulled", reasons)

    def _event_reasons(self, name):
        events = json.loads(self.node.kubectl("get", "events", "-o", "json"))["items"]
        return {event["reason"] for event in events if event["involvedObject"].get("name") == name}

    def test_kubectl_sees_what_it_expects(self):
        self.node.apply(busybox_pod("seen", "echo first line; " + SLEEP))
        self.node.wait_ready("seen")
        table = self.node.kubectl("get", "pods", "-o", "wide")
        self.assertRegex(table, r"seen\s+1/1\s+Running\s+0")
        described = self.node.kubectl("describe", "pod", "seen")
        self.assertIn("Started", described)

    def test_a_job_like_pod_succeeds_and_another_fails(self):
        self.node.apply(busybox_pod("good", "true", restart="Never"), busybox_pod("bad", "echo dying > /dev/termination-log; exit 3", restart="Never"))
        self.node.wait_phase("good", "Succeeded")
        bad = self.node.wait_phase("bad", "Failed")
        terminated = bad["status"]["containerStatuses"][0]["state"]["terminated"]
        self.assertEqual((terminated["exitCode"], terminated["reason"], terminated["message"]), (3, "Error", "dying\n"))

    def test_a_crash_is_restarted_and_backs_off(self):
        self.node.apply(busybox_pod("crash", "exit 1"))
        pod = self.node.wait_pod("crash", lambda p: p["status"].get("containerStatuses", [{}])[0].get("state", {}).get("waiting", {}).get("reason") ==
                                 "CrashLoopBackOff", 40, "CrashLoopBackOff")
        status = pod["status"]["containerStatuses"][0]
        self.assertGreaterEqual(status["restartCount"], 1)
        self.assertEqual(status["lastState"]["terminated"]["exitCode"], 1)
        self.assertEqual(pod["status"]["phase"], "Running")

    def test_init_containers_run_in_order_and_a_failing_one_holds_the_pod(self):
        self.node.apply(busybox_pod("held", SLEEP, init=["true", "exit 2"], restart="Never"))
        pod = self.node.wait_phase("held", "Failed")
        states = [status["state"]["terminated"]["exitCode"] for status in pod["status"]["initContainerStatuses"]]
        self.assertEqual(states, [0, 2])
        self.assertNotIn("running", pod["status"]["containerStatuses"][0]["state"])

    def test_deletion_is_graceful_and_leaves_nothing(self):
        before = self.node.containers()
        self.node.apply(busybox_pod("brief", SLEEP))
        pod = self.node.wait_ready("brief")
        uid = pod["metadata"]["uid"]
        self.node.delete("brief")
        self.node.wait_gone("brief")
        wait_until(lambda: not self.node.containers() - before, 20, "containers removed")
        self.assertEqual(self._traces_of(uid) + self._logs_of(uid), [])

    def _traces_of(self, uid):
        found = subprocess.run(["find", "/sys/fs/cgroup", str(self.node.dir / "root" / "pods"), "-name", f"*{uid}*"], capture_output=True, text=True).stdout
        return found.split()

    def test_killing_the_daemon_disturbs_no_pod(self):
        self.node.apply(busybox_pod("steady", SLEEP), busybox_pod("other", SLEEP))
        before = {name: self.node.wait_ready(name) for name in ("steady", "other")}
        links = [hook["linkId"] for hook in self.node.ebpf("steady")["pods"][0]["hooks"]]
        transitions = {name: {c["type"]: c["lastTransitionTime"] for c in pod["status"]["conditions"]} for name, pod in before.items()}
        for sig in (signal.SIGKILL, signal.SIGTERM, signal.SIGKILL):
            self.node.kill_daemon(sig)
            self.node.start_daemon()
        for name, pod in before.items():
            now = self.node.wait_ready(name)
            self.assertEqual(running_ids(now), running_ids(pod))
            self.assertEqual(restarts(now), restarts(pod))
            self.assertEqual({c["type"]: c["lastTransitionTime"] for c in now["status"]["conditions"]}, transitions[name])
        hooks = wait_until(lambda: (h := self.node.ebpf("steady")["pods"][0]["hooks"]) and h, 10, "adopted hooks")
        self.assertEqual([hook["linkId"] for hook in hooks], links)
        self.assertEqual({hook["state"] for hook in hooks}, {"Adopted"})

    def test_what_was_deleted_while_the_daemon_was_dead_is_ended(self):
        self.node.apply(busybox_pod("gone", SLEEP))
        pod = self.node.wait_ready("gone")
        if not self.node.real_api:
            self.skipTest("the embedded API stops with the daemon")
        before = self.node.containers()
        self.node.apply(busybox_pod("ended", "echo last words", restart="Never"))
        ended = self.node.wait_phase("ended", "Succeeded")  # of which nothing runs, and only records are left
        self.node.kill_daemon(signal.SIGKILL)
        self.node.kubectl("delete", "pod", "gone", "ended", "--grace-period=0", "--force")
        self.node.start_daemon()
        for uid in (pod["metadata"]["uid"], ended["metadata"]["uid"]):
            wait_until(lambda: not self._traces_of(uid) and not self._logs_of(uid), 40, "orphan cleaned up")
        self.assertFalse(self.node.containers() - before)

    def _logs_of(self, uid):
        """The log folders of a pod, and the links that lead there."""
        folders = [str(path) for path in self.node.logs.glob(f"*_{uid}")]
        return folders + [str(path) for path in self.node.log_links.glob("*") if f"_{uid}/" in os.readlink(path)]

    def _link_of(self, name):
        """The link to the log of the pod's container."""
        return self.node.log_links / f"{name}_default_c0-{self.node.container_of(name)}.log"

    def test_links_lead_to_logs_and_both_go_with_their_container_and_pod(self):
        foreign_folder, foreign_link = self.node.logs / "default_logged_00000000-foreign", self.node.log_links / "logged_default_c0-ffff.log"
        self.node.apply(busybox_pod("logged", "echo a line; " + SLEEP), busybox_pod("done", "echo last words", restart="Never"))
        pod, done = self.node.wait_ready("logged"), self.node.wait_phase("done", "Succeeded")
        uid = pod["metadata"]["uid"]
        foreign_folder.mkdir()
        foreign_link.symlink_to("/run/elsewhere/0.log")
        logs = self.node.logs / f"default_logged_{uid}" / "c0"
        wait_until(lambda: "a line" in self._link_of("logged").read_text(), 10, "the link leads to the log")
        self.assertEqual(self._link_of("logged").resolve(), logs / "0.log")
        (logs / "0.log.20260102-030405").write_text("rotated\n")
        first = self._link_of("logged")
        for count in (1, 2):
            self.node.kill_container("logged")
            self.node.wait_pod("logged", lambda p: restarts(p)["c0"] == count and condition(p, "Ready") == "True", 60, f"{count} restarts and Ready")
        wait_until(lambda: {path.name for path in logs.iterdir()} == {"1.log", "2.log"}, 20, "the oldest instance's logs gone")
        self.assertFalse(os.path.lexists(first))
        self.assertEqual(self._link_of("logged").resolve(), logs / "2.log")
        self.assertEqual(len(self._logs_of(uid)), 3)
        # One that has ended keeps its log, until it is deleted.
        self.assertEqual(self.node.kubectl("logs", "done").strip() if not self.node.real_api else self.node.log_of("done").split(" F ")[1].strip(), "last words")
        self.assertEqual(len(self._logs_of(done["metadata"]["uid"])), 2)
        for name in ("logged", "done"):
            self.node.delete(name)
            self.node.wait_gone(name)
        self.assertEqual(self._logs_of(uid) + self._logs_of(done["metadata"]["uid"]), [])
        self.assertTrue(foreign_folder.is_dir() and foreign_link.is_symlink())
        foreign_folder.rmdir()
        foreign_link.unlink()

    def test_a_release_that_was_cut_short_is_finished_by_the_next_start(self):
        self.node.apply(busybox_pod("cut", "echo a line; " + SLEEP))
        uid = self.node.wait_ready("cut")["metadata"]["uid"]
        held = self.node.logs / f"default_cut_{uid}" / "held"
        held.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "held", held], check=True)  # which no release crosses
        self.addCleanup(lambda: subprocess.run(["umount", held], capture_output=True))
        self.node.delete("cut")
        wait_until(lambda: "still a mount point" in self.node.ctl("explain", "pod/cut", check=False).stdout, 20, "the release says what holds it")
        self.assertEqual(self._logs_of(uid), [str(held.parent)])
        self.assertTrue((self.node.dir / "root" / "pods" / uid).is_dir())
        self.node.kill_daemon(signal.SIGKILL)
        if self.node.real_api:
            self.node.kubectl("delete", "pod", "cut", "--grace-period=0", "--force")  # then nothing but the directory tells of it
        subprocess.run(["umount", held], check=True)
        self.node.start_daemon()
        wait_until(lambda: not self._logs_of(uid) and not self._traces_of(uid), 40, "the rest gone")
        self.node.wait_gone("cut")

    def test_a_killed_container_comes_back(self):
        self.node.apply(busybox_pod("phoenix", SLEEP))
        pod = self.node.wait_ready("phoenix")
        self.node.kill_container("phoenix", running_ids(pod)["c0"])
        pod = self.node.wait_pod("phoenix", lambda p: restarts(p)["c0"] == 1 and condition(p, "Ready") == "True", 40, "one restart and Ready")
        self.assertEqual(pod["status"]["containerStatuses"][0]["lastState"]["terminated"]["exitCode"], 137)

    def test_the_node_says_when_the_runtime_is_down_and_pods_resume(self):
        self.node.apply(busybox_pod("lasting", SLEEP))
        before = self.node.wait_ready("lasting")
        os.kill(self.node.runtime.pid(), signal.SIGKILL)
        wait_until(lambda: self._node_ready() == "False", 60, "node NotReady")
        self.node.apply(busybox_pod("waiting", SLEEP))
        self.node.runtime.start(resume=True)
        wait_until(lambda: self._node_ready() == "True", 60, "node Ready again")
        self.node.wait_ready("waiting")
        self.assertEqual(running_ids(self.node.wait_ready("lasting")), running_ids(before))

    def _node_ready(self):
        node = json.loads(self.node.kubectl("get", "node", NODE, "-o", "json"))
        return next(c["status"] for c in node["status"]["conditions"] if c["type"] == "Ready")

    def test_the_node_is_registered_and_its_lease_renewed(self):
        node = json.loads(self.node.kubectl("get", "node", NODE, "-o", "json"))
        self.assertEqual(node["metadata"]["labels"]["kubernetes.io/hostname"], NODE)
        self.assertIn("pods", node["status"]["capacity"])
        read = lambda: json.loads(self.node.kubectl("get", "lease", NODE, "-n", "kube-node-lease", "-o", "json"))["spec"]["renewTime"]
        first = wait_until(read, 20, "lease")
        wait_until(lambda: read() != first, 30, "lease renewed")

    def test_a_config_map_reaches_env_and_file(self):
        self.node.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings", "namespace": "default"}, "data": {"colour": "blue"}})
        pod = busybox_pod("reads", "test \"$COLOUR\" = blue && test \"$(cat /settings/colour)\" = blue && test \"$NAME\" = reads", restart="Never",
                          volumes=[{"name": "s", "configMap": {"name": "settings"}}])
        pod["spec"]["containers"][0].update(volumeMounts=[{"name": "s", "mountPath": "/settings"}],
                                            env=[{"name": "COLOUR", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "colour"}}},
                                                 {"name": "NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}])
        self.node.apply(pod)
        self.node.wait_phase("reads", "Succeeded")

    def test_a_changed_config_map_or_secret_is_in_the_pods_files_at_once_and_in_the_next_starts_environment(self):
        put = lambda kind, colour, **more: self.node.apply({"apiVersion": "v1", "kind": kind, "metadata": {"name": "shown", "namespace": "default"},
                                                            "stringData" if kind == "Secret" else "data": {"colour": colour}, **more})
        self.addCleanup(self.node.kubectl, "delete", "configmap,secret", "shown", "fixed", "--ignore-not-found")
        put("ConfigMap", "blue")
        put("Secret", "blue")
        self.node.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "fixed", "namespace": "default"}, "immutable": True,
                         "data": {"colour": "always"}})
        volumes = [{"name": "m", "configMap": {"name": "shown"}}, {"name": "s", "secret": {"secretName": "shown"}},
                   {"name": "late", "configMap": {"name": "late", "optional": True}},
                   {"name": "p", "projected": {"sources": [{"configMap": {"name": "shown"}}, {"configMap": {
                       "name": "fixed", "items": [{"key": "colour", "path": "fixed"}]}}]}}]
        pod = busybox_pod("shows", f"echo env $COLOUR; {SLEEP}", volumes=volumes)
        mounts = [{"name": volume["name"], "mountPath": "/" + volume["name"]} for volume in volumes]
        pod["spec"]["containers"][0].update(volumeMounts=mounts + [{"name": "m", "mountPath": "/sub", "subPath": "colour"}],
                                            env=[{"name": "COLOUR", "valueFrom": {"configMapKeyRef": {"name": "shown", "key": "colour"}}}])
        self.node.apply(pod)
        uid = self.node.wait_ready("shows")["metadata"]["uid"]
        folder = self.node.dir / "root" / "pods" / uid / "volumes"
        shown = lambda plugin, volume, key="colour": lambda: (folder / f"kubernetes.io~{plugin}" / volume / key).read_text()
        in_map, in_secret, in_projected = shown("configmap", "m"), shown("secret", "s"), shown("projected", "p")
        self.assertEqual(shown("projected", "p", "fixed")(), "always")
        times = []
        for colour in ("green", "red", "white", "black", "grey"):
            put("ConfigMap", colour)
            since = time.monotonic()
            wait_until(lambda: in_map() == in_projected() == colour, 10, f"'{colour}' in the pod's files")
            times.append(time.monotonic() - since)
        print(f"ConfigMap change to file: {', '.join(f'{1000 * one:.0f}' for one in times)} ms after kubectl's end")
        put("Secret", "grey")
        wait_until(lambda: in_secret() == "grey", 10, "the secret's change in its file")
        self.addCleanup(self.node.kubectl, "delete", "configmap", "late", "--ignore-not-found")
        self.node.kubectl("create", "configmap", "late", "--from-literal=colour=late")
        wait_until(lambda: (folder / "kubernetes.io~configmap" / "late" / "colour").exists(), 10, "an optional object that came later")

        in_container = lambda path: self.node.exec_in("shows", "cat", path)
        self.assertEqual((in_container("/m/colour"), in_container("/s/colour"), in_container("/sub")), ("grey", "grey", "blue"))
        self.assertIn("env blue", self.node.log_of("shows"))
        self.node.kill_container("shows")
        self.node.wait_pod("shows", lambda p: restarts(p)["c0"] == 1 and condition(p, "Ready") == "True", 40, "restarted")
        wait_until(lambda: "env grey" in self.node.log_of("shows"), 10, "the new value in the environment")
        self.assertEqual(in_container("/sub"), "grey")

    def test_services_are_told_as_variables(self):
        self.addCleanup(self.node.kubectl, "delete", "service", "web-front", "--ignore-not-found")
        self.node.apply({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web-front", "namespace": "default"},
                         "spec": {"clusterIP": "10.0.0.77", "selector": {"app": "web"}, "ports": [{"name": "http", "port": 80}]}})
        master = self.node.kubectl("get", "service", "kubernetes", "-o", "jsonpath={.spec.clusterIP}", check=False).stdout.strip()
        told = 'test "$KUBERNETES_SERVICE_HOST" = "$MASTER"'  # a service of every real API server; the embedded endpoint has none
        front = 'test "$WEB_FRONT_SERVICE_HOST:$WEB_FRONT_SERVICE_PORT_HTTP" = 10.0.0.77:80 && test "$URL" = tcp://10.0.0.77:80'
        for name, links, test in (("linked", True, f"{told} && {front}"), ("unlinked", False, f'{told} && test -z "$WEB_FRONT_PORT"')):
            pod = busybox_pod(name, test, restart="Never", enableServiceLinks=links)
            pod["spec"]["containers"][0]["env"] = [{"name": "MASTER", "value": master}, {"name": "URL", "value": "$(WEB_FRONT_PORT)"}]
            self.node.apply(pod)
            self.node.wait_phase(name, "Succeeded")

    def _private_pod(self, name, image, *secrets):
        pod = busybox_pod(name, SLEEP, imagePullSecrets=[{"name": secret} for secret in secrets])
        pod["spec"]["containers"][0]["image"] = image
        return pod

    def _wait_waiting(self, name, reason):
        waiting = lambda pod: pod["status"].get("containerStatuses", [{}])[0].get("state", {}).get("waiting", {})
        return waiting(self.node.wait_pod(name, lambda pod: waiting(pod).get("reason") == reason, 30, reason))["message"]

    def test_an_image_of_a_private_registry_wants_the_pods_secret_or_the_nodes_file(self):
        node, user, password = self.node, "puller", "hunter22-of-the-registry"
        registry, file = Registry(user, password), self.node.dir / "root" / "config.json"
        self.addCleanup(registry.close)
        self.addCleanup(node.kubectl, "delete", "secret", "pull", "bad", "--ignore-not-found")
        self.addCleanup(file.unlink, missing_ok=True)
        image = lambda name: f"{registry.address}/private/{name}:1"

        node.apply(self._private_pod("private", image("busybox"), "pull"))
        told = self._wait_waiting("private", "ImagePullBackOff")
        self.assertIn(image("busybox"), told)
        expected = {"FailedToRetrieveImagePullSecret", "Pulling", "Failed", "BackOff"}
        wait_until(lambda: self._event_reasons("private") >= expected, 10, "events of private")
        node.kubectl("create", "secret", "docker-registry", "pull", f"--docker-server={registry.address}", f"--docker-username={user}",
                     f"--docker-password={password}")
        node.wait_ready("private")
        self.assertGreater(registry.refused, 0)

        wrong = base64.b64encode(password.encode()).decode()  # without a user
        node.apply({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "bad", "namespace": "default"},
                    "type": "kubernetes.io/dockerconfigjson",
                    "stringData": {".dockerconfigjson": json.dumps({"auths": {registry.address: {"auth": wrong}}})}})
        node.apply(self._private_pod("unread", image("nonroot"), "bad"))
        read = lambda: [event["message"] for event in json.loads(node.kubectl("get", "events", "-o", "json"))["items"]
                        if event["involvedObject"].get("name") == "unread" and event["reason"] == "Failed"]
        self.assertIn("secret 'default/bad', key '.dockerconfigjson'", wait_until(read, 20, "Failed event of unread")[0])

        file.write_text("{")
        node.apply(self._private_pod("by-node", image("named")))
        self._wait_waiting("by-node", "ImagePullBackOff")
        self.assertIn(f"'{file}': is not JSON", node.ctl("status", "-o", "json", check=False).stdout)
        basic = base64.b64encode(f"{user}:{password}".encode()).decode()
        file.write_text(json.dumps({"auths": {registry.address: {"auth": basic}}}))
        node.wait_ready("by-node")
        self.assertNotIn(str(file), node.ctl("status", "-o", "json", check=False).stdout)

        shown = [node.log.read_text(errors="replace"), (node.dir / "events.json").read_text(errors="replace")]
        shown += [node.kubectl("get", kind, "-o", "json") for kind in ("pods", "events")]
        shown += [node.ctl("explain", f"pod/{name}", check=False).stdout for name in ("private", "unread", "by-node")]
        for text in shown:
            for secret in (password, wrong, basic):
                self.assertNotIn(secret, text)

    def _plugin(self, folder, registry, answer):
        """A credential provider that answers what is in `answer`, and says so if there is none."""
        folder.mkdir()
        program = folder / "e2e-provider"
        program.write_text(f'#!/bin/sh\ncat >>{folder}/asked\ncat {answer} 2>/dev/null && exit 0\necho "no word of $WHO" >&2\nexit 1\n')
        program.chmod(0o755)
        config = folder / "providers.yaml"
        config.write_text(json.dumps({"apiVersion": "kubelet.config.k8s.io/v1", "kind": "CredentialProviderConfig", "providers": [
            {"name": program.name, "apiVersion": "credentialprovider.kubelet.k8s.io/v1", "matchImages": [f"{registry}/private"],
             "defaultCacheDuration": "1h", "env": [{"name": "WHO", "value": "the registry"}]}]}))
        return config

    def test_a_credential_plugin_answers_for_a_private_registry(self):
        node, user, password, port = self.node, "plugged", "hunter23-of-the-plugin", 5999
        registry, folder, path = Registry(user, password, port), node.dir / "plugins", node.dir / "pintled.yaml"
        self.addCleanup(registry.close)
        before = path.read_text()
        answer, config = folder / "answer.json", json.loads(before)

        def restart_with(text):
            path.write_text(text)
            node.kill_daemon(signal.SIGTERM)
            node.start_daemon()

        config["pintle"]["imageCredentialProviderConfig"] = str(self._plugin(folder, registry.address, answer))
        config["pintle"]["imageCredentialProviderBinDir"] = str(folder)
        self.addCleanup(restart_with, before)
        restart_with(json.dumps(config))
        image = lambda name: f"{registry.address}/private/{name}:1"
        node.apply(self._private_pod("plugged", image("busybox")))
        self._wait_waiting("plugged", "ImagePullBackOff")
        status = node.ctl("status", "-o", "json", check=False).stdout
        self.assertIn("no word of the registry", status)
        answer.write_text(json.dumps({"apiVersion": "credentialprovider.kubelet.k8s.io/v1", "kind": "CredentialProviderResponse",
                                      "cacheKeyType": "Registry", "auth": {registry.address: {"username": user, "password": password}}}))
        node.wait_ready("plugged")
        request = json.loads((folder / "asked").read_text().splitlines()[-1])
        self.assertEqual((request["kind"], request["image"]), ("CredentialProviderRequest", f"{registry.address}/private/busybox"))
        asked = len((folder / "asked").read_text().splitlines())
        node.apply(self._private_pod("plugged2", image("named")))
        node.wait_ready("plugged2")
        self.assertEqual(len((folder / "asked").read_text().splitlines()), asked)  # kept for the registry
        self.assertNotIn("e2e-provider", node.ctl("status", "-o", "json", check=False).stdout)
        shown = [node.log.read_text(errors="replace"), status, node.kubectl("get", "events", "-o", "json")]
        for text in shown:
            self.assertNotIn(password, text)

    def test_a_link_that_was_detached_is_found_and_put_back(self):
        self.node.apply(busybox_pod("watched", SLEEP))
        before = self.node.wait_ready("watched")
        # Its exit code is not 0 while a hook is dead.
        shown = lambda: json.loads(self.node.ctl("ebpf", "status", "watched", "-o", "json", check=False).stdout)
        hooks = lambda: {hook["hook"]: hook for hook in shown()["pods"][0]["hooks"]}
        lost = hooks()["egress"]["linkId"]
        subprocess.run(["bpftool", "link", "detach", "id", str(lost)], check=True)
        self.assertEqual(hooks()["egress"]["state"], "Dead")
        back = wait_until(lambda: (hook := hooks()["egress"])["state"] == "Attached" and hook, 20, "egress attached again")
        self.assertNotEqual(back["linkId"], lost)
        wait_until(lambda: "ProgramsDied" in self._event_reasons("watched"), 10, "event ProgramsDied")
        self.assertEqual(running_ids(self.node.wait_ready("watched")), running_ids(before))

    def _declare(self, name, document):
        """As a package manager does it: whole files, by rename."""
        file = self.node.programs / f".{name}.new"
        file.write_bytes(document if isinstance(document, bytes) else json.dumps(document).encode())
        file.chmod(0o644)
        file.rename(self.node.programs / name)

    def test_an_operators_program_of_the_folder_lives_through_everything(self):
        node, row = self.node, self.node.pod_program_of
        node.apply(labelled(busybox_pod("guarded", SLEEP), app="guarded"), labelled(busybox_pod("other", SLEEP), app="other"))
        before = node.wait_ready("guarded")
        self._declare("deny.yaml", pod_program("deny-port", {"app": "guarded"}, order="before", policy="required"))
        wait_until(lambda: "No such file" in node.pod_programs().get("deny-port", {}).get("error", ""), 10, "the missing object told")
        self._declare("connect.bpf.o", node.object("connect_v1.bpf.o"))
        first = wait_until(lambda: (found := row("guarded", "deny-port")) and found["state"] == "Attached" and found, 10, "attached")
        self.assertEqual((first["position"], first["effectiveCount"], first["neighbours"]), (1, 2, []))
        self.assertIsNone(row("other", "deny-port"))
        self.assertEqual(node.pod_programs()["deny-port"]["pods"], 1)
        self.assertEqual(running_ids(node.wait_ready("guarded")), running_ids(before))

        # In force from a pod's first instruction on.
        denied = "for i in 1 2 3; do nc 127.0.0.1 {0} < /dev/null 2>&1 | grep -q 'not permitted' || exit 1; done"
        node.apply(labelled(busybox_pod("job", denied.format(7001), restart="Never"), app="guarded"))
        node.wait_phase("job", "Succeeded")

        # A newer one takes its place in the same link; a bad one changes nothing.
        self._declare("connect.bpf.o", node.object("connect_v2.bpf.o"))
        second = wait_until(lambda: (found := row("guarded", "deny-port"))["programTag"] != first["programTag"] and found, 10, "second version")
        self.assertEqual(second["linkId"], first["linkId"])
        node.apply(labelled(busybox_pod("job2", denied.format(7002), restart="Never"), app="guarded"))
        node.wait_phase("job2", "Succeeded")
        self._declare("bad.bpf.o", node.object("bad.bpf.o"))
        self._declare("deny.yaml", pod_program("deny-port", {"app": "guarded"}, "bad.bpf.o", "no_null_check", policy="required"))
        outdated = wait_until(lambda: (found := node.pod_programs()["deny-port"])["state"] == "Outdated" and found, 10, "refusal told")
        self.assertIn("map_value_or_null", outdated["error"])
        self.assertEqual(row("guarded", "deny-port")["linkId"], first["linkId"])
        self.assertEqual(condition(node.pod("guarded"), "Ready"), "True")
        told = node.ctl("status", check=False)
        self.assertIn("map_value_or_null", told.stdout + told.stderr)
        self._declare("deny.yaml", pod_program("deny-port", {"app": "guarded"}, order="before", policy="required"))
        wait_until(lambda: node.pod_programs()["deny-port"]["state"] == "Loaded", 10, "mended")

        node.kill_daemon(signal.SIGKILL)
        node.start_daemon()
        adopted = wait_until(lambda: (found := row("guarded", "deny-port")) and found["state"] == "Adopted" and found["effectiveCount"] and found,
                             20, "adopted")
        self.assertEqual((adopted["linkId"], adopted["programTag"]), (first["linkId"], second["programTag"]))

        for file in node.programs.iterdir():
            file.unlink()
        wait_until(lambda: row("guarded", "deny-port") is None and not node.pod_programs(), 10, "removed")
        self.assertNotIn("deny_port", subprocess.run(["bpftool", "prog"], check=True, capture_output=True, text=True).stdout)
        self.assertEqual(running_ids(node.wait_ready("guarded")), running_ids(before))

    def test_a_required_program_that_is_refused_holds_new_pods_and_a_best_effort_one_does_not(self):
        node = self.node
        node.apply(labelled(busybox_pod("runs", SLEEP), app="held"))
        node.wait_ready("runs")
        self._declare("bad.bpf.o", node.object("bad.bpf.o"))
        self._declare("need.yaml", pod_program("needed", {"app": "held"}, "bad.bpf.o", "no_null_check", policy="required"))
        self._declare("like.yaml", pod_program("liked", {"app": "free"}, "bad.bpf.o", "no_license", "connect6"))
        wait_until(lambda: {one["state"] for one in node.pod_programs().values()} == {"Refused"}, 10, "both refused")
        node.apply(labelled(busybox_pod("held", SLEEP), app="held"), labelled(busybox_pod("free", SLEEP), app="free"))
        node.wait_ready("free")
        message = lambda name: next(c.get("message", "") for c in node.pod(name)["status"]["conditions"] if c["type"] == "pintle.dev/ProgramsAttached")
        self.assertIn("best-effort program liked", message("free"))
        self.assertIn("GPL", message("free"))
        held = node.wait_pod("held", lambda pod: condition(pod, "pintle.dev/ProgramsAttached") == "False", 20, "held")
        self.assertIn("required program needed", message("held"))
        self.assertIn("map_value_or_null", message("held"))
        self.assertFalse(held["status"].get("podIP"))
        self.assertEqual(condition(node.pod("runs"), "Ready"), "True")
        self._declare("connect.bpf.o", node.object("connect_v1.bpf.o"))
        self._declare("need.yaml", pod_program("needed", {"app": "held"}, policy="required"))
        node.wait_ready("held")
        self.assertEqual(node.pod_program_of("held", "needed")["state"], "Attached")

    def test_an_operators_program_comes_as_a_config_map(self):
        node, row = self.node, self.node.pod_program_of
        node.apply(labelled(busybox_pod("mapped", SLEEP), app="mapped"))
        node.wait_ready("mapped")
        document = pod_program("from-map", {"app": "mapped"}, namespaces=["default"])
        config_map = {"apiVersion": "v1", "kind": "ConfigMap",
                      "metadata": {"name": "from-map", "namespace": "kube-system", "labels": {"pintle.dev/pod-program": "true"}},
                      "data": {"program.yaml": json.dumps(document)},
                      "binaryData": {"connect.bpf.o": base64.b64encode(node.object("connect_v1.bpf.o")).decode()}}
        apply = lambda: node.kubectl("apply", "--server-side=false", "-f", "-", stdin=json.dumps(config_map))
        try:
            apply()
            first = wait_until(lambda: (found := row("mapped", "from-map")) and found["state"] == "Attached" and found, 10, "attached")
            self.assertEqual(node.pod_programs()["from-map"]["origin"], "configmap kube-system/from-map")
            config_map["binaryData"]["connect.bpf.o"] = base64.b64encode(node.object("connect_v2.bpf.o")).decode()
            apply()
            second = wait_until(lambda: (found := row("mapped", "from-map"))["programTag"] != first["programTag"] and found, 10, "second version")
            self.assertEqual(second["linkId"], first["linkId"])
            # Without its label it is no program any more.
            node.kubectl("label", "configmap", "from-map", "-n", "kube-system", "pintle.dev/pod-program-")
            wait_until(lambda: row("mapped", "from-map") is None and not node.pod_programs(), 10, "removed")
        finally:
            node.kubectl("delete", "configmap", "from-map", "-n", "kube-system", "--ignore-not-found")
    def _label_set(self, value):
        self.node.kubectl("label", "node", NODE, "--overwrite", f"pintle.dev/program-set={value}" if value else "pintle.dev/program-set-")

    def _set_status(self, name):
        told = json.loads(self.node.ctl("ebpf", "status", name, "-o", "json", check=False).stdout)
        hooks = told["pods"][0]["hooks"] if told["pods"] else []
        return told["programSet"], {hook["programSet"] for hook in hooks}, [hook["linkId"] for hook in hooks]

    def test_a_program_set_is_rolled_out_by_the_node_s_label_and_a_bad_one_is_refused(self):
        self.node.apply(busybox_pod("labelled", SLEEP))
        before = self.node.wait_ready("labelled")
        self.addCleanup(self._label_set, "")
        _, sets, links = self._set_status("labelled")
        self.assertEqual(sets, {"builtin"})
        self._label_set("next")
        in_force = wait_until(lambda: (told := self._set_status("labelled"))[1] == {"next"} and told, 10, "set 'next' on the pod")  # the node is watched
        self.assertEqual((in_force[0]["name"], in_force[0]["state"], in_force[2]), ("next", "in force", links))
        shown = json.loads(self.node.ctl("ebpf", "progs", "-o", "json"))
        self.assertEqual((shown["programSet"]["name"], {program["set"] for program in shown["items"]} - {""}), ("next", {"next"}))
        self._label_set("blind")
        refused = wait_until(lambda: (told := self._set_status("labelled"))[0]["state"] == "refused" and told, 30, "set 'blind' refused")
        self.assertEqual((refused[0]["name"], refused[0]["wanted"], refused[1], refused[2]), ("next", "blind", {"next"}, links))
        self.assertIn("it counted 0", refused[0]["error"])
        # Pods have the set before: nothing fails, and whoever asks is told.
        told = wait_until(lambda: (told := json.loads(self.node.ctl("status", "-o", "json")))["problems"] and told, 10, "a problem of the set")
        self.assertEqual((told["ok"], [(p["source"], p["origin"]) for p in told["problems"]]), (True, [("program set", "blind")]))
        doctor = self.node.ctl("ebpf", "doctor", "-o", "json", check=False)
        self.assertEqual((doctor.returncode, json.loads(doctor.stdout)["programSet"]["wanted"]), (1, "blind"))
        wait_until(lambda: "ProgramSetRefused" in self._event_reasons(NODE), 20, "event ProgramSetRefused")
        told = lambda: next((c for c in json.loads(self.node.kubectl("get", "node", NODE, "-o", "json"))["status"]["conditions"]
                             if c["type"] == "pintle.dev/ProgramSet"), {})
        wait_until(lambda: (told().get("status"), told().get("reason")) == ("False", "Refused"), 30, "the node's condition")
        self._label_set("next")
        wait_until(lambda: told().get("status") == "True", 30, "the node's condition well again")
        self.node.kill_daemon(signal.SIGKILL)
        self.node.start_daemon()
        again = wait_until(lambda: (told := self._set_status("labelled"))[1] == {"next"} and told, 20, "set 'next' after a restart")
        self.assertEqual(again[2], links)
        self._label_set("")
        back = wait_until(lambda: (told := self._set_status("labelled"))[1] == {"builtin"} and told, 30, "the set compiled in again")
        self.assertEqual(back[2], links)
        self.assertEqual(running_ids(self.node.wait_ready("labelled")), running_ids(before))

    def test_a_pin_that_was_taken_away_is_put_back_at_once(self):
        self.node.apply(busybox_pod("unpinned", SLEEP))
        uid = self.node.wait_ready("unpinned")["metadata"]["uid"]
        pins = [path for path in pathlib.Path("/sys/fs/bpf").glob(f"pintle_*/v*/pods/{uid}/egress")] + \
               [path for path in (self.node.run_dir / "bpf").glob(f"pintle_*/v*/pods/{uid}/egress")]
        self.assertEqual(len(pins), 1, pins)
        pins[0].unlink()
        wait_until(pins[0].exists, 3, "egress pinned again")  # the audit alone would take 10 s
        wait_until(lambda: "ProgramsDied" in self._event_reasons("unpinned"), 10, "event ProgramsDied")

    def test_a_static_pod_has_a_mirror_in_the_api(self):
        manifest = busybox_pod("static", "echo hello from a static pod; " + SLEEP)
        del manifest["spec"]["nodeName"]
        file = self.node.manifests / "static.json"
        file.write_text(json.dumps(manifest))
        name = f"static-{NODE}"
        mirror = self.node.wait_ready(name)
        self.assertRegex(self.node.kubectl("get", "pods", "-A"), rf"default\s+{name}\s+1/1\s+Running\s+0")
        annotations, owner = mirror["metadata"]["annotations"], mirror["metadata"]["ownerReferences"][0]
        self.assertEqual(annotations["kubernetes.io/config.mirror"], annotations["kubernetes.io/config.hash"])
        self.assertEqual(annotations["kubernetes.io/config.source"], "file")
        node = json.loads(self.node.kubectl("get", "node", NODE, "-o", "json"))
        self.assertEqual((owner["kind"], owner["name"], owner["uid"], owner["controller"]), ("Node", NODE, node["metadata"]["uid"], True))
        self.assertIn({"operator": "Exists", "effect": "NoExecute"}, mirror["spec"]["tolerations"])
        rows = json.loads(self.node.ctl("get", "pods", "-A", "-o", "json"))["items"]
        self.assertEqual([row["metadata"]["name"] for row in rows if row["metadata"]["name"] == name], [name])
        if not self.node.real_api:  # there the API server would ask the node's own HTTPS endpoint
            wait_until(lambda: "hello from a static pod" in self.node.kubectl("logs", name), 10, "log of the static pod")

        own = running_ids(mirror)["c0"].split("//")[1]
        self.node.kubectl("delete", "pod", name, "--timeout=30s")  # waits for this UID's end
        again = self.node.wait_ready(name)
        self.assertNotEqual(again["metadata"]["uid"], mirror["metadata"]["uid"])
        self.assertEqual((running_ids(again), restarts(again)), (running_ids(mirror), restarts(mirror)))

        self.node.kill_daemon(signal.SIGKILL)
        self.node.start_daemon()
        rows = wait_until(lambda: self.node.ctl("get", "pods", "-A").count(name), 20, "static pod known again")
        adopted = self.node.wait_ready(name)
        self.assertEqual(rows, 1)
        self.assertEqual((adopted["metadata"]["uid"], running_ids(adopted)), (again["metadata"]["uid"], running_ids(mirror)))

        self.node.kill_daemon(signal.SIGKILL)
        file.unlink()
        self.node.start_daemon()
        self.node.wait_gone(name)
        wait_until(lambda: own not in self.node.containers(), 20, "its container removed")

    def test_an_image_that_is_not_there_is_explained(self):
        pod = busybox_pod("noimage", SLEEP)
        pod["spec"]["containers"][0]["image"] = "registry.invalid/none:1"
        self.node.apply(pod)
        waiting = lambda p: p["status"].get("containerStatuses", [{}])[0].get("state", {}).get("waiting", {})
        self.node.wait_pod("noimage", lambda p: waiting(p).get("reason") in ("ErrImagePull", "ImagePullBackOff"), 60, "image pull error")
        self.assertIn("registry.invalid/none:1", self.node.ctl("explain", "pod/noimage", check=False).stdout)

    def test_a_readiness_probe_decides(self):
        pod = busybox_pod("probed", "httpd -p 8080 -h /www; while true; do sleep 1; done", volumes=[{"name": "www", "emptyDir": {}}])
        pod["spec"]["containers"][0].update(
            volumeMounts=[{"name": "www", "mountPath": "/www"}],
            command=["sh", "-c", "httpd -p 8080 -h /www; sleep 3; echo ok > /www/ready; while true; do sleep 1; done"],
            readinessProbe={"httpGet": {"path": "/ready", "port": 8080}, "periodSeconds": 1})
        self.node.apply(pod)
        self.node.wait_pod("probed", lambda p: p["status"].get("phase") == "Running" and condition(p, "Ready") == "False", 40, "Running, not Ready")
        self.node.wait_ready("probed", 40)
