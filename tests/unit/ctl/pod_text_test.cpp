// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "ctl/pod_text.h"

#include <catch2/catch_test_macros.hpp>

using namespace pintle;
using v1::Container;
using v1::ContainerState;

namespace {

struct Build {
  v1::Pod pod;
  explicit Build(const char* phase) { pod.set_phase(phase); }
  Build& condition(const char* type) {
    auto& c = *pod.add_conditions();
    c.set_type(type);
    c.set_status("True");
    return *this;
  }
  v1::Container& add(Container::Kind kind) {
    auto& c = *pod.add_containers();
    c.set_kind(kind);
    c.set_has_status(true);
    return c;
  }
  Build& waiting(Container::Kind kind, const char* reason) {
    auto& c = add(kind);
    c.mutable_state()->set_kind(ContainerState::WAITING);
    c.mutable_state()->set_reason(reason);
    return *this;
  }
  Build& running(Container::Kind kind, bool ready = true) {
    auto& c = add(kind);
    c.mutable_state()->set_kind(ContainerState::RUNNING);
    c.set_ready(ready);
    c.set_started(true);
    return *this;
  }
  Build& ended(Container::Kind kind, int exit_code, const char* reason, int signal = 0) {
    auto& c = add(kind);
    c.mutable_state()->set_kind(ContainerState::TERMINATED);
    c.mutable_state()->set_exit_code(exit_code);
    c.mutable_state()->set_signal(signal);
    c.mutable_state()->set_reason(reason);
    return *this;
  }
  Build& deleted() {
    pod.set_deleted_at(1);
    return *this;
  }
};

}  // namespace

TEST_CASE("READY and STATUS follow kubectl's rules") {
  struct Case {
    v1::Pod pod;
    const char* ready;
    const char* status;
  };
  const auto kInit = Container::INIT, kMain = Container::REGULAR, kSide = Container::SIDECAR;
  const Case kCases[] = {
      {Build("Running").running(kMain).pod, "1/1", "Running"},
      {Build("Pending").waiting(kMain, "ContainerCreating").pod, "0/1", "ContainerCreating"},
      {Build("Pending").pod, "0/0", "Pending"},
      {Build("Running").waiting(kMain, "CrashLoopBackOff").running(kMain).pod, "1/2", "CrashLoopBackOff"},
      {Build("Succeeded").ended(kMain, 0, "Completed").pod, "0/1", "Completed"},
      {Build("Failed").ended(kMain, 1, "Error").pod, "0/1", "Error"},
      {Build("Failed").ended(kMain, 3, "").pod, "0/1", "ExitCode:3"},
      {Build("Failed").ended(kMain, 137, "", 9).pod, "0/1", "Signal:9"},
      {Build("Running").ended(kMain, 0, "Completed").running(kMain).condition("Ready").pod, "1/2", "Running"},
      {Build("Running").ended(kMain, 0, "Completed").running(kMain).pod, "1/2", "NotReady"},
      {Build("Pending").running(kInit, false).waiting(kMain, "PodInitializing").pod, "0/1", "Init:0/1"},
      {Build("Pending").ended(kInit, 0, "Completed").waiting(kInit, "PodInitializing").waiting(kMain, "PodInitializing").pod, "0/1",
       "Init:1/2"},
      {Build("Pending").waiting(kInit, "CrashLoopBackOff").waiting(kMain, "PodInitializing").pod, "0/1", "Init:CrashLoopBackOff"},
      {Build("Pending").ended(kInit, 1, "Error").waiting(kMain, "PodInitializing").pod, "0/1", "Init:Error"},
      {Build("Pending").ended(kInit, 2, "").waiting(kMain, "PodInitializing").pod, "0/1", "Init:ExitCode:2"},
      {Build("Running").running(kSide).running(kMain).condition("Initialized").pod, "2/2", "Running"},
      {Build("Pending").running(kSide).running(kInit, false).waiting(kMain, "PodInitializing").pod, "1/2", "Init:1/2"},
      {Build("Running").running(kMain).deleted().pod, "1/1", "Terminating"},
      {Build("Succeeded").ended(kMain, 0, "Completed").deleted().pod, "0/1", "Completed"},
  };
  for (const auto& item : kCases) {
    CHECK(ctl::ready_text(item.pod) == item.ready);
    CHECK(ctl::status_text(item.pod) == item.status);
  }
  v1::Pod evicted;
  evicted.set_phase("Failed");
  evicted.set_reason("Evicted");
  CHECK(ctl::status_text(evicted) == "Evicted");
}

TEST_CASE("restarts tell when the last one was; while initializing only those of init containers count") {
  auto build = Build("Running").running(Container::REGULAR).condition("Initialized");
  auto& container = *build.pod.mutable_containers(0);
  const Time now{std::chrono::hours(10)};
  CHECK(ctl::restarts_text(build.pod, now) == "0");
  container.set_restart_count(3);
  CHECK(ctl::restarts_text(build.pod, now) == "3");
  container.mutable_last_state()->set_kind(ContainerState::TERMINATED);
  container.mutable_last_state()->set_finished_at(std::chrono::nanoseconds(now.time_since_epoch() - std::chrono::minutes(5)).count());
  CHECK(ctl::restarts_text(build.pod, now) == "3 (5m ago)");
  auto starting = Build("Pending").waiting(Container::INIT, "CrashLoopBackOff").waiting(Container::REGULAR, "PodInitializing");
  starting.pod.mutable_containers(0)->set_restart_count(2);
  starting.pod.mutable_containers(1)->set_restart_count(9);
  CHECK(ctl::restarts_text(starting.pod, now) == "2");
}

TEST_CASE("coverage: all hooks, or a reason not to want them") {
  v1::Pod pod;
  pod.set_phase("Running");
  pod.mutable_ebpf()->set_policy("best-effort");
  CHECK(ctl::coverage(pod) == ctl::Coverage::kNotEffective);
  CHECK(ctl::ebpf_cell(pod).text == "none");
  pod.mutable_ebpf()->set_has_report(true);
  pod.mutable_ebpf()->add_hooks()->set_effective(true);
  CHECK(ctl::coverage(pod) == ctl::Coverage::kEffective);
  CHECK(ctl::ebpf_cell(pod).text == "1/1");
  pod.mutable_ebpf()->add_hooks()->set_effective(false);
  CHECK(ctl::coverage(pod) == ctl::Coverage::kNotEffective);
  CHECK(ctl::ebpf_cell(pod).text == "1/2");
  pod.set_phase("Succeeded");
  CHECK(ctl::coverage(pod) == ctl::Coverage::kNotWanted);
  pod.set_phase("Running");
  pod.mutable_ebpf()->set_policy("off");
  CHECK(ctl::coverage(pod) == ctl::Coverage::kNotWanted);
  CHECK(ctl::ebpf_cell(pod).text == "off");
}
