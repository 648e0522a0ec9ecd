// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// The loop with real threads, the executor and the fakes: what main wires, without a runtime behind it.
#include "reconcile/loop_thread.h"

#include <catch2/catch_test_macros.hpp>

#include "fakes/bpf/fake_program_attacher.h"
#include "fakes/cgroup/fake_cgroup_tree.h"
#include "fakes/cri/fake_container_runtime.h"
#include "fakes/reconcile/node_fakes.h"
#include "fakes/reconcile/runtime_decorator.h"
#include "reconcile/pooled_runner.h"
#include "scripted_outputs.h"

using namespace pintle;
using namespace pintle::reconcile;
using namespace pintle::reconcile::test;

namespace {

class QuietStatuses final : public StatusSink {
 public:
  void publish(StatusUpdate) override {}
  void forget(const PodUid&) override {}
};
class QuietEvents final : public ports::EventSink {
 public:
  void record(const model::Event&) override {}
};

// One lock around each fake, and a gate for the calls of one pod.
struct Node {
  SystemClock clock;
  ReadClock reads;
  Mutex mu;
  ConditionVariable changed;
  std::string stuck PINTLE_GUARDED_BY(mu);
  fakes::FakeContainerRuntime runtime{&clock};
  fakes::RuntimeDecorator<fakes::FakeContainerRuntime> door{runtime};
  fakes::FakeCgroupTree cgroups;
  fakes::FakeProgramAttacher programs;
  fakes::MemoryVolumes volumes;
  fakes::MemoryLogs logs;
  fakes::MemoryObjects objects;
  fakes::ScriptedProber prober;
  PodExecutor executor{{cgroups, programs, volumes, logs, door, door, objects, prober}, clock, reads};
  WorkerPool pool{{.name = "test"}};
  LoopThread loop{clock};
  QuietStatuses statuses;
  QuietEvents events;
  std::vector<ports::PodRecord> records PINTLE_GUARDED_BY(mu);
  std::unique_ptr<ports::Subscription> subscription;

  // The fakes other than the runtime know one thread only.
  class Serial final : public ActionRunner {
   public:
    Serial(Node& node) : node_(node) {}
    void start(const PodUid& uid, ActionTicket ticket, const lifecycle::Action& action, const ActionContext& context,
               std::stop_token stop) override {
      node_.pool.submit([this, uid, ticket, action, context, stop] {
        ActionReply reply;
        {
          const MutexLock lock(node_.mu);
          while (node_.stuck == uid.value() && !stop.stop_requested()) node_.changed.wait_for(node_.mu, std::chrono::milliseconds(20));
          reply = node_.executor.execute(uid, action, context, stop);
        }
        node_.loop.post([uid, ticket, reply](PodLoop& pods, Time now) { pods.action_done(uid, ticket, reply, now); });
      });
    }

   private:
    Node& node_;
  };
  Serial actions{*this};
  PooledProbes probes{executor, pool, [](PodUid, lifecycle::ProbeDone) {}};

  Node() {
    runtime.add_image("busybox:1");
    subscription = loop.watch([this](const ports::PodRecord& record) {
      const MutexLock lock(mu);
      records.push_back(record);
      changed.notify_all();
    });
    loop.start({actions, probes, statuses, events});
    loop.post([](PodLoop& pods, Time now) {
      pods.set_node(ready_node(), now);
      pods.observe_all({}, {}, 0, now);
      pods.set_sources_ready(now);
    });
  }
  ~Node() {
    {
      const MutexLock lock(mu);
      stuck.clear();
      changed.notify_all();
    }
    loop.stop();
    pool.shut_down();
    subscription.reset();
  }
  void add(const PodPtr& pod) {
    loop.post([pod](PodLoop& pods, Time now) { pods.set_pod(pod, "api", now); });
  }
  bool sees(const std::string& uid, model::Phase phase) {
    const MutexLock lock(mu);
    return changed.wait_for(mu, std::chrono::seconds(30), [&]() PINTLE_ANNOTATE(no_thread_safety_analysis) {
      return std::ranges::any_of(records, [&](const auto& r) { return r.pod->metadata.uid == uid && r.status.phase == phase; });
    });
  }
};

}  // namespace

TEST_CASE("A pod is started through threads, and its changes are told") {
  Node node;
  node.add(make_pod("u1"));
  REQUIRE(node.sees("u1", model::Phase::kRunning));
  const auto snapshot = node.loop.snapshot().get();
  REQUIRE(snapshot.size() == 1);
  CHECK(snapshot[0].status.phase == model::Phase::kRunning);
  const auto reports = node.loop.program_reports().get();
  REQUIRE(reports.size() == (snapshot[0].programs ? size_t{1} : size_t{0}));
  if (snapshot[0].programs) CHECK(reports[0] == *snapshot[0].programs);
  CHECK(node.loop.answers_within(std::chrono::seconds(20)));
  const MutexLock lock(node.mu);
  CHECK(node.runtime.containers().size() == 1);
  CHECK(node.programs.has(PodUid("u1"), model::Hook::kEgress));
}

TEST_CASE("A stuck call of one pod delays no other, and ends with the loop") {
  Node node;
  {
    const MutexLock lock(node.mu);
    node.stuck = "stuck";
  }
  node.add(make_pod("stuck", "a"));
  for (int i = 0; i < 10; ++i) node.add(make_pod("u" + std::to_string(i), "p" + std::to_string(i)));
  for (int i = 0; i < 10; ++i) REQUIRE(node.sees("u" + std::to_string(i), model::Phase::kRunning));
  const auto snapshot = node.loop.snapshot().get();
  const auto stuck = std::ranges::find_if(snapshot, [](const auto& r) { return r.pod->metadata.uid == "stuck"; });
  REQUIRE(stuck != snapshot.end());
  CHECK(stuck->status.phase == model::Phase::kPending);
}

TEST_CASE("After its stop the loop takes nothing and gives empty snapshots") {
  Node node;
  node.loop.stop();
  bool ran = false;
  node.loop.post([&](PodLoop&, Time) { ran = true; });
  CHECK(node.loop.snapshot().get().empty());
  CHECK(node.loop.program_reports().get().empty());
  CHECK_FALSE(ran);
}
