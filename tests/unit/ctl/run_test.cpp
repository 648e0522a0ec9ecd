// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include <future>

#include <catch2/catch_test_macros.hpp>

#include "base/trace_context.h"
#include "unit/ctl/ctl_fixture.h"

using namespace pintle;
using test::CtlFixture;
using namespace std::chrono_literals;

namespace {

ports::PodRecord starting_pod() {
  auto record = test::running_pod();
  record.status.phase = model::Phase::kPending;
  record.status.conditions[1].status = model::ConditionStatus::kFalse;
  record.status.container_statuses[0].ready = false;
  record.status.container_statuses[0].state = model::StateWaiting{"ContainerCreating", ""};
  record.timeline.resize(1);
  record.explanation = "image 'busybox:1.36' is pulled";
  return record;
}

void apply_makes(CtlFixture& f, const std::vector<ports::PodRecord>& steps) {
  f.agent.on_apply([&f, steps](const std::string&, bool dry_run) -> Result<ports::ApplyReply> {
    if (!dry_run)
      for (const auto& step : steps) f.agent.put(step);
    return ports::ApplyReply{{{"Pod", "default", "web", dry_run ? "would be created" : "created"}}, {}};
  });
}

}  // namespace

TEST_CASE("run applies, streams the steps, and ends with address, ports, eBPF and what to do next") {
  CtlFixture f;
  apply_makes(f, {test::running_pod()});
  const auto ran = f.ctl({"run", "-f", f.write("web.yaml", "kind: Pod")});
  CHECK(ran.code == 0);
  CHECK(ran.err.empty());
  CHECK(ran.out ==
        "Pod/web created\n"
        "  +0.0 ms  web: admitted\n"
        "  +120 ms  web: image 'busybox:1.36' pulled  (100 ms)\n"
        "  +0.0 ms  web: Running\n"
        "pod default/web is ready after 0.0 ms\n"
        "  address  10.88.0.7\n"
        "  ports    80/TCP (http)\n"
        "  eBPF     4/4 hooks in force, rx 2.0 KiB, tx 100 B, 3 connects, 1 execs, 0 events lost\n"
        "next:\n"
        "  pintlectl logs web\n"
        "  pintlectl ebpf events -f web\n"
        "  pintlectl delete pod web\n");
}

TEST_CASE("run waits for readiness, telling each step once") {
  CtlFixture f;
  f.input = "kind: Pod";
  apply_makes(f, {starting_pod()});
  auto running = std::async(std::launch::async, [&] { return f.ctl({"run", "-f", "-"}); });
  f.out.wait_for("web: ContainerCreating");
  f.agent.put(test::running_pod());
  const auto ran = running.get();
  CHECK(ran.code == 0);
  CHECK(ran.out.find("web: admitted") == ran.out.rfind("web: admitted"));
  CHECK(ran.out.find("pod default/web is ready") != std::string::npos);
}

TEST_CASE("run: the wait can end at running, at the end, or not begin") {
  auto running = test::running_pod();
  running.status.conditions[1].status = model::ConditionStatus::kFalse;
  auto through = test::running_pod();
  through.status.phase = model::Phase::kSucceeded;
  auto failed = test::running_pod();
  failed.status.phase = model::Phase::kFailed;
  failed.status.container_statuses[0].state = model::StateTerminated{.exit_code = 3, .reason = "Error"};
  struct Case {
    ports::PodRecord record;
    std::vector<std::string> flags;
    int code;
    const char* out;
  };
  const Case kCases[] = {{running, {"--wait=running"}, 0, "is running after"},
                         {running, {"--timeout", "50ms"}, 1, "next:\n  pintlectl explain pod/web"},
                         {through, {"--wait", "exit"}, 0, "is through after"},
                         {through, {}, 0, "is through after"},
                         {failed, {"--wait=exit"}, 1, "main: Terminated: Error, exit code 3"},
                         {failed, {}, 1, "main: Terminated: Error, exit code 3"},
                         {failed, {"--no-wait"}, 0, "Pod/web created\n"},
                         {failed, {"--dry-run"}, 0, "Pod/web would be created\n"}};
  for (const auto& item : kCases) {
    CtlFixture f;
    apply_makes(f, {item.record});
    std::vector<std::string> words{"run", "-f", f.write("web.yaml", "kind: Pod")};
    words.insert(words.end(), item.flags.begin(), item.flags.end());
    const auto ran = f.ctl(words);
    INFO(ran.out << ran.err);
    CHECK(ran.code == item.code);
    CHECK(ran.out.find(item.out) != std::string::npos);
  }
}

