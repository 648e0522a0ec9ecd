// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "reconcile/status_writer.h"

#include <atomic>
#include <semaphore>
#include <thread>

#include <catch2/catch_test_macros.hpp>

#include "scripted_outputs.h"

using namespace pintle;
using namespace pintle::reconcile;
using namespace pintle::reconcile::test;

namespace {

// An API that keeps pods; calls for one pod can be held, and fail as often as told.
class MemoryApi final : public ports::PodApi {
 public:
  Mutex mu;
  ConditionVariable changed;
  std::map<std::string, model::Pod> pods PINTLE_GUARDED_BY(mu);
  std::map<std::string, int> failures PINTLE_GUARDED_BY(mu);  // left, by uid
  std::string held PINTLE_GUARDED_BY(mu);                     // uid whose calls wait
  std::vector<std::string> calls PINTLE_GUARDED_BY(mu);

  void add(const PodPtr& pod) {
    const MutexLock lock(mu);
    pods[pod->metadata.uid] = *pod;
    pods[pod->metadata.uid].metadata.resource_version = "1";
  }
  Result<model::Pod> patch_status(const model::Pod& last_known, const model::PodStatus& status, std::stop_token stop) override {
    const std::stop_callback wake(stop, [this] {
      const MutexLock lock(mu);
      changed.notify_all();
    });
    const MutexLock lock(mu);
    const std::string& uid = last_known.metadata.uid;
    calls.push_back("patch " + uid + " " + std::string(to_string(status.phase)));
    changed.notify_all();
    while (held == uid && !stop.stop_requested()) changed.wait(mu);
    if (stop.stop_requested()) return fail(Code::kCancelled, "stopped");
    if (auto& left = failures[uid]; left > 0) {
      --left;
      return fail(Code::kUnavailable, "patch '" + uid + "': connection refused");
    }
    const auto found = pods.find(uid);
    if (found == pods.end()) return fail(Code::kNotFound, "no such pod");
    auto& pod = found->second;
    pod.status = status;
    pod.metadata.resource_version = std::to_string(std::stoi(pod.metadata.resource_version) + 1);
    changed.notify_all();
    return pod;
  }
  Status delete_pod(const model::Pod& pod, std::stop_token) override {
    const MutexLock lock(mu);
    calls.push_back("delete " + pod.metadata.uid);
    pods.erase(pod.metadata.uid);
    changed.notify_all();
    return {};
  }
  Result<model::Pod> create_pod(const model::Pod& pod, std::stop_token) override { return pod; }

  template <typename Condition>
  bool wait_for(Condition condition) {
    const MutexLock lock(mu);
    return changed.wait_for(mu, std::chrono::seconds(20), condition);
  }
  std::vector<std::string> all_calls() {
    const MutexLock lock(mu);
    return calls;
  }
};

StatusUpdate update(const PodPtr& pod, model::Phase phase, bool finished = false) {
  model::PodStatus status;
  status.phase = phase;
  return {pod, "api", std::make_shared<const model::PodStatus>(status), finished};
}

const StatusWriterOptions kQuick{.writers = 4, .backoff = {std::chrono::milliseconds(1), std::chrono::milliseconds(4)}};

}  // namespace

TEST_CASE("The first status goes at once; what comes while it is sent is coalesced to the newest") {
  MemoryApi api;
  const SystemClock clock;
  const auto pod = make_pod("u1");
  api.add(pod);
  StatusWriter writer(api, clock, {}, kQuick);
  {
    const MutexLock lock(api.mu);
    api.held = "u1";
  }
  writer.publish(update(pod, model::Phase::kPending));
  REQUIRE(api.wait_for([&]() PINTLE_ANNOTATE(no_thread_safety_analysis) { return api.calls.size() == 1; }));
  writer.publish(update(pod, model::Phase::kRunning));
  writer.publish(update(pod, model::Phase::kFailed));
  CHECK(writer.backlog() == 1);
  {
    const MutexLock lock(api.mu);
    api.held.clear();
    api.changed.notify_all();
  }
  REQUIRE(api.wait_for([&]() PINTLE_ANNOTATE(no_thread_safety_analysis) { return api.pods["u1"].status.phase == model::Phase::kFailed; }));
  CHECK(api.all_calls() == std::vector<std::string>{"patch u1 Pending", "patch u1 Failed"});
}

