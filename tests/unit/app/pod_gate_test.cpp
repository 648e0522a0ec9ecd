// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// The gate with a real loop behind it, whose pods have cgroups and programs in memory.
#include "app/pod_gate.h"

#include <thread>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "base/mutex.h"
#include "fakes/bpf/fake_program_attacher.h"
#include "lifecycle/decide.h"
#include "reconcile/companion_runner.h"

using namespace pintle;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;
using model::EbpfPolicy;

namespace {

constexpr Duration kLong = 20s;  // an answer comes long before it
const std::string kUid = "0123-4567-89";

class Cgroups final : public ports::PodCgroupFinder {
 public:
  Result<std::optional<ports::FoundCgroup>> find(const PodUid& uid) override {
    const MutexLock lock(mu_);
    if (!known_.contains(uid)) return std::nullopt;
    return ports::FoundCgroup{.cgroup = {.dir = {}, .id = CgroupId(7), .path = "/kubepods/pod" + uid.value(), .runtime_parent = {}}};
  }
  void make(const PodUid& uid) {
    const MutexLock lock(mu_);
    known_.insert(uid);
  }

 private:
  Mutex mu_;
  std::set<PodUid> known_ PINTLE_GUARDED_BY(mu_);
};

class Planner final : public ports::ProgramPlanner {
 public:
  Result<model::ProgramPlan> plan_for(const model::Pod& pod) override {
    const MutexLock lock(mu_);
    ++asked_;
    if (refusal_) return std::unexpected(*refusal_);
    auto plan = model::default_program_plan();
    if (!pod.metadata.labels.empty()) plan.network_policy = 5;
    return plan;
  }
  void forget(const PodUid&) override {}
  void refuse(std::optional<Error> with) {
    const MutexLock lock(mu_);
    refusal_ = std::move(with);
  }
  [[nodiscard]] int asked() {
    const MutexLock lock(mu_);
    return asked_;
  }

 private:
  Mutex mu_;
  std::optional<Error> refusal_ PINTLE_GUARDED_BY(mu_);
  int asked_ PINTLE_GUARDED_BY(mu_) = 0;
};

class Events final : public ports::EventSink {
 public:
  void record(const model::Event& event) override {
    const MutexLock lock(mu_);
    told_.push_back(event);
  }
  [[nodiscard]] std::vector<model::Event> of(const std::string& reason) {
    const MutexLock lock(mu_);
    auto some = told_;
    std::erase_if(some, [&](const auto& event) { return event.reason != reason; });
    return some;
  }

 private:
  Mutex mu_;
  std::vector<model::Event> told_ PINTLE_GUARDED_BY(mu_);
};

class Silence final : public reconcile::StatusSink, public reconcile::ProbeRunner {
 public:
  void publish(reconcile::StatusUpdate) override {}
  void forget(const PodUid&) override {}
  void start(const PodUid&, const lifecycle::ProbeRun&, const reconcile::ActionContext&, std::stop_token) override {}
};

struct Node {
  SystemClock clock;
  Cgroups cgroups;
  fakes::FakeProgramAttacher programs;
  Planner planner;
  Events events;
  Silence silence;
  std::atomic<bool> policies_known = true, fail_closed = true, earlier = false;
  std::atomic<int> noted = 0, withdrawn = 0;
  reconcile::WorkerPool pool{{.name = "test"}};
  reconcile::LoopThread loop{clock};
  reconcile::CompanionRunner runner{{cgroups, programs, planner}, clock, pool, [this](auto uid, auto ticket, auto reply) {
                                      loop.post([=](reconcile::PodLoop& pods, Time now) { pods.action_done(uid, ticket, reply, now); });
                                    }};

