// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "attacher_contract.h"

#include <algorithm>
#include <map>

#include <catch2/catch_test_macros.hpp>

namespace pintle::contract {
namespace {

using model::Hook;
using model::HookState;
const std::vector<Hook> kAll{std::begin(model::kAllHooks), std::end(model::kAllHooks)};
const PodUid kUid("0f1e2d3c-0000-4000-8000-000000000001");
const ports::PodIdentity kPod{kUid, "default", "web"};

std::vector<LinkId> link_ids(const model::AttachReport& report) {
  std::vector<LinkId> ids;
  for (const auto& hook : report.hooks) ids.push_back(hook.link_id);
  return ids;
}

bool all_are(const model::AttachReport& report, HookState state) {
  return std::ranges::all_of(report.hooks, [&](const auto& hook) { return hook.state == state; });
}

std::map<PodUid, model::PodCounters> all_counters(ports::ProgramAttacher& attacher) {
  std::map<PodUid, model::PodCounters> all;
  attacher.each_counters([&](const PodUid& uid, const model::PodCounters& counters) { all.emplace(uid, counters); });
  return all;
}

void check_nothing(ports::ProgramAttacher& attacher) {
  CHECK(all_counters(attacher).empty());
  CHECK(attacher.list_pinned()->empty());
  CHECK(attacher.inspect(kUid).error().code == Code::kNotFound);
  CHECK(attacher.counters(kUid).error().code == Code::kNotFound);
  CHECK(attacher.detach(kUid));  // absent is success
}

// What only inspect() tells, left out.
model::AttachReport as_attached(model::AttachReport report) {
  for (auto& hook : report.hooks) {
    hook.position = hook.effective_count = 0;
    hook.neighbours.clear();
    hook.hits = hook.drops = std::nullopt;
    hook.counted_together = false;
  }
  return report;
}

// Operators' programs: kept by name, those of an unknown source too; one that is not loaded is a row, and its pod's hooks stand.
void check_pod_programs(AttacherSubject& subject, const ports::PodCgroup& cgroup) {
  const auto program_id = subject.load_pod_program("first");
  model::ProgramPlan plan{.hooks = {Hook::kIngress}};
  plan.programs = {{"first", model::ProgramHook::kConnect4, model::ProgramOrder::kAny, true, program_id, {}},
                   {"second", model::ProgramHook::kConnect4, model::ProgramOrder::kAny, false, 0, "it was refused"}};
  const auto report = subject.attacher().attach(kPod, cgroup, plan);
  REQUIRE(report);
  REQUIRE(report->programs.size() == 2);
  CHECK(report->programs[0].state == HookState::kAttached);
  CHECK(report->programs[0].required);
  CHECK(report->programs[0].program_id == program_id);
  CHECK(report->programs[1].state == HookState::kRefused);
  CHECK(report->programs[1].error == "it was refused");
  CHECK(report->hooks_effective());
  CHECK(report->required_effective());
  CHECK(!report->effective());
  const LinkId link = report->programs[0].link_id;
  CHECK(subject.attacher().inspect(kUid)->programs.size() == 2);

  subject.restart();
  CHECK(subject.load_pod_program("first") == program_id);
  plan.programs.pop_back();
  plan.all_programs_known = false;
  const auto adopted = subject.attacher().attach(kPod, cgroup, plan);
  REQUIRE(adopted);
  REQUIRE(adopted->programs.size() == 1);
  CHECK(adopted->programs[0].state == HookState::kAdopted);
  CHECK(adopted->programs[0].link_id == link);

  // Not loaded any more, but attached: it stays.
  plan.programs[0].program_id = 0;
  plan.programs[0].error = "the newest is refused";
  const auto kept = subject.attacher().attach(kPod, cgroup, plan);
  REQUIRE(kept);
  CHECK(kept->programs[0].state == HookState::kAdopted);
  CHECK(kept->programs[0].link_id == link);
  CHECK(kept->programs[0].error == "the newest is refused");

  plan.programs.clear();
  plan.all_programs_known = true;
  CHECK(subject.attacher().attach(kPod, cgroup, plan)->programs.empty());
  CHECK(subject.attacher().inspect(kUid)->programs.empty());
}

}  // namespace

void check_attacher(AttacherSubject& subject) {
  check_nothing(subject.attacher());
  CHECK(!subject.attacher().features().empty());

  const auto cgroup = subject.make_cgroup(kUid);
  const auto first = subject.attacher().attach(kPod, cgroup, {.hooks = kAll});
  REQUIRE(first);
  CHECK(first->effective());
  CHECK(first->uid == kUid);
  CHECK(first->cgroup_id == cgroup.id);
  CHECK(first->cgroup_path == cgroup.path);
  REQUIRE(first->hooks.size() == kAll.size());
  for (size_t i = 0; i < kAll.size(); ++i) {
    CHECK(first->hooks[i].hook == kAll[i]);
    CHECK(first->hooks[i].state == HookState::kAttached);
    CHECK(!first->hooks[i].link_id.empty());
    CHECK(first->hooks[i].program_tag.size() == 16);
    CHECK(first->hooks[i].error.empty());
  }
  CHECK(*subject.attacher().list_pinned() == std::vector{kUid});
  CHECK(subject.attacher().counters(kUid) == model::PodCounters{});
  CHECK(all_counters(subject.attacher()) == std::map<PodUid, model::PodCounters>{{kUid, {}}});

  // Idempotent, and told as what it is: this run's own.
  const auto again = subject.attacher().attach(kPod, cgroup, {.hooks = kAll});
  REQUIRE(again);
  CHECK(*again == *first);
  CHECK(as_attached(*subject.attacher().inspect(kUid)) == *first);

  // A restart: the same links, adopted.
  subject.restart();
  CHECK(*subject.attacher().list_pinned() == std::vector{kUid});
  const auto adopted = subject.attacher().attach(kPod, cgroup, {.hooks = kAll});
  REQUIRE(adopted);
  CHECK(all_are(*adopted, HookState::kAdopted));
  CHECK(link_ids(*adopted) == link_ids(*first));
  CHECK(all_are(*subject.attacher().inspect(kUid), HookState::kAdopted));

  // Fewer hooks wanted: the others go, the rest stay.
  const auto fewer = subject.attacher().attach(kPod, cgroup, {.hooks = {Hook::kIngress, Hook::kEgress}});
  REQUIRE(fewer);
  CHECK(link_ids(*fewer) == std::vector{first->hooks[0].link_id, first->hooks[1].link_id});
  CHECK(subject.attacher().inspect(kUid)->hooks.size() == 2);

  // The cgroup is another one now: dead links are told and replaced.
  subject.remake_cgroup(kUid);
  const auto dead = subject.attacher().inspect(kUid);
  REQUIRE(dead);
  CHECK(!dead->effective());
  CHECK(all_are(*dead, HookState::kDead));
  const auto fresh = subject.make_cgroup(kUid);
  const auto replaced = subject.attacher().attach(kPod, fresh, {.hooks = kAll});
  REQUIRE(replaced);
  CHECK(all_are(*replaced, HookState::kAttached));
  for (const auto id : link_ids(*replaced)) CHECK(std::ranges::count(link_ids(*first), id) == 0);

  check_pod_programs(subject, fresh);

  REQUIRE(subject.attacher().detach(kUid));
  check_nothing(subject.attacher());
  subject.restart();
  check_nothing(subject.attacher());
}

void check_program_sets(AttacherSubject& subject) {
  using Attempt = model::ProgramSetStatus::Attempt;
  auto& attacher = subject.attacher();
  CHECK(attacher.program_set().name == "builtin");
  CHECK(attacher.program_set().attempt == Attempt::kNone);
  const auto cgroup = subject.make_cgroup(kUid);
  const auto first = attacher.attach(kPod, cgroup, {.hooks = kAll});
  REQUIRE(first);
  const auto all_of = [&](const std::string& set) {
    const auto now = attacher.inspect(kUid);
    REQUIRE(now);
    CHECK(now->effective());
    CHECK(link_ids(*now) == link_ids(*first));
    return std::ranges::all_of(now->hooks, [&](const auto& hook) { return hook.program_set == set; });
  };
  CHECK(all_of("builtin"));

  REQUIRE(attacher.use_program_set("next"));
  CHECK(all_of("next"));
  CHECK(attacher.program_set().name == "next");
  CHECK(attacher.program_set().switched == 1);
  CHECK(attacher.use_program_set("next"));  // idempotent
  CHECK(attacher.program_set().switched == 1);

  for (const auto* bad : {"blind", "absent"}) {
    const auto tried = attacher.use_program_set(bad);
    REQUIRE_FALSE(tried);
    CHECK(all_of("next"));
    const auto status = attacher.program_set();
    CHECK(status.name == "next");
    CHECK(status.wanted == bad);
    CHECK(status.attempt != Attempt::kNone);
    CHECK(status.error == tried.error().message());
    CHECK_FALSE(attacher.use_program_set(bad));
    CHECK(attacher.program_set() == status);  // told once
  }
  CHECK(attacher.use_program_set("absent").error().code == Code::kNotFound);
  REQUIRE(attacher.use_program_set("next"));  // what is in force is wanted again: nothing is amiss
  CHECK(attacher.program_set().attempt == Attempt::kNone);
  CHECK(attacher.program_set().wanted.empty());
  REQUIRE(attacher.use_program_set("builtin"));
  CHECK(all_of("builtin"));
  REQUIRE(attacher.detach(kUid));
}

}  // namespace pintle::contract
