// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "reconcile/program_audit.h"

#include <semaphore>

#include <catch2/catch_test_macros.hpp>

#include "fakes/bpf/fake_program_attacher.h"

using namespace pintle;
using namespace pintle::reconcile;

namespace {

struct Rig {
  fakes::FakeProgramAttacher attacher;
  SystemClock clock;
  std::vector<model::AttachReport> told;
  std::vector<std::string> died;
  std::binary_semaphore heard{0};

  void attach(const std::string& uid) {
    const ports::PodCgroup cgroup{.dir = nullptr, .id = CgroupId(7), .path = "/sys/x", .runtime_parent = "/x"};
    told.push_back(
        attacher.attach({PodUid(uid), "default", uid}, cgroup, {.hooks = {model::Hook::kIngress, model::Hook::kEgress}}).value());
  }
  ProgramAuditOptions options(Duration period = std::chrono::hours(1)) {
    return {.reports = [this] { return told; },
            .died =
                [this](const PodUid& uid, const std::string& what) {
                  died.push_back(uid.value() + ": " + what);
                  heard.release();
                },
            .period = period};
  }
};

}  // namespace

TEST_CASE("G16: hooks that were in force and are not any more are told, pod by pod") {
  Rig rig;
  rig.attach("fine");
  rig.attach("dead");
  rig.attach("lost");
  rig.attacher.refused = {model::Hook::kEgress};
  rig.attach("refused");
  ProgramAudit audit(rig.attacher, rig.clock, rig.options());
  audit.look();
  CHECK(rig.died.empty());
  rig.attacher.kill_links(PodUid("dead"));
  REQUIRE(rig.attacher.detach(PodUid("lost")));
  audit.look();
  REQUIRE(rig.died.size() == 2);
  CHECK(rig.died[0] == "dead: hook 'ingress': it is not attached; hook 'egress': it is not attached");
  CHECK(rig.died[1].starts_with("lost: hook 'ingress'"));
}

TEST_CASE("An attacher that can't look tells of no death") {
  model::AttachReport told;
  told.hooks = {{.hook = model::Hook::kIngress, .state = model::HookState::kAdopted}};
  CHECK(died_hooks(told, fail(Code::kUnavailable, "bpffs is gone")).empty());
  CHECK_FALSE(died_hooks(told, fail(Code::kNotFound, "nothing attached")).empty());
}

TEST_CASE("The audit looks by itself, and ends when told to") {
  Rig rig;
  rig.attach("dead");
  rig.attacher.kill_links(PodUid("dead"));
  ProgramAudit audit(rig.attacher, rig.clock, rig.options(std::chrono::milliseconds(1)));
  audit.start();
  rig.heard.acquire();
  audit.stop();
  CHECK(rig.died[0].starts_with("dead: "));
}

TEST_CASE("G16: a suspected pod is looked at at once, the others are not") {
  Rig rig;
  rig.attach("dead");
  rig.attach("other");
  ProgramAudit audit(rig.attacher, rig.clock, rig.options());
  rig.attacher.on_suspicion([&](const PodUid& uid) { audit.suspect(uid); });
  audit.start();
  audit.suspect(PodUid("other"));    // in force: nothing is told
  audit.suspect(PodUid("unknown"));  // ended meanwhile
  rig.attacher.kill_links(PodUid("dead"));
  rig.heard.acquire();
  audit.stop();
  REQUIRE(rig.died.size() == 1);
  CHECK(rig.died[0].starts_with("dead: "));
}