  Node() {
    loop.start({.actions = runner, .probes = silence, .statuses = silence, .events = events});
    auto facts = std::make_shared<lifecycle::NodeFacts>();
    facts->owns_pods = false;
    facts->runtime_ready = true;
    loop.post([facts](reconcile::PodLoop& pods, Time now) {
      pods.set_node(facts, now);
      pods.observe_all({}, {}, 1, now);
    });
  }
  ~Node() {
    loop.stop();
    pool.shut_down();
  }
  [[nodiscard]] app::PodGate gate() {
    return app::PodGate({.clock = clock,
                         .loop = loop,
                         .events = events,
                         .note =
                             [this](const ports::PodPtr& pod) {
                               ++noted;
                               loop.post([pod](reconcile::PodLoop& pods, Time now) { pods.set_pod(pod, "cgroup", now); });
                             },
                         .withdraw = [this](const PodUid&) { ++withdrawn; },
                         .has_cgroup = [this](const PodUid& uid) { return cgroups.find(uid)->has_value(); },
                         .policies_known = [this] { return policies_known.load(); },
                         .still_in_force = [this](const PodUid&) { return earlier.load(); },
                         .fail_closed = fail_closed});
  }
};

ports::RuntimePod pod_of(const std::string& uid, const std::string& annotation = {}) {
  auto pod = std::make_shared<model::Pod>();
  pod->metadata.uid = uid;
  pod->metadata.name = "web";
  pod->metadata.namespace_ = "shop";
  pod->metadata.labels = {{"app", "web"}};
  if (!annotation.empty()) pod->metadata.annotations[std::string(model::kEbpfPolicyAnnotation)] = annotation;
  return {std::move(pod), "/kubepods/burstable/pod" + uid};
}

}  // namespace

TEST_CASE("the answer comes when the programs of the pod's own plan are in force") {
  Node node;
  node.cgroups.make(PodUid(kUid));
  auto gate = node.gate();
  gate.sandbox_made(pod_of(kUid), kLong, {});
  CHECK(node.programs.plan_of(PodUid(kUid))->network_policy == 5);
  CHECK(gate.before_container(pod_of(kUid, "required"), "main", kLong, {}));
  CHECK(gate.late() == 0);
  CHECK(node.events.of("ProgramsNotInForce").empty());
}

TEST_CASE("what was attached before the pod had a name is no answer") {
  Node node;
  node.cgroups.make(PodUid(kUid));
  auto nameless = std::make_shared<model::Pod>();
  nameless->metadata.uid = kUid;
  nameless->metadata.namespace_.clear();
  node.loop.post([nameless](reconcile::PodLoop& pods, Time now) { pods.set_pod(nameless, "cgroup", now); });
  auto gate = node.gate();
  CHECK(gate.before_container(pod_of(kUid), "main", kLong, {}));
  CHECK(node.programs.plan_of(PodUid(kUid))->network_policy == 5);
}

TEST_CASE("a cgroup that is found while the runtime waits is in time") {
  Node node;
  auto gate = node.gate();
  Status done = fail(Code::kInternal, "not asked");
  std::thread runtime([&] { done = gate.before_container(pod_of(kUid, "required"), "main", kLong, {}); });
  node.cgroups.make(PodUid(kUid));
  node.loop.post([](reconcile::PodLoop& pods, Time now) { pods.hint_programs(PodUid(kUid), now); });
  while (node.noted == 0) std::this_thread::yield();
  node.loop.post([](reconcile::PodLoop& pods, Time now) { pods.hint_programs(PodUid(kUid), now); });
  runtime.join();
  CHECK(done);
  CHECK(node.withdrawn == 0);
}

TEST_CASE("programs that are refused hold back a pod that requires them, and no other") {
  struct Row {
    std::string annotation;
    bool fail_closed, starts;
    uint64_t late;
  };
  const Row rows[] = {{"required", true, false, 0}, {"required", false, true, 1}, {"best-effort", true, true, 1}, {"", true, true, 1},
                      {"off", true, true, 0},       {"requierd", true, false, 0}};  // a word that is none weakens no policy
  for (const auto& row : rows) {
    INFO(row.annotation << (row.fail_closed ? "" : ", not closed"));
    Node node;
    node.fail_closed = row.fail_closed;
    node.programs.refused = {model::Hook::kConnect4};
    node.cgroups.make(PodUid(kUid));
    auto gate = node.gate();
    const auto done = gate.before_container(pod_of(kUid, row.annotation), "main", 60ms, {});
    CHECK(done.has_value() == row.starts);
    if (!done) {
      CHECK_THAT(done.error().message(), ContainsSubstring("eBPF programs of pod 'shop/web' are required and not in force: connect4: ") &&
                                             ContainsSubstring("pintlectl explain pod/web"));
    }
    CHECK(gate.late() == row.late);
    CHECK(node.events.of("ProgramsNotInForce").size() == row.late);
  }
}

