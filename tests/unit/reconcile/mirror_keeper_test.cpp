// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "reconcile/mirror_keeper.h"

#include <atomic>
#include <thread>

#include <catch2/catch_test_macros.hpp>

#include "fakes/reconcile/memory_pod_api.h"
#include "reconcile/mirror_pod.h"
#include "scripted_outputs.h"

using namespace pintle;
using namespace pintle::reconcile;
using namespace pintle::reconcile::test;

namespace {

const std::string kMirrorKey = "kubernetes.io/config.mirror", kHashKey = "kubernetes.io/config.hash";

std::shared_ptr<model::Pod> static_pod(const std::string& hash, const std::string& name = "web-node") {
  auto pod = std::make_shared<model::Pod>(*make_pod(hash, name));
  pod->metadata.annotations = {
      {kHashKey, hash}, {"kubernetes.io/config.source", "file"}, {"kubernetes.io/config.seen", "2026-01-01T00:00:00.000000001Z"}};
  pod->metadata.labels = {{"app", "web"}};
  pod->spec.node_name = "node";
  pod->spec.tolerations.push_back({.key = {}, .op = "Exists", .value = {}, .effect = "NoExecute", .seconds = {}});
  return pod;
}

std::shared_ptr<const model::PodStatus> phase(model::Phase phase) {
  auto status = std::make_shared<model::PodStatus>();
  status->phase = phase;
  return status;
}

// A keeper on an API whose watch tells it everything, as an agent has it.
struct Rig {
  SystemClock clock;
  fakes::MemoryPodApi api;
  ScriptedOutputs others;
  Mutex mu;
  std::optional<std::string> node_uid PINTLE_GUARDED_BY(mu) = "node-uid";
  std::atomic<int> asked_for_node{0};
  std::atomic<bool> watched{true};
  std::unique_ptr<MirrorKeeper> keeper;

  Rig() {
    api.on_change = [this](const PodUid& uid, const PodPtr& pod) {
      if (!watched || keeper == nullptr) return;
      if (pod != nullptr && pod->metadata.annotations.contains(kMirrorKey)) keeper->mirror_seen(pod);
      if (pod == nullptr) keeper->mirror_gone(uid);
    };
    start();
  }
  ~Rig() {
    if (keeper != nullptr) keeper->stop();
  }
  void start() {
    MirrorKeeperOptions options;
    options.node_uid = [this] {
      ++asked_for_node;
      const MutexLock lock(mu);
      return node_uid;
    };
    options.backoff = {std::chrono::milliseconds(1), std::chrono::milliseconds(4)};
    options.pause = std::chrono::milliseconds(2);
    keeper = std::make_unique<MirrorKeeper>(api, clock, others, std::move(options));
  }
  void restart() {
    keeper->stop();
    keeper.reset();
    start();
  }
  void tell(const PodPtr& pod, model::Phase to) { keeper->publish({pod, "file", phase(to), false}); }
  // The mirror once it is as wanted; fails the test when that does not come.
  PodPtr mirror(const std::function<bool(const model::Pod&)>& wanted, const std::string& name = "default/web-node") {
    REQUIRE(api.wait_for([&] {
      const auto pod = api.find(name);
      return pod != nullptr && wanted(*pod);
    }));
    return api.find(name);
  }
  PodPtr any_mirror() {
    return mirror([](const model::Pod&) { return true; });
  }
  void until_idle() const {
    while (keeper->backlog() > 0) std::this_thread::yield();
  }
  bool none_left() {
    return api.wait_for([&] { return api.size() == 0; });
  }
};

}  // namespace

