// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include <catch2/catch_test_macros.hpp>

#include "lifecycle/companion.h"
#include "lifecycle/decide.h"
#include "unit/lifecycle/rig.h"

using namespace pintle;
using namespace pintle::lifecycle;
using namespace pintle::lifecycle::test;
using model::Phase;

namespace {

// The kubelet's side of the pod beside the rig's own: whether its cgroup is there, and which one.
struct Beside : Rig {
  explicit Beside(model::Pod wanted = pod()) : Rig(std::move(wanted)) {
    facts.owns_pods = false;
    facts.runtime_ready = false;  // there is none
    fault = [this](const Action& action) -> std::optional<ActionOutcome> {
      ActionOutcome out;
      if (std::holds_alternative<FindCgroup>(action)) {
        if (cgroup) out.value = CgroupReady{*cgroup, "/kubepods/poduid-1", {}, populated};
        return out;
      }
      if (const auto* attach = std::get_if<AttachPrograms>(&action); attach != nullptr && !hooks_refused) {
        model::AttachReport report{.uid = desired.uid(), .cgroup_id = *cgroup};
        report.hooks.push_back({.hook = model::Hook::kIngress, .state = model::HookState::kAttached});
        out.value = report;
        return out;
      }
      return std::nullopt;
    };
  }
  void look_again() {
    request_programs_check(memory);
    settle();
  }
  std::optional<CgroupId> cgroup;
  bool populated = true;
};

}  // namespace

TEST_CASE("beside a kubelet a pod waits for its cgroup, then gets its programs, and nothing else ever") {
  Beside rig;
  rig.settle();
  CHECK(rig.log == std::vector<std::string>{"find the pod's cgroup"});
  CHECK(rig.last.explanation == "waiting for the kubelet to make the pod's cgroup");
  rig.cgroup = CgroupId(7);
  rig.look_again();
  CHECK(rig.log == std::vector<std::string>{"find the pod's cgroup", "find the pod's cgroup", "attach eBPF programs"});
  CHECK(rig.last.explanation == "its programs are in force");
  CHECK_FALSE(rig.last.wake_at);  // nothing is polled
  CHECK(rig.events.empty());
  CHECK(rig.last.probes.empty());
}

TEST_CASE("its status is the API's, without a condition of ours") {
  auto wanted = pod();
  wanted.status.phase = Phase::kRunning;
  wanted.status.pod_ips = {"10.0.0.7"};
  Beside rig(wanted);
  rig.cgroup = CgroupId(7);
  rig.settle();
  CHECK(rig.status() == wanted.status);
}

TEST_CASE("a cgroup that is made anew gets its programs anew; of one that has gone nothing is in force") {
  Beside rig;
  rig.cgroup = CgroupId(7);
  rig.settle();
  rig.cgroup.reset();
  rig.look_again();
  CHECK_FALSE(rig.memory.programs);
  CHECK(rig.last.explanation == "waiting for the kubelet to make the pod's cgroup");
  rig.cgroup = CgroupId(8);
  rig.look_again();
  REQUIRE(rig.memory.programs);
  CHECK(rig.memory.programs->cgroup_id == CgroupId(8));
}

TEST_CASE("a hint that comes while the cgroup is looked for, or programs are attached, is not lost") {
  Beside rig;
  rig.decide();
  REQUIRE(std::holds_alternative<FindCgroup>(rig.running.front()));
  request_programs_check(rig.memory);  // it is made just now: the look under way may have missed it
  rig.finish();
  rig.cgroup = CgroupId(7);
  rig.decide();
  REQUIRE(rig.running.size() == 1);
  CHECK(std::holds_alternative<FindCgroup>(rig.running.front()));
  rig.finish();
  rig.decide();
  REQUIRE(std::holds_alternative<AttachPrograms>(rig.running.front()));
  request_programs_check(rig.memory);  // a policy has changed
  rig.finish();
  rig.settle();
  CHECK(rig.count("attach eBPF") == 2);
}

TEST_CASE("programs stay while something of an ended pod runs, then they go; a pod that the API has lost is forgotten after that") {
  Beside rig;
  rig.cgroup = CgroupId(7);
  rig.settle();
  rig.removed = true;  // by force: the kubelet is still at it
  rig.settle();
  CHECK(rig.count("detach") == 0);
  CHECK(rig.last.explanation == "it has ended, and processes of it still run: its programs stay");
  REQUIRE(rig.last.wake_at);
  REQUIRE(rig.wake());
  CHECK(rig.count("detach") == 0);
  CHECK_FALSE(rig.last.finished);
  rig.populated = false;
  REQUIRE(rig.wake());
  CHECK(rig.count("detach") == 1);
  CHECK(rig.last.finished);
  CHECK_FALSE(rig.last.wake_at);
}

TEST_CASE("a pod that has succeeded gives its slot back and stays listed") {
  auto wanted = pod();
  wanted.status.phase = Phase::kSucceeded;
  Beside rig(wanted);
  rig.settle();
  CHECK(rig.log == std::vector<std::string>{"find the pod's cgroup", "detach eBPF programs"});
  CHECK_FALSE(rig.last.finished);
  CHECK(rig.status().phase == Phase::kSucceeded);
}

TEST_CASE("a refused hook is told and tried again, as in the other modes") {
  Beside rig;
  rig.cgroup = CgroupId(7);
  rig.hooks_refused = true;
  rig.settle();
  REQUIRE(rig.events.size() == 1);
  CHECK(rig.events.front().reason == "FailedAttachPrograms");
  REQUIRE(rig.last.wake_at);
  rig.hooks_refused = false;
  REQUIRE(rig.wake());
  CHECK(rig.last.explanation == "its programs are in force");
}

TEST_CASE("a pod that turns eBPF off loses what it had") {
  Beside rig;
  rig.cgroup = CgroupId(7);
  rig.settle();
  rig.desired.metadata.annotations[std::string(model::kEbpfPolicyAnnotation)] = "off";
  rig.settle();
  CHECK(rig.count("detach") == 1);
  CHECK(rig.last.explanation == "eBPF is switched off for this pod");
  CHECK_FALSE(rig.memory.programs);
}
