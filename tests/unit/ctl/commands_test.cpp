// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include <future>
#include <thread>

#include <catch2/catch_test_macros.hpp>

#include "codec/document.h"
#include "unit/ctl/ctl_fixture.h"

using namespace pintle;
using test::CtlFixture;

TEST_CASE("logs: text as it is, options handed on, and the errors of the rule that finds the log") {
  CtlFixture f;
  f.agent.put(test::running_pod());
  f.logs.set_log("uid-default-web", "main", 0, "one\ntwo\n");
  const auto ran = f.ctl({"logs", "web", "--tail", "5", "--timestamps", "--since", "1m"});
  CHECK(ran.code == 0);
  CHECK(ran.out == "one\ntwo\n");
  CHECK(f.logs.last_options().tail_lines == 5);
  CHECK(f.logs.last_options().timestamps);
  CHECK(f.logs.last_options().since == test::kNow - std::chrono::minutes(1));
  CHECK(f.ctl({"logs", "pod/web", "--tail", "-1"}).code == 0);
  CHECK_FALSE(f.logs.last_options().tail_lines);
  CHECK(f.ctl({"logs", "web", "-c", "none"}).code == 4);
  CHECK(f.ctl({"logs", "web", "-p"}).code == 4);
  CHECK(f.ctl({"logs", "gone"}).code == 1);
}

TEST_CASE("logs -f ends with the container") {
  CtlFixture f;
  f.agent.put(test::running_pod());
  f.logs.set_log("uid-default-web", "main", 0, "one\n");
  auto following = std::async(std::launch::async, [&] { return f.ctl({"logs", "web", "-f"}); });
  f.out.wait_for("one\n");
  auto ended = test::running_pod();
  ended.status.phase = model::Phase::kSucceeded;
  ended.status.container_statuses[0].state =
      model::StateTerminated{.exit_code = 0, .reason = "Completed", .container_id = "containerd://abc"};
  f.agent.put(ended);
  CHECK(following.get().code == 0);
}

TEST_CASE("delete waits until the pod is gone, with the asked-for grace") {
  CtlFixture f;
  f.agent.put(test::running_pod());
  std::promise<void> accepted;
  f.agent.on_delete([&](const std::string&) { accepted.set_value(); });
  auto deleting = std::async(std::launch::async, [&] { return f.ctl({"delete", "pod", "web", "--grace-period", "7"}); });
  accepted.get_future().wait();
  f.agent.wait_for_pod_watchers(1);
  f.agent.remove("default/web");
  const auto ran = deleting.get();
  CHECK(ran.code == 0);
  CHECK(ran.out == "pod/web deleted\n");
  CHECK(f.agent.with_faults([](auto& faults) { return faults.calls(); }).back() == "delete_pod default/web grace 7");
}

TEST_CASE("delete: force, no-wait, not found, time limit, manifests") {
  CtlFixture f;
  const auto last_call = [&] { return f.agent.with_faults([](auto& faults) { return faults.calls().back(); }); };
  f.agent.put(test::running_pod());
  CHECK(f.ctl({"delete", "pod/web", "--force"}).code == 0);
  CHECK(last_call() == "delete_pod default/web grace 0");
  CHECK(f.ctl({"delete", "pod", "web"}).code == 1);
  CHECK(f.ctl({"delete", "pod", "web", "--ignore-not-found"}).code == 0);
  CHECK(f.ctl({"delete", "configmap", "c"}).code == 4);
  CHECK(f.ctl({"delete", "pod", "web", "--force", "--grace-period", "3"}).code == 2);
  f.agent.put(test::running_pod());
  f.agent.on_delete([](const std::string&) {});
  CHECK(f.ctl({"delete", "pod", "web", "--no-wait"}).code == 0);
  const auto late = f.ctl({"delete", "pod", "web", "--timeout", "50ms"});
  CHECK(late.code == 1);
  CHECK(late.err.find("explain pod/web") != std::string::npos);
  f.agent.on_delete({});
  const auto file = f.write(
      "web.yaml", "apiVersion: v1\nkind: Pod\nmetadata:\n  name: web\n---\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: c\n");
  f.agent.set_status({.kubeconfig = "/etc/pintle/kubeconfig"});
  const auto ran = f.ctl({"delete", "-f", file});
  CHECK(ran.code == 0);
  CHECK(ran.out == "pod/web deleted\n");
  CHECK(ran.err.find("ConfigMap/c (kubectl --kubeconfig /etc/pintle/kubeconfig delete") != std::string::npos);
}

TEST_CASE("status: parts, and the exit code says whether all work") {
  CtlFixture f;
  ports::AgentStatus status{.version = "0.1.0", .mode = "standalone", .node_name = "node1", .runtime_endpoint = "unix:///run/c.sock"};
  status.started_at = test::kNow - std::chrono::hours(2);
  status.pid = 42;
  status.rss_bytes = 20 << 20;
  status.anon_bytes = 6 << 20;
  status.components = {{"runtime", true, "containerd 1.6"}, {"ebpf", true, ""}};
  f.agent.set_status(status);
  const auto ran = f.ctl({"status"});
  CHECK(ran.code == 0);
  CHECK(ran.out ==
        "pintled     0.1.0, standalone mode, pid 42, up 120m\n"
        "node        node1\n"
        "runtime     unix:///run/c.sock\n"
        "pods        0, with 0 running containers\n"
        "memory      20 MiB, 6.0 MiB of it anonymous\n"
        "\n"
        "PART      STATE   DETAIL\n"
        "runtime   ok      containerd 1.6\n"
        "ebpf      ok      <none>\n");
  status.components[1] = {"ebpf", false, "no cgroup v2"};
  f.agent.set_status(status);
  const auto failed = f.ctl({"status", "-o", "json"});
  CHECK(failed.code == 1);
  const auto json = codec::parse_json(failed.out, "");
  REQUIRE(json);
  CHECK(json->find("ok")->text == "false");
  CHECK(json->find("components")->children.size() == 2);
  CHECK(f.ctl({"status", "--wait", "--timeout", "150ms"}).code == 1);
}