TEST_CASE("row 26.1: a static pod gets a mirror with its hash, its node as owner, and its status") {
  Rig rig;
  const auto pod = static_pod("h1");
  rig.keeper->static_seen(pod);
  const auto made = rig.any_mirror();
  CHECK(made->metadata.uid != "h1");
  CHECK(made->metadata.annotations.at(kMirrorKey) == "h1");
  CHECK(made->metadata.annotations.at(kHashKey) == "h1");
  CHECK(made->metadata.annotations.at("kubernetes.io/config.source") == "file");
  CHECK(made->metadata.annotations.contains("kubernetes.io/config.seen"));
  CHECK(made->metadata.labels == pod->metadata.labels);
  REQUIRE(made->metadata.owner_references.size() == 1);
  CHECK(made->metadata.owner_references[0] ==
        model::OwnerReference{.api_version = "v1", .kind = "Node", .name = "node", .uid = "node-uid", .controller = true});
  CHECK(made->spec.node_name == "node");
  CHECK(made->spec.tolerations == pod->spec.tolerations);
  rig.tell(pod, model::Phase::kRunning);
  rig.mirror([&](const model::Pod& now) { return now.status.phase == model::Phase::kRunning && now.uid() == made->uid(); });
}

TEST_CASE("row 26.2: a mirror that is deleted comes back with the pod's status") {
  Rig rig;
  const auto pod = static_pod("h1");
  rig.keeper->static_seen(pod);
  rig.tell(pod, model::Phase::kRunning);
  const auto first = rig.mirror([](const model::Pod& now) { return now.status.phase == model::Phase::kRunning; });
  SECTION("at once") { rig.api.force_delete("default/web-node"); }
  SECTION("gracefully: nobody would ever end it, so it is deleted for good and made anew") {
    rig.api.mark_deleted("default/web-node", Time(std::chrono::seconds(1000)));
  }
  const auto second =
      rig.mirror([&](const model::Pod& now) { return now.uid() != first->uid() && now.status.phase == model::Phase::kRunning; });
  CHECK_FALSE(second->metadata.deletion_timestamp);
}

TEST_CASE("row 26.4: of two versions of a static pod the older one has the mirror until it has ended") {
  Rig rig;
  const auto old = static_pod("h1"), fresh = static_pod("h2");
  rig.keeper->static_seen(old);
  const auto first = rig.any_mirror();
  rig.keeper->static_seen(fresh);
  rig.tell(old, model::Phase::kFailed);
  rig.mirror([&](const model::Pod& now) { return now.status.phase == model::Phase::kFailed && now.uid() == first->uid(); });
  rig.keeper->forget(PodUid("h1"));
  rig.tell(fresh, model::Phase::kRunning);
  rig.mirror(
      [&](const model::Pod& now) { return now.metadata.annotations.at(kMirrorKey) == "h2" && now.status.phase == model::Phase::kRunning; });
  CHECK(rig.api.size() == 1);
  CHECK(rig.others.forgotten == std::vector<PodUid>{PodUid("h1")});
}

TEST_CASE("row 26.3: the mirror goes when its static pod has left the table, and only then") {
  Rig rig;
  const auto pod = static_pod("h1");
  rig.keeper->static_seen(pod);
  rig.keeper->sources_ready();
  rig.tell(pod, model::Phase::kSucceeded);
  rig.mirror([](const model::Pod& now) { return now.status.phase == model::Phase::kSucceeded; });
  rig.until_idle();
  CHECK(rig.api.size() == 1);
  rig.keeper->forget(PodUid("h1"));
  CHECK(rig.none_left());
}

