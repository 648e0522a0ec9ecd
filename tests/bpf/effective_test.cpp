// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "bpf/effective.h"

#include <cerrno>

#include <linux/capability.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <fmt/format.h>
#include <catch2/catch_test_macros.hpp>

#include "bpf/link.h"
#include "bpf/object_info.h"
#include "bpf/raw_call.h"
#include "injection.h"

using namespace pintle;
using namespace pintle::bpf;
using namespace pintle::kernel_test;
using model::HookState;

namespace {

constexpr uint32_t kIngress = BPF_CGROUP_INET_INGRESS;

// Each load is a program of its own, with an id of its own.
struct Program {
  UniqueFd fd;
  uint32_t id = 0;
  Program() {
    auto trial = try_program({.type = BPF_PROG_TYPE_CGROUP_SKB, .attach_type = kIngress});
    REQUIRE(trial.err == 0);
    fd = std::move(trial.fd);
    id = program_details(fd.get())->id;
  }
};

struct Scene {
  Scene() { (void)require_kernel(); }
  PodDir parent{"effective"}, pod{"effective/pod"};
  SystemClock clock;
  DirFd above = *DirFd::open(parent.path()), dir = *DirFd::open(pod.path());
  Program ours;

  [[nodiscard]] EffectiveQuery question() const { return {dir, pod.path(), kIngress, ours.id}; }
  [[nodiscard]] EffectiveView ask() const { return query_effective(question(), clock); }
  [[nodiscard]] model::HookStatus status(uint32_t held_by_link) const {
    model::HookStatus out;
    out.hook = model::Hook::kIngress;
    out.state = HookState::kAttached;
    add_effective(out, question(), held_by_link, clock);
    return out;
  }
};

UniqueFd link_to(const DirFd& dir, const Program& program, uint32_t flags = 0) {
  auto made = create_cgroup_link({.program_fd = program.fd.get(), .cgroup_fd = dir.get(), .attach_type = kIngress, .flags = flags});
  REQUIRE(made);
  return std::move(*made);
}

}  // namespace

TEST_CASE("alone: the first of one, and nobody beside it") {
  const Scene scene;
  CHECK(scene.ask().position == 0);
  const auto link = link_to(scene.dir, scene.ours);
  const auto view = scene.ask();
  CHECK(view.answer == EffectiveView::Answer::kTold);
  CHECK(view.position == 1);
  CHECK(view.running == std::vector{scene.ours.id});
  CHECK(view.neighbours.empty());
}

TEST_CASE("neighbours are told with place, owner and age; a parent's runs after ours") {
  const Scene scene;
  const Program beside, over;
  const auto first = link_to(scene.dir, beside), link = link_to(scene.dir, scene.ours), last = link_to(scene.above, over);
  const auto status = scene.status(scene.ours.id);
  CHECK(status.state == HookState::kAttached);
  CHECK(status.error.empty());
  CHECK(status.position == 2);
  CHECK(status.effective_count == 3);
  REQUIRE(status.neighbours.size() == 2);
  CHECK(status.neighbours[0].id == beside.id);
  CHECK(status.neighbours[0].cgroup == scene.pod.path());
  CHECK(!status.neighbours[0].runs_after);
  CHECK(status.neighbours[1].id == over.id);
  CHECK(status.neighbours[1].cgroup == scene.parent.path());
  CHECK(status.neighbours[1].runs_after);
  const Time now = scene.clock.now();
  for (const auto& other : status.neighbours) {
    CHECK(other.tag.size() == 16);
    CHECK(other.uid == 0);
    CHECK(other.loaded_at > now - std::chrono::minutes(5));
    CHECK(other.loaded_at < now + std::chrono::seconds(5));
    CHECK(!other.exclusive);
    CHECK(!other.overridable);
    CHECK(other.in_force);
  }
}

TEST_CASE("a parent's program that asks to run first is no longer after ours") {
  const Scene scene;
  if (try_link_flags(scene.ours.fd.get(), kIngress, kFlagPreorder) != EBADF) missing({6, 15}, "PREORDER");
  const Program over;
  const auto above = link_to(scene.above, over, kFlagPreorder), link = link_to(scene.dir, scene.ours);
  const auto view = scene.ask();
  CHECK(view.position == 2);
  REQUIRE(view.neighbours.size() == 1);
  CHECK(!view.neighbours[0].runs_after);
}

TEST_CASE("a program that is put before another runs before it") {
  const Scene scene;
  if (try_link_flags(scene.ours.fd.get(), kIngress, kFlagBefore) != EBADF) missing({6, 17}, "BEFORE");
  const Program other;
  const auto link = link_to(scene.dir, scene.ours), before = link_to(scene.dir, other, kFlagBefore);
  const auto view = scene.ask();
  CHECK(view.running == std::vector{other.id, scene.ours.id});
  CHECK(view.position == 2);
}