TEST_CASE("A pod whose write hangs or fails delays no other, and is tried again") {
  MemoryApi api;
  const SystemClock clock;
  const auto stuck = make_pod("stuck", "a"), failing = make_pod("failing", "b"), fine = make_pod("fine", "c");
  for (const auto& pod : {stuck, failing, fine}) api.add(pod);
  {
    const MutexLock lock(api.mu);
    api.held = "stuck";
    api.failures["failing"] = 3;
  }
  StatusWriter writer(api, clock, {}, kQuick);
  writer.publish(update(stuck, model::Phase::kRunning));
  writer.publish(update(failing, model::Phase::kRunning));
  writer.publish(update(fine, model::Phase::kRunning));
  REQUIRE(api.wait_for([&]() PINTLE_ANNOTATE(no_thread_safety_analysis) {
    return api.pods["fine"].status.phase == model::Phase::kRunning && api.pods["failing"].status.phase == model::Phase::kRunning;
  }));
  const MutexLock lock(api.mu);
  CHECK(api.pods["stuck"].status.phase != model::Phase::kRunning);
  CHECK(std::ranges::count(api.calls, "patch failing Running") == 4);
}

TEST_CASE("A finished pod is deleted only when the API shows it deleted and terminal") {
  MemoryApi api;
  const SystemClock clock;
  const auto pod = make_pod("u1");
  api.add(pod);
  std::atomic<int> confirmed{0};
  StatusWriter writer(api, clock, [&](const PodUid&, const model::PodStatus&) { ++confirmed; }, kQuick);
  writer.publish(update(pod, model::Phase::kFailed, true));
  REQUIRE(api.wait_for([&]() PINTLE_ANNOTATE(no_thread_safety_analysis) { return api.pods["u1"].status.phase == model::Phase::kFailed; }));
  // Then it is deleted: told again with the API's new copy, nothing else has changed.
  auto gone = std::make_shared<model::Pod>(*deleted(pod, 1, Time(std::chrono::seconds(5))));
  {
    const MutexLock lock(api.mu);
    gone->status = api.pods["u1"].status;
    gone->metadata.resource_version = "7";
    api.pods["u1"] = *gone;
  }
  writer.publish(update(gone, model::Phase::kFailed, true));
  REQUIRE(api.wait_for([&]() PINTLE_ANNOTATE(no_thread_safety_analysis) { return api.pods.empty(); }));
  CHECK(api.all_calls().back() == "delete u1");
  CHECK(confirmed >= 1);
}

TEST_CASE("An older copy from the watch does not lead to a second write") {
  MemoryApi api;
  const SystemClock clock;
  auto pod = std::make_shared<model::Pod>(*make_pod("u1"));
  pod->metadata.resource_version = "1";
  api.add(pod);
  std::binary_semaphore confirmed(0);
  StatusWriter writer(api, clock, [&](const PodUid&, const model::PodStatus&) { confirmed.release(); }, kQuick);
  writer.publish(update(pod, model::Phase::kRunning));
  confirmed.acquire();
  while (writer.backlog() > 0) std::this_thread::yield();
  writer.publish(update(pod, model::Phase::kRunning));  // version 1 again, while 2 is known
  CHECK(writer.backlog() == 0);
  CHECK(api.all_calls().size() == 1);
}

TEST_CASE("A pod that the API has lost is given up; stopping gives up calls that hang") {
  MemoryApi api;
  const SystemClock clock;
  const auto lost = make_pod("lost", "a"), stuck = make_pod("stuck", "b");
  api.add(stuck);
  StatusWriter writer(api, clock, {}, kQuick);
  writer.publish(update(lost, model::Phase::kRunning));
  REQUIRE(api.wait_for([&]() PINTLE_ANNOTATE(no_thread_safety_analysis) { return api.calls.size() == 1; }));
  while (writer.backlog() > 0) std::this_thread::yield();
  {
    const MutexLock lock(api.mu);
    api.held = "stuck";
  }
  writer.publish(update(stuck, model::Phase::kRunning));
  REQUIRE(api.wait_for([&]() PINTLE_ANNOTATE(no_thread_safety_analysis) { return api.calls.size() == 2; }));
  writer.stop();
  CHECK(api.all_calls().size() == 2);
}

TEST_CASE("Static pods are not written under their own UID") {
  MemoryApi api;
  const SystemClock clock;
  StatusWriter writer(api, clock, {}, kQuick);
  auto of_static = update(make_pod("s1"), model::Phase::kRunning);
  of_static.source = "file";
  writer.publish(of_static);
  CHECK(writer.backlog() == 0);
  writer.stop();
  CHECK(api.all_calls().empty());
}