TEST_CASE("a hook that is refused once is tried again while the runtime waits") {
  Node node;
  node.programs.faults.fail("attach", 1, {Code::kUnavailable, 0, "busy"});
  node.cgroups.make(PodUid(kUid));
  auto gate = node.gate();
  CHECK(gate.before_container(pod_of(kUid, "required"), "main", kLong, {}));
}

TEST_CASE("without a plan a pod is held, whatever its policy says, unless an earlier run's programs are in force") {
  Node node;
  node.planner.refuse(Error{Code::kUnavailable, 0, "policies are not known yet"});
  node.cgroups.make(PodUid(kUid));
  auto gate = node.gate();
  const auto held = gate.before_container(pod_of(kUid, "best-effort"), "main", 60ms, {});
  REQUIRE_FALSE(held);
  CHECK_THAT(held.error().message(), ContainsSubstring("policies are not known yet"));
  node.earlier = true;
  CHECK(gate.before_container(pod_of(kUid, "required"), "main", 60ms, {}));
  CHECK(gate.late() == 0);
}

TEST_CASE("policies that come in time are waited for, and the plan is made anew") {
  Node node;
  node.policies_known = false;
  node.cgroups.make(PodUid(kUid));
  auto gate = node.gate();
  Status done = fail(Code::kInternal, "not asked");
  std::thread runtime([&] { done = gate.before_container(pod_of(kUid), "main", kLong, {}); });
  while (node.planner.asked() == 0) std::this_thread::yield();
  const int before = node.planner.asked();
  node.policies_known = true;
  runtime.join();
  CHECK(done);
  CHECK(node.planner.asked() > before);
  CHECK(gate.late() == 0);
}

TEST_CASE("policies that do not come hold no pod back for ever, and it is told") {
  Node node;
  node.policies_known = false;
  node.cgroups.make(PodUid(kUid));
  auto gate = node.gate();
  CHECK(gate.before_container(pod_of(kUid), "main", 60ms, {}));
  CHECK(gate.late() == 1);
  const auto events = node.events.of("ProgramsNotInForce");
  REQUIRE(events.size() == 1);
  CHECK(events[0].object.name == "web");
  CHECK_THAT(events[0].message, ContainsSubstring("the cluster's network policies are not known yet"));
}

TEST_CASE("a pod without a cgroup of a kubelet's is let through and left alone") {
  Node node;
  auto gate = node.gate();
  for (const char* parent : {"", "/", "/user.slice", "/kubepods/podother", "k8s.io"}) {
    auto told = pod_of(kUid, "required");
    told.cgroup_parent = parent;
    CHECK(gate.before_container(told, "main", kLong, {}));
    gate.sandbox_made(told, kLong, {});
  }
  CHECK(node.noted == 0);
  auto told = pod_of("1a2b3c4d-5e", "off");
  told.cgroup_parent = "kubelet-kubepods-burstable-pod1a2b3c4d_5e.slice";  // a slice's name alone
  CHECK(gate.before_container(told, "main", kLong, {}));
  CHECK(node.noted == 1);
}

TEST_CASE("a cgroup that is never found is withdrawn from the table") {
  Node node;
  auto gate = node.gate();
  CHECK_FALSE(gate.before_container(pod_of(kUid, "required"), "main", 30ms, {}));
  CHECK(gate.before_container(pod_of(kUid, "best-effort"), "main", 30ms, {}));
  CHECK(node.withdrawn == 2);
}

TEST_CASE("a stop interrupts the wait, and refuses nothing") {
  Node node;
  auto gate = node.gate();
  std::stop_source stop;
  Status done = fail(Code::kInternal, "not asked");
  std::thread runtime([&] { done = gate.before_container(pod_of(kUid, "required"), "main", 1h, stop.get_token()); });
  while (node.noted == 0) std::this_thread::yield();
  stop.request_stop();
  runtime.join();
  CHECK(done);
}
