// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "observe/runtime_observer.h"

#include <algorithm>
#include <csignal>
#include <thread>

#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>

#include "fakes/cri/fake_container_runtime.h"
#include "fakes/reconcile/runtime_decorator.h"

using namespace pintle;
using namespace pintle::observe;
using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

constexpr auto kLong = seconds(3600);

// A process of our own that waits to be killed: stands for a container's first one.
class Child {
 public:
  Child() {
    pid_ = ::fork();
    if (pid_ == 0) {
      ::pause();
      ::_exit(0);
    }
  }
  ~Child() { end(); }
  void end() {
    if (pid_ <= 0) return;
    (void)::kill(pid_, SIGKILL);
    (void)::waitpid(pid_, nullptr, 0);
    pid_ = 0;
  }
  [[nodiscard]] int64_t pid() const { return pid_; }

 private:
  pid_t pid_ = 0;
};

// A runtime behind a lock, whose container may carry a real pid, and everything the observer has said.
struct Bench {
  Mutex mu;
  ConditionVariable changed;
  fakes::FakeContainerRuntime runtime;
  fakes::RuntimeDecorator<fakes::FakeContainerRuntime> door{runtime};
  std::vector<model::ObservedPod> pods PINTLE_GUARDED_BY(mu);
  std::vector<size_t> lists PINTLE_GUARDED_BY(mu);
  std::vector<RuntimeHealth> healths PINTLE_GUARDED_BY(mu);
  std::vector<uint64_t> marks PINTLE_GUARDED_BY(mu);
  std::string stuck PINTLE_GUARDED_BY(mu);
  uint64_t last_mark PINTLE_GUARDED_BY(mu) = 0;
  int inspections PINTLE_GUARDED_BY(mu) = 0;
  bool stream PINTLE_GUARDED_BY(mu) = false;
  int connects PINTLE_GUARDED_BY(mu) = 0;
  std::vector<std::jthread> threads;
  Mutex threads_mu;
  std::unique_ptr<RuntimeObserver> observer;

  Bench() {
    door.around = [this](const std::function<void()>& call) {
      const MutexLock lock(mu);
      call();
    };
    door.on_inspect = [this](const PodUid& uid) {
      const MutexLock lock(mu);
      ++inspections;
      changed.notify_all();
      while (stuck == uid.value()) changed.wait(mu);
    };
    door.on_watch = [this](const std::function<void(const model::RuntimeEvent&)>& on_event, std::stop_token stop) {
      return watch(on_event, std::move(stop));
    };
  }
  ~Bench() {
    {
      const MutexLock lock(mu);
      stuck.clear();
      stream = false;
      changed.notify_all();
    }
    observer.reset();
    threads.clear();
  }
  Status watch(const std::function<void(const model::RuntimeEvent&)>& on_event, std::stop_token stop) {
    {
      const MutexLock lock(mu);
      if (!stream) return fail(Code::kUnsupported, "no stream");
      ++connects;
      changed.notify_all();
    }
    const std::stop_callback wake(stop, [this] {
      const MutexLock lock(mu);
      changed.notify_all();
    });
    for (;;) {
      std::vector<model::RuntimeEvent> events;
      {
        const MutexLock lock(mu);
        const Status polled = runtime.watch_events([&](const model::RuntimeEvent& event) { events.push_back(event); }, {});
        if (events.empty()) {
          if (stop.stop_requested()) return fail(Code::kCancelled, "stopped");
          if (broken) {
            broken = false;
            return fail(Code::kUnavailable, "the stream broke");
          }
          changed.wait(mu);
          continue;
        }
      }
      for (const auto& event : events) on_event(event);
    }
  }
  void start(ObserverOptions options) {
    ObserverOutputs outputs;
    outputs.mark = [this] {
      const MutexLock lock(mu);
      return ++last_mark;
    };
    outputs.spawn = [this](std::function<void()> task) {
      const MutexLock lock(threads_mu);
      threads.emplace_back(std::move(task));
    };
    outputs.pod = [this](model::ObservedPod pod, uint64_t mark) {
      const MutexLock lock(mu);
      pods.push_back(std::move(pod));
      marks.push_back(mark);
      changed.notify_all();
    };
    outputs.all = [this](std::vector<model::ObservedPod> list, uint64_t mark) {
      const MutexLock lock(mu);
      lists.push_back(list.size());
      marks.push_back(mark);
      changed.notify_all();
    };
    outputs.health = [this](const RuntimeHealth& health) {
      const MutexLock lock(mu);
      healths.push_back(health);
      changed.notify_all();
    };
    observer = std::make_unique<RuntimeObserver>(door, std::move(outputs), std::move(options));
    REQUIRE(observer->start());
  }
  ContainerId add_container(const std::string& uid) {
    const MutexLock lock(mu);
    runtime.add_image("i");
    model::SandboxConfig sandbox;
    sandbox.uid = sandbox.name = uid;
    sandbox.namespace_ = "default";
    const auto sandbox_id = runtime.run_sandbox(sandbox, {});
    model::ContainerConfig container;
    container.name = "main";
    container.image_ref = "i";
    container.labels[std::string(model::kLabelPodUid)] = uid;
    const auto id = runtime.create_container(*sandbox_id, container, sandbox, {});
    (void)runtime.start_container(*id);  // a fake without faults
    return *id;
  }
  template <typename Condition>
  bool wait_for(Condition condition) {
    const MutexLock lock(mu);
    return changed.wait_for(mu, seconds(30), condition);
  }
  bool broken PINTLE_GUARDED_BY(mu) = false;
};