TEST_CASE("run: Ctrl-C leaves the pod running and says so") {
  CtlFixture f;
  apply_makes(f, {starting_pod()});
  auto running = std::async(std::launch::async, [&] { return f.ctl({"run", "-f", f.write("web.yaml", "x")}); });
  f.out.wait_for("web: ContainerCreating");
  f.interrupt.request_stop();
  const auto ran = running.get();
  CHECK(ran.code == 130);
  CHECK(ran.err.find("the pods go on") != std::string::npos);
  CHECK(ran.out.find("pintlectl delete pod web") != std::string::npos);
  CHECK(f.agent.list_pods().size() == 1);
}

TEST_CASE("run: refused documents are told and decide the exit code; good ones are still followed") {
  CtlFixture f;
  f.agent.on_apply([&f](const std::string&, bool) -> Result<ports::ApplyReply> {
    f.agent.put(test::running_pod());
    return ports::ApplyReply{{{"Pod", "default", "web", "created"}},
                             {"web.yaml:12: spec.containers[0].imag: unknown field (did you mean 'image'?)"}};
  });
  const auto ran = f.ctl({"run", "-f", f.write("web.yaml", "x")});
  CHECK(ran.code == 4);
  CHECK(ran.err == "error: web.yaml:12: spec.containers[0].imag: unknown field (did you mean 'image'?)\n");
  CHECK(ran.out.find("pod default/web is ready") != std::string::npos);
}

TEST_CASE("run: progress moves only on a terminal") {
  CtlFixture f;
  f.tty = true;
  apply_makes(f, {test::running_pod()});
  const auto ran = f.ctl({"run", "-f", f.write("web.yaml", "x")});
  CHECK(ran.code == 0);
  CHECK(ran.err.ends_with("\r\033[K"));
}

TEST_CASE("run is a trace: a new one each time, or the caller's own") {
  CtlFixture f;
  std::vector<std::string> seen;
  f.agent.on_apply([&](const std::string&, bool) -> Result<ports::ApplyReply> {
    seen.push_back(current_trace() == nullptr ? "" : format_traceparent(*current_trace()));
    return ports::ApplyReply{{{"Pod", "default", "web", "created"}}, {}};
  });
  const auto file = f.write("web.yaml", "kind: Pod");
  const auto first = f.ctl({"run", "-v", "--no-wait", "-f", file});
  CHECK(f.ctl({"run", "--no-wait", "-f", file}).err.empty());
  f.environment["TRACEPARENT"] = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";
  CHECK(f.ctl({"run", "-v", "--no-wait", "-f", file}).err == "note: trace 4bf92f3577b34da6a3ce929d0e0e4736\n");
  f.environment["TRACEPARENT"] = "nonsense";
  (void)f.ctl({"run", "--no-wait", "-f", file});
  REQUIRE(seen.size() == 4);
  REQUIRE(parse_traceparent(seen[0]));
  CHECK(parse_traceparent(seen[0])->sampled);
  CHECK(first.err == "note: trace " + to_hex(parse_traceparent(seen[0])->trace) + "\n");
  CHECK(seen[1] != seen[0]);
  CHECK(seen[2] == "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00");
  CHECK(parse_traceparent(seen[3]));
}