TEST_CASE("A new run adopts the mirrors of the last one and deletes those of nobody once the sources are ready") {
  Rig rig;
  const auto pod = static_pod("h1"), lost = static_pod("h9", "lost-node");
  rig.keeper->static_seen(pod);
  rig.keeper->static_seen(lost);
  rig.tell(pod, model::Phase::kRunning);
  const auto first = rig.mirror([](const model::Pod& now) { return now.status.phase == model::Phase::kRunning; });
  rig.mirror([](const model::Pod&) { return true; }, "default/lost-node");
  rig.restart();
  rig.api.with_faults([](fakes::FaultPlan& faults) { faults.forget_calls(); });
  SECTION("the API tells first") {
    rig.keeper->mirror_seen(rig.api.find("default/web-node"));
    rig.keeper->mirror_seen(rig.api.find("default/lost-node"));
    rig.keeper->static_seen(pod);
  }
  SECTION("the static pod is known first, and the name is found to be taken") {
    rig.keeper->static_seen(pod);
    REQUIRE(rig.api.wait_for([&] { return !rig.api.calls().empty(); }));
    rig.keeper->mirror_seen(rig.api.find("default/lost-node"));
    rig.keeper->mirror_seen(rig.api.find("default/web-node"));
  }
  rig.tell(pod, model::Phase::kFailed);
  rig.mirror([&](const model::Pod& now) { return now.status.phase == model::Phase::kFailed && now.uid() == first->uid(); });
  CHECK(rig.api.find("default/lost-node") != nullptr);
  rig.keeper->sources_ready();
  REQUIRE(rig.api.wait_for([&] { return rig.api.find("default/lost-node") == nullptr; }));
  CHECK(rig.api.find("default/web-node")->uid() == first->uid());
}

TEST_CASE("Nothing is created before the node is known, and calls that fail are made again") {
  Rig rig;
  {
    const MutexLock lock(rig.mu);
    rig.node_uid.reset();
  }
  const auto pod = static_pod("h1");
  SECTION("the node") {
    rig.keeper->static_seen(pod);
    while (rig.asked_for_node < 3) std::this_thread::yield();
    CHECK(rig.api.calls().empty());
  }
  SECTION("the API") {
    rig.api.with_faults([](fakes::FaultPlan& faults) {
      for (int i = 0; i < 3; ++i)
        for (const char* op : {"create", "patch"}) faults.fail(op, 1, {Code::kUnavailable, 0, "connection refused"});
    });
    rig.keeper->static_seen(pod);
  }
  {
    const MutexLock lock(rig.mu);
    rig.node_uid = "";  // not registered by us
  }
  rig.tell(pod, model::Phase::kRunning);
  const auto made = rig.mirror([](const model::Pod& now) { return now.status.phase == model::Phase::kRunning; });
  CHECK(made->metadata.owner_references.empty());
}

TEST_CASE("A name that another pod has is waited for, and delays no other name") {
  Rig rig;
  auto other = *make_pod("x", "web-node");
  REQUIRE(rig.api.create_pod(other, {}));
  const auto blocked = static_pod("h1"), free = static_pod("h2", "free-node");
  rig.keeper->static_seen(blocked);
  rig.keeper->static_seen(free);
  rig.mirror([](const model::Pod&) { return true; }, "default/free-node");
  CHECK_FALSE(rig.api.find("default/web-node")->metadata.annotations.contains(kMirrorKey));
  rig.api.force_delete("default/web-node");
  rig.mirror([](const model::Pod& now) { return now.metadata.annotations.contains(kMirrorKey); });
}

TEST_CASE("Statuses are not sent again and again: what the watch tells of our own writes is no news") {
  Rig rig;
  const auto pod = static_pod("h1");
  rig.keeper->static_seen(pod);
  for (const auto to : {model::Phase::kPending, model::Phase::kRunning}) {
    rig.tell(pod, to);
    rig.mirror([&](const model::Pod& now) { return now.status.phase == to; });
  }
  rig.tell(pod, model::Phase::kRunning);
  rig.until_idle();
  rig.keeper->stop();
  CHECK(std::ranges::count(rig.api.calls(), "create default/web-node") == 1);
  CHECK(std::ranges::count(rig.api.calls(), "patch default/web-node") <= 2);
}

TEST_CASE("A late word of the watch about a deleted mirror does not bring it back") {
  Rig rig;
  rig.watched = false;
  const auto pod = static_pod("h1");
  rig.keeper->sources_ready();
  rig.keeper->static_seen(pod);
  const auto first = rig.any_mirror();
  rig.keeper->forget(PodUid("h1"));
  REQUIRE(rig.none_left());
  rig.keeper->mirror_seen(first);
  rig.keeper->static_seen(static_pod("h2"));
  rig.keeper->mirror_gone(first->uid());
  rig.mirror([](const model::Pod& now) { return now.metadata.annotations.at(kMirrorKey) == "h2"; });
}