#define CONDITION [&]() PINTLE_ANNOTATE(no_thread_safety_analysis)

ObserverOptions quiet() { return {.audit = kLong, .audit_with_events = kLong, .status_period = kLong}; }

bool exited(const model::ObservedPod& pod) { return !pod.containers.empty() && pod.containers[0].state == model::RunState::kExited; }

}  // namespace

TEST_CASE("It begins with a full list and the runtime's health") {
  Bench bench;
  bench.add_container("u1");
  bench.start(quiet());
  REQUIRE(bench.wait_for(CONDITION { return bench.lists.size() == 1 && bench.healths.size() == 1; }));
  const MutexLock lock(bench.mu);
  CHECK(bench.lists[0] == 1);
  CHECK(bench.healths[0].answers);
  CHECK(bench.healths[0].status.runtime_ready.ok);
}

TEST_CASE("The end of a container's process leads to a read of its pod, repeated until the runtime knows") {
  Bench bench;
  Child child;
  REQUIRE(child.pid() > 0);
  const auto id = bench.add_container("u1");
  bench.start(quiet());
  REQUIRE(bench.wait_for(CONDITION { return bench.lists.size() == 1; }));
  model::ObservedPod seen{PodUid("u1"), {}, {}};
  seen.containers.push_back({.id = id, .uid = PodUid("u1"), .name = "main", .state = model::RunState::kRunning, .pid = child.pid()});
  bench.observer->track(seen);
  child.end();
  // The runtime is slower than the kernel: the first reads still show it running.
  REQUIRE(bench.wait_for(CONDITION { return bench.inspections >= 2; }));
  {
    const MutexLock lock(bench.mu);
    bench.runtime.exit_container(id, 5);
  }
  REQUIRE(bench.wait_for(CONDITION { return !bench.pods.empty() && exited(bench.pods.back()); }));
  const MutexLock lock(bench.mu);
  CHECK(bench.pods.back().containers[0].exit_code == 5);
  CHECK(std::ranges::is_sorted(bench.marks));
}

TEST_CASE("An exit that the tracepoint tells is looked at when it is a container's first process") {
  Bench bench;
  Child child;
  const auto id = bench.add_container("u1");
  bench.start(quiet());
  REQUIRE(bench.wait_for(CONDITION { return bench.lists.size() == 1; }));
  bench.observer->track({PodUid("u1"), {}, {{.id = id, .uid = PodUid("u1"), .state = model::RunState::kRunning, .pid = child.pid()}}});
  bench.observer->process_exited(1);  // somebody else's
  {
    const MutexLock lock(bench.mu);
    CHECK(bench.inspections == 0);
    bench.runtime.exit_container(id, 0);
  }
  bench.observer->process_exited(child.pid());
  REQUIRE(bench.wait_for(CONDITION { return !bench.pods.empty() && exited(bench.pods.back()); }));
}