TEST_CASE("a link of ours switches an overridable program above it off, and that is told") {
  const Scene scene;
  const Program over;
  REQUIRE(bpf_prog_attach(over.fd.get(), scene.above.get(), static_cast<bpf_attach_type>(kIngress), kFlagAllowOverride) == 0);
  CHECK(scene.ask().neighbours.at(0).in_force);
  const auto link = link_to(scene.dir, scene.ours);
  const auto view = scene.ask();
  CHECK(view.running == std::vector{scene.ours.id});
  REQUIRE(view.neighbours.size() == 1);
  CHECK(view.neighbours[0].overridable);
  CHECK(!view.neighbours[0].in_force);
  CHECK(!view.neighbours[0].runs_after);
}

TEST_CASE("an exclusive program above is told as one that forbids ours") {
  const Scene scene;
  const Program over;
  REQUIRE(bpf_prog_attach(over.fd.get(), scene.above.get(), static_cast<bpf_attach_type>(kIngress), 0) == 0);
  const auto view = scene.ask();
  CHECK(view.position == 0);
  REQUIRE(view.neighbours.size() == 1);
  CHECK(view.neighbours[0].exclusive);
}

TEST_CASE("other programs of Pintle's are no neighbours") {
  const Scene scene;
  const Program sentinel;
  const auto above = link_to(scene.above, sentinel), link = link_to(scene.dir, scene.ours);
  const uint32_t own[] = {sentinel.id};
  auto question = scene.question();
  question.also_ours = own;
  CHECK(query_effective(question, scene.clock).neighbours.empty());
  CHECK(scene.ask().neighbours.size() == 1);
}

TEST_CASE("a link into which somebody put another program is overridden") {
  const Scene scene;
  const Program other;
  const auto link = link_to(scene.dir, scene.ours);
  REQUIRE(bpf_link_update(link.get(), other.fd.get(), nullptr) == 0);
  const auto status = scene.status(other.id);
  CHECK(status.state == HookState::kOverridden);
  CHECK(status.error.find(fmt::format("put program {} in the place of ours ({})", other.id, scene.ours.id)) != std::string::npos);
  CHECK(status.position == 0);
  REQUIRE(status.neighbours.size() == 1);
  CHECK(status.neighbours[0].id == other.id);
}

TEST_CASE("attached by its link, yet not run: somebody detached it") {
  const Scene scene;
  const auto link = link_to(scene.dir, scene.ours);
  REQUIRE(bpf_link_detach(link.get()) == 0);
  const auto status = scene.status(scene.ours.id);  // as a caller would who did not look at the link
  CHECK(status.state == HookState::kOverridden);
  CHECK(status.error.find("does not run it there") != std::string::npos);
  CHECK(status.effective_count == 0);
}

TEST_CASE("what is gone, unknown or forbidden is told as such and does no harm") {
  Scene scene;
  auto unknown = scene.question();
  unknown.attach_type = 250;
  CHECK(query_effective(unknown, scene.clock).answer == EffectiveView::Answer::kUnknownHook);
  model::HookStatus kept;
  kept.state = HookState::kAttached;
  add_effective(kept, unknown, scene.ours.id, scene.clock);
  CHECK(kept.state == HookState::kAttached);
  CHECK(kept.effective_count == 0);

  CHECK(run_inside(cgroup_home(), [&] {
          keep_only({CAP_BPF});
          return scene.ask().answer == EffectiveView::Answer::kNotAllowed ? 0 : 1;
        }) == 0);
  // Without CAP_SYS_ADMIN ids are all that is told of others.
  const Program over;
  const auto above = link_to(scene.above, over), link = link_to(scene.dir, scene.ours);
  CHECK(run_inside(cgroup_home(), [&] {
          keep_only({CAP_NET_ADMIN});
          const auto view = scene.ask();
          if (view.position != 1 || view.neighbours.size() != 1) return 1;
          return view.neighbours[0].id == over.id && view.neighbours[0].tag.empty() && view.neighbours[0].runs_after ? 0 : 2;
        }) == 0);

  scene.pod.remove();
  CHECK(scene.ask().answer == EffectiveView::Answer::kCgroupGone);
  const auto dead = scene.status(scene.ours.id);
  CHECK(dead.state == HookState::kDead);
  CHECK(dead.error.find("is gone") != std::string::npos);
}

TEST_CASE("more programs than one level can hold are all told") {
  const Scene scene;
  std::vector<UniqueFd> links;
  const Program many;
  for (int i = 0; i < 64; ++i) links.push_back(link_to(scene.above, many));
  for (int i = 0; i < 40; ++i) links.push_back(link_to(scene.dir, many));
  const auto link = link_to(scene.dir, scene.ours);
  const auto view = scene.ask();
  CHECK(view.running.size() == 105);
  CHECK(view.position == 41);
  CHECK(view.neighbours.size() == 104);
}