TEST_CASE("Statuses of other pods are passed on") {
  Rig rig;
  rig.keeper->publish({make_pod("a1"), "api", phase(model::Phase::kRunning), false});
  REQUIRE(rig.others.statuses.size() == 1);
  rig.keeper->forget(PodUid("a1"));
  CHECK(rig.others.forgotten.size() == 1);
  rig.keeper->stop();
  CHECK(rig.api.calls().empty());
}

TEST_CASE("row 2.9: a mirror refers to no object of the API, whatever its static pod does") {
  auto pod = static_pod("h1");
  pod->metadata.finalizers = {"example.com/never"};
  auto& spec = pod->spec;
  spec.service_account_name = "default";
  spec.image_pull_secrets = {"registry"};
  const auto volume = [&](const char* name, auto source) { spec.volumes.push_back({.name = name, .source = source}); };
  volume("scratch", model::EmptyDirVolume{});
  volume("secret", model::SecretVolume{.name = "s", .items = {}, .default_mode = {}, .optional = false});
  volume("config", model::ConfigMapVolume{.name = "c", .items = {}, .default_mode = {}, .optional = false});
  volume("token", model::ProjectedVolume{.sources = {model::TokenProjection{.audience = {}, .path = "t"}}, .default_mode = {}});
  volume("labels", model::ProjectedVolume{.sources = {model::DownwardApiVolume{}}, .default_mode = {}});
  volume("claim", model::UnsupportedVolume{"persistentVolumeClaim"});
  auto& container = spec.containers.front();
  for (const auto& one : spec.volumes) {
    container.volume_mounts.push_back({});
    container.volume_mounts.back().name = one.name;
    container.volume_mounts.back().mount_path = "/" + one.name;
  }
  container.env = {{"PLAIN", "x", {}}, {"KEY", "", model::SecretKeyRef{{"s", "k", false}}}, {"NAME", "", model::FieldRef{"metadata.name"}}};
  container.env_from.push_back({});

  const auto mirror = mirror_of(*pod, "node-uid");
  std::vector<std::string> volumes, mounts, env;
  for (const auto& one : mirror.spec.volumes) volumes.push_back(one.name);
  for (const auto& one : mirror.spec.containers.front().volume_mounts) mounts.push_back(one.name);
  for (const auto& one : mirror.spec.containers.front().env) env.push_back(one.name);
  CHECK(volumes == std::vector<std::string>{"scratch", "labels"});
  CHECK(mounts == volumes);
  CHECK(env == std::vector<std::string>{"PLAIN", "NAME"});
  CHECK(mirror.metadata.finalizers.empty());
  CHECK(mirror.metadata.uid.empty());
  fakes::MemoryPodApi api;
  const auto made = api.create_pod(mirror, {});
  CAPTURE(made ? "" : made.error().message());
  CHECK(made);
  CHECK_FALSE(api.create_pod(*pod, {}));
}

TEST_CASE("rows 6.8, 6.22: what was true before is told with the time since when it is") {
  const Time before(std::chrono::seconds(1000)), now(std::chrono::seconds(2000));
  const auto status_at = [](Time time, model::ConditionStatus ready) {
    model::PodStatus status;
    status.start_time = time;
    for (const char* type : {"Initialized", "Ready"})
      status.conditions.push_back({.type = type, .status = ready, .reason = {}, .message = {}, .last_transition_time = time});
    status.conditions[0].status = model::ConditionStatus::kTrue;
    return status;
  };
  const auto told = mirror_status(status_at(before, model::ConditionStatus::kFalse), status_at(now, model::ConditionStatus::kTrue));
  CHECK(told.start_time == before);
  CHECK(told.conditions[0].last_transition_time == before);
  CHECK(told.conditions[1].last_transition_time == now);
  CHECK(mirror_status({}, status_at(now, model::ConditionStatus::kTrue)).start_time == now);
}