TEST_CASE("An exit that the runtime never tells does not keep the observer busy") {
  Bench bench;
  Child child;
  const auto id = bench.add_container("u1");
  auto options = quiet();
  options.exit_rereads = {milliseconds(0), milliseconds(1), milliseconds(1)};
  bench.start(options);
  REQUIRE(bench.wait_for(CONDITION { return bench.lists.size() == 1; }));
  bench.observer->track({PodUid("u1"), {}, {{.id = id, .uid = PodUid("u1"), .state = model::RunState::kRunning, .pid = child.pid()}}});
  child.end();
  REQUIRE(bench.wait_for(CONDITION { return bench.inspections == 3; }));
  bench.observer->look(PodUid("u2"));  // it still serves others
  // The last read of the first pod may be told after it.
  REQUIRE(bench.wait_for(CONDITION { return std::ranges::find(bench.pods, PodUid("u2"), &model::ObservedPod::uid) != bench.pods.end(); }));
  const MutexLock lock(bench.mu);
  CHECK(bench.inspections == 4);
}

TEST_CASE("A read that hangs delays no other pod's") {
  Bench bench;
  bench.add_container("stuck");
  const auto fine = bench.add_container("fine");
  {
    const MutexLock lock(bench.mu);
    // The fake's pids are nobody's: a running container would be read again for its process that is not there.
    bench.runtime.exit_container(fine, 0);
    bench.stuck = "stuck";
  }
  bench.start(quiet());
  bench.observer->look(PodUid("stuck"));
  REQUIRE(bench.wait_for(CONDITION { return bench.inspections == 1; }));
  bench.observer->look(PodUid("stuck"));  // one read of a pod at a time
  bench.observer->look(PodUid("fine"));
  REQUIRE(bench.wait_for(CONDITION { return bench.pods.size() == 1; }));
  const MutexLock lock(bench.mu);
  CHECK(bench.pods[0].uid == PodUid("fine"));
  CHECK(bench.inspections == 2);
}

TEST_CASE("A container that ended before it could be watched is read again until the runtime knows") {
  Bench bench;
  Child child;
  const auto pid = child.pid();
  child.end();
  const auto id = bench.add_container("u1");
  bench.start(quiet());
  REQUIRE(bench.wait_for(CONDITION { return bench.lists.size() == 1; }));
  bench.observer->track({PodUid("u1"), {}, {{.id = id, .uid = PodUid("u1"), .state = model::RunState::kRunning, .pid = pid}}});
  REQUIRE(bench.wait_for(CONDITION { return bench.inspections >= 1; }));
  {
    const MutexLock lock(bench.mu);
    bench.runtime.exit_container(id, 3);
  }
  REQUIRE(bench.wait_for(CONDITION { return !bench.pods.empty() && exited(bench.pods.back()); }));
}

TEST_CASE("Events lead to reads; a stream that breaks is connected again and begins with a full list") {
  Bench bench;
  {
    const MutexLock lock(bench.mu);
    bench.stream = true;
    bench.runtime.keep_events(true);
  }
  const auto id = bench.add_container("u1");
  bench.start(quiet());
  REQUIRE(bench.wait_for(CONDITION { return bench.connects == 1 && bench.lists.size() == 1 && !bench.pods.empty(); }));
  CHECK(bench.observer->has_event_stream());
  {
    const MutexLock lock(bench.mu);
    bench.broken = true;
    bench.changed.notify_all();
  }
  REQUIRE(bench.wait_for(CONDITION { return bench.connects == 2 && bench.lists.size() == 2; }));
  {
    const MutexLock lock(bench.mu);
    bench.runtime.exit_container(id, 1);
    bench.changed.notify_all();
  }
  REQUIRE(bench.wait_for(CONDITION { return exited(bench.pods.back()); }));
}

TEST_CASE("A runtime that goes down is told, and read as a whole when it is back") {
  Bench bench;
  auto options = quiet();
  options.status_period = milliseconds(5);
  {
    const MutexLock lock(bench.mu);
    bench.runtime.set_down(true);
  }
  bench.start(options);
  REQUIRE(bench.wait_for(CONDITION { return bench.healths.size() == 1; }));
  {
    const MutexLock lock(bench.mu);
    CHECK_FALSE(bench.healths[0].answers);
    CHECK_FALSE(bench.healths[0].error.empty());
    CHECK(bench.lists.empty());
    bench.runtime.set_down(false);
  }
  REQUIRE(bench.wait_for(CONDITION { return bench.healths.size() == 2 && !bench.lists.empty(); }));
  const MutexLock lock(bench.mu);
  CHECK(bench.healths[1].answers);
}
