// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include <catch2/catch_test_macros.hpp>

#include "fakes/bpf/fake_program_attacher.h"
#include "reconcile/companion_runner.h"

using namespace pintle;
using namespace pintle::reconcile;

namespace {

struct Cgroups final : ports::PodCgroupFinder {
  Result<std::optional<ports::FoundCgroup>> find(const PodUid& uid) override {
    if (const auto found = known.find(uid); found != known.end()) return found->second;
    return std::nullopt;
  }
  std::map<PodUid, ports::FoundCgroup> known;
};

struct Planner final : ports::ProgramPlanner {
  Result<model::ProgramPlan> plan_for(const model::Pod&) override {
    if (refuses) return fail(Code::kUnavailable, "not known yet");
    return model::default_program_plan();
  }
  void forget(const PodUid& uid) override { forgotten.push_back(uid); }
  bool refuses = false;
  std::vector<PodUid> forgotten;
};

struct Node {
  Node() {
    pod.metadata.uid = uid.value();
    pod.metadata.name = "web";
  }
  lifecycle::ActionOutcome run(const lifecycle::Action& action) { return runner.execute(uid, action, pod); }
  const PodUid uid{"uid-1"};
  model::Pod pod;
  SystemClock clock;
  Cgroups cgroups;
  fakes::FakeProgramAttacher programs;
  Planner planner;
  WorkerPool pool{{.name = "test"}};
  CompanionRunner runner{{cgroups, programs, planner}, clock, pool, [](auto&&...) {}};
};

}  // namespace

TEST_CASE("a pod's cgroup is found, programs are attached to that very one, and detached") {
  Node node;
  auto found = node.run(lifecycle::FindCgroup{});
  CHECK_FALSE(found.error);
  CHECK(std::holds_alternative<std::monostate>(found.value));  // not there is no error
  CHECK(node.run(lifecycle::AttachPrograms{}).error->code == Code::kGone);

  node.cgroups.known[node.uid] = {.cgroup = {.dir = {}, .id = CgroupId(7), .path = "/kubepods/poduid-1", .runtime_parent = {}},
                                  .populated = false};
  found = node.run(lifecycle::FindCgroup{});
  REQUIRE(std::holds_alternative<lifecycle::CgroupReady>(found.value));
  CHECK_FALSE(std::get<lifecycle::CgroupReady>(found.value).populated);
  const auto attached = node.run(lifecycle::AttachPrograms{});
  REQUIRE_FALSE(attached.error);
  CHECK(std::get<model::AttachReport>(attached.value).cgroup_id == CgroupId(7));
  CHECK(std::get<model::AttachReport>(attached.value).effective());

  CHECK_FALSE(node.run(lifecycle::DetachPrograms{}).error);
  CHECK_FALSE(node.programs.has_any(node.uid));
  CHECK(node.planner.forgotten == std::vector<PodUid>{node.uid});
}

TEST_CASE("without a plan nothing is attached, and what is attached stays") {
  Node node;
  node.cgroups.known[node.uid] = {.cgroup = {.dir = {}, .id = CgroupId(7), .path = "/p", .runtime_parent = {}}};
  (void)node.run(lifecycle::FindCgroup{});
  (void)node.run(lifecycle::AttachPrograms{});
  node.planner.refuses = true;
  const auto outcome = node.run(lifecycle::AttachPrograms{});
  REQUIRE(outcome.error);
  CHECK(outcome.reason == lifecycle::kProgramPlanRefused);
  CHECK(node.programs.has(node.uid, model::Hook::kEgress));
}

TEST_CASE("whatever would touch the kubelet's side of a pod is refused") {
  Node node;
  const lifecycle::Action kRefused[] = {lifecycle::EnsureCgroup{},    lifecycle::MountVolumes{},   lifecycle::EnsureImage{},
                                        lifecycle::RunSandbox{},      lifecycle::StartContainer{}, lifecycle::StopContainer{},
                                        lifecycle::RemoveContainer{}, lifecycle::StopSandbox{},    lifecycle::RemoveSandbox{},
                                        lifecycle::InspectPod{},      lifecycle::UnmountVolumes{}, lifecycle::RemoveCgroup{},
                                        lifecycle::RemoveFiles{}};
  for (const auto& action : kRefused) {
    INFO(lifecycle::describe(action));
    const auto outcome = node.run(action);
    REQUIRE(outcome.error);
    CHECK(outcome.error->code == Code::kUnsupported);
  }
}