TEST_CASE("status --wait outlasts a part that is not up yet") {
  CtlFixture f;
  ports::AgentStatus status{.version = "0.1.0"};
  status.components = {{"runtime", false, "connecting"}};
  f.agent.set_status(status);
  auto waiting = std::async(std::launch::async, [&] { return f.ctl({"status", "--wait"}); });
  while (f.agent.with_faults([](auto& faults) { return faults.count("status"); }) == 0) std::this_thread::yield();
  status.components[0].ok = true;
  f.agent.set_status(status);
  CHECK(waiting.get().code == 0);
}

TEST_CASE("explain: what is waited for, and the chain of causes") {
  CtlFixture f;
  f.agent.put(test::crashing_pod());
  f.agent.add_event({.object = {.kind = "Pod", .namespace_ = "default", .name = "bad"},
                     .type = model::EventType::kWarning,
                     .reason = "BackOff",
                     .message = "again",
                     .time = test::kNow - std::chrono::seconds(10)});
  const auto ran = f.ctl({"explain", "pod/bad"});
  CHECK(ran.code == 0);
  CHECK(ran.out ==
        "pod default/bad is CrashLoopBackOff, 0/1 containers ready, for 5m\n"
        "  now: container 'main' is restarted in 12 s\n"
        "  eBPF: 3/4 hooks in force, rx 2.0 KiB, tx 100 B, 3 connects, 1 execs, 0 events lost\n"
        "because:\n"
        "  - condition Ready is False for 2m: ContainersNotReady: containers with unready status: [main]\n"
        "  - container 'main' is not ready: Waiting: CrashLoopBackOff: back-off 40s restarting failed container\n"
        "  - container 'main' before, restart 3: Terminated: Error, exit code 2, 90s ago\n"
        "  - eBPF hook 'egress' is Refused: attach 'egress': operation not permitted\n"
        "warnings:\n"
        "  - 10s ago: BackOff: again\n"
        "steps:\n"
        "    +0.0 ms  admitted\n"
        "    +120 ms  image 'busybox:1.36' pulled  (100 ms)\n");
  CHECK(codec::parse_json(f.ctl({"explain", "bad", "-o", "json"}).out, ""));
}

TEST_CASE("describe: a pod and the node in full") {
  CtlFixture f;
  f.agent.put(test::crashing_pod());
  const auto pod = f.ctl({"describe", "pod", "bad"});
  CHECK(pod.code == 0);
  for (const char* part :
       {"Name:            bad\n", "Status:          CrashLoopBackOff\n", "Now:             container 'main' is restarted in 12 s\n",
        "    Last State:    Terminated: Error, exit code 2, 90s ago\n", "    Ports:         80/TCP (http)\n",
        "Cgroup:          /kubepods/besteffort/poduid-default-bad (id 4711)\n", "Events:          <none>\n"}) {
    INFO(part);
    CHECK(pod.out.find(part) != std::string::npos);
  }
  model::Node node;
  node.metadata.name = "node1";
  f.agent.set_node(node);
  const auto described = f.ctl({"describe", "node"});
  CHECK(described.code == 0);
  CHECK(described.out.starts_with("Name:            node1\n"));
  CHECK(described.out.find("CrashLoopBackOff") != std::string::npos);
  CHECK(f.ctl({"describe", "node", "other"}).code == 1);
}

TEST_CASE("doctor: checks with why and fix, exit code 1 if one failed") {
  CtlFixture f;
  f.agent.add_check({.name = "cgroup v2", .detail = "mounted at /sys/fs/cgroup", .why = "w", .fix = "f"});
  CHECK(f.ctl({"doctor"}).code == 0);
  f.agent.add_check({.name = "bpffs",
                     .detail = "not mounted",
                     .why = "links would die with the daemon",
                     .fix = "mount -t bpf bpf /sys/fs/bpf",
                     .state = ports::DoctorCheck::State::kFailed});
  const auto ran = f.ctl({"doctor"});
  CHECK(ran.code == 1);
  CHECK(ran.out ==
        "CHECK       STATE    DETAIL\n"
        "cgroup v2   ok       mounted at /sys/fs/cgroup\n"
        "bpffs       failed   not mounted\n"
        "\n"
        "bpffs: not mounted\n"
        "  why it matters: links would die with the daemon\n"
        "  how to fix:     mount -t bpf bpf /sys/fs/bpf\n");
  const auto json = codec::parse_json(f.ctl({"doctor", "-o", "json"}).out, "");
  REQUIRE(json);
  CHECK(json->find("checks")->children[1].find("state")->text == "failed");
}
