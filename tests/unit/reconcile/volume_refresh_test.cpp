// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// The loop, its executor and the real volume mounter under a virtual clock: what a pod sees of a ConfigMap over time.
#include <catch2/catch_test_macros.hpp>

#include "base/unique_fd.h"
#include "fakes/bpf/fake_program_attacher.h"
#include "fakes/cgroup/fake_cgroup_tree.h"
#include "fakes/cri/fake_container_runtime.h"
#include "fakes/reconcile/node_fakes.h"
#include "fakes/store/temp_dir.h"
#include "reconcile/executor.h"
#include "scripted_outputs.h"
#include "volumes/fs_volume_mounter.h"

using namespace pintle;
using namespace pintle::reconcile;
using namespace pintle::reconcile::test;
using std::chrono::seconds;

namespace {

struct VirtualClock final : Clock {
  Time time{seconds(5000)};
  [[nodiscard]] Time now() const override { return time; }
  [[nodiscard]] SteadyTime steady() const override { return SteadyTime(time.time_since_epoch()); }
};

struct World {
  VirtualClock clock;
  ReadClock reads;
  fakes::TempDir root;
  fakes::FakeContainerRuntime runtime{&clock};
  fakes::FakeCgroupTree cgroups;
  fakes::FakeProgramAttacher programs;
  fakes::MemoryObjects objects;
  fakes::MemoryLogs logs;
  fakes::ScriptedProber prober;
  volumes::FsVolumeMounter mounter{root.path(), objects, clock};
  PodExecutor executor{
      {cgroups, programs, mounter, logs, runtime, runtime, objects, prober}, clock, reads, {.host_hosts_file = "/nonexistent"}};
  ScriptedOutputs out;
  PodLoop loop{out.outputs()};

  World() {
    runtime.add_image("busybox:1");
    loop.observe_all({}, {}, reads.mark(), clock.time);
    loop.set_sources_ready(clock.time);
    loop.set_node(ready_node(), clock.time);
  }
  // Carries out what is asked for until nothing is.
  void settle() {
    while (!out.asked.empty()) {
      const auto one = out.asked.front();
      out.asked.erase(out.asked.begin());
      loop.action_done(one.uid, one.ticket, executor.execute(one.uid, one.action, one.context, one.stop), clock.time);
    }
  }
  // Wakes the loop whenever it wants to be woken, until `end`.
  void run_until(Time end) {
    for (auto next = loop.next_wake(); next && *next <= end; next = loop.next_wake()) {
      clock.time = std::max(clock.time, *next);
      loop.wake(clock.time);
      settle();
    }
    clock.time = end;
  }
};

}  // namespace

TEST_CASE("row 14.12: a changed ConfigMap is in the pod's file 90 s later at the latest, and the history stays readable") {
  World world;
  auto& config = world.objects.config_maps["default/settings"];
  config.data = {{"colour", "blue"}};
  auto pod = std::make_shared<model::Pod>(*make_pod("u1"));
  pod->spec.volumes.push_back(
      {"settings", model::ConfigMapVolume{.name = "settings", .items = {}, .default_mode = 0644, .optional = false}});
  world.loop.set_pod(pod, "api", world.clock.time);
  world.settle();
  const Time mounted = world.clock.time;
  const std::string file = world.root.path() + "/pods/u1/volumes/kubernetes.io~configmap/settings/colour";
  REQUIRE(world.loop.find(PodUid("u1"))->status.phase == model::Phase::kRunning);
  REQUIRE(*read_file(file) == "blue");
  const size_t history = world.loop.find(PodUid("u1"))->timeline.size();
  config.data["colour"] = "green";
  world.run_until(mounted + seconds(59));
  CHECK(*read_file(file) == "blue");
  world.run_until(mounted + seconds(90));
  CHECK(*read_file(file) == "green");
  CHECK(world.loop.find(PodUid("u1"))->timeline.size() == history);
  SECTION("a hint makes it at once") {
    config.data["colour"] = "red";
    world.loop.hint_volumes(PodUid("u1"), world.clock.time);
    world.settle();
    CHECK(*read_file(file) == "red");
  }
  SECTION("an object that is gone leaves the pod what it had") {
    world.objects.config_maps.clear();
    world.run_until(mounted + seconds(400));
    CHECK(*read_file(file) == "green");
    CHECK(world.loop.find(PodUid("u1"))->status.phase == model::Phase::kRunning);
  }
}

TEST_CASE("a pod that waits for a ConfigMap starts as soon as it is told to look, and a hint of what came meanwhile is not lost") {
  World world;
  auto pod = std::make_shared<model::Pod>(*make_pod("u1"));
  pod->spec.volumes.push_back(
      {"settings", model::ConfigMapVolume{.name = "settings", .items = {}, .default_mode = 0644, .optional = false}});
  world.loop.set_pod(pod, "api", world.clock.time);
  world.settle();
  world.run_until(world.clock.time + seconds(30));
  REQUIRE(world.loop.find(PodUid("u1"))->status.phase == model::Phase::kPending);
  SECTION("while it waits to try again") {
    world.objects.config_maps["default/settings"].data = {{"colour", "blue"}};
    world.loop.hint_volumes(PodUid("u1"), world.clock.time);
    world.settle();
    CHECK(world.loop.find(PodUid("u1"))->status.phase == model::Phase::kRunning);
  }
  SECTION("while a try is under way that comes too early") {
    while (world.out.asked.empty()) {
      world.clock.time = *world.loop.next_wake();
      world.loop.wake(world.clock.time);
    }
    const auto one = world.out.asked.front();
    world.out.asked.clear();
    auto reply = world.executor.execute(one.uid, one.action, one.context, one.stop);
    REQUIRE(reply.outcome.error);
    world.objects.config_maps["default/settings"].data = {{"colour", "blue"}};
    world.loop.hint_volumes(PodUid("u1"), world.clock.time);
    world.loop.action_done(one.uid, one.ticket, std::move(reply), world.clock.time);
    world.settle();
    CHECK(world.loop.find(PodUid("u1"))->status.phase == model::Phase::kRunning);
  }
}
