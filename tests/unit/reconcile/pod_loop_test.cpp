// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "reconcile/pod_loop.h"

#include <catch2/catch_test_macros.hpp>

#include "scripted_outputs.h"

using namespace pintle;
using namespace pintle::reconcile;
using namespace pintle::reconcile::test;
using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

struct Bench {
  ScriptedOutputs out;
  Time now{seconds(10'000)};
  ReadClock reads;
  PodLoop loop{out.outputs("me")};

  Bench() { loop.set_node(ready_node(), now); }
  void read_nothing() { loop.observe_all({}, {}, reads.mark(), now); }

  // Answers the only (or the named) request that waits.
  void answer(const std::string& part, std::optional<model::ObservedPod> seen = std::nullopt, std::optional<Error> error = std::nullopt,
              std::optional<ReadMark> mark = std::nullopt) {
    for (size_t i = 0; i < out.asked.size(); ++i) {
      const auto one = out.asked[i];
      if ((one.uid.value() + ": " + lifecycle::describe(one.action)).find(part) == std::string::npos) continue;
      out.asked.erase(out.asked.begin() + static_cast<std::ptrdiff_t>(i));
      ActionReply reply;
      reply.outcome.error = std::move(error);
      reply.outcome.observed = std::move(seen);
      if (!reply.outcome.error) fill(one, reply);
      reply.mark = mark.value_or(reads.mark());
      loop.action_done(one.uid, one.ticket, std::move(reply), now);
      return;
    }
    FAIL("nothing waits for '" << part << "'");
  }
  static void fill(const Asked& one, ActionReply& reply) {
    if (std::holds_alternative<lifecycle::EnsureCgroup>(one.action))
      reply.outcome.value = lifecycle::CgroupReady{CgroupId(7), "/sys/x", "/x"};
    if (std::holds_alternative<lifecycle::AttachPrograms>(one.action)) {
      model::AttachReport report{one.uid, CgroupId(7), "/sys/x", {}};
      for (const auto hook : model::kDefaultHooks) report.hooks.push_back({.hook = hook, .state = model::HookState::kAttached});
      reply.outcome.value = report;
    }
    if (std::holds_alternative<lifecycle::EnsureImage>(one.action)) reply.outcome.value = model::ImageInfo{.id = "sha256:1"};
  }
  void start_fully(const PodPtr& pod) {
    const std::string uid = pod->metadata.uid;
    loop.set_pod(pod, "api", now);
    answer(uid + ": make the pod's cgroup");
    answer(uid + ": attach");
    answer(uid + ": mount");
    answer(uid + ": ensure image");
    answer(uid + ": run sandbox", model::ObservedPod{PodUid(uid), {sandbox(uid)}, {}});
    answer(uid + ": start container", seen_running(uid));
  }
  [[nodiscard]] const model::PodStatus& last_status() const { return *out.statuses.back().status; }
};

}  // namespace

TEST_CASE("Nothing is asked for before the runtime was read as a whole") {
  Bench bench;
  bench.loop.set_pod(make_pod("u1"), "api", bench.now);
  CHECK(bench.out.asked.empty());
  CHECK(bench.out.statuses.empty());
  CHECK(bench.loop.find(PodUid("u1"))->explanation == "waiting for the container runtime's first answer");
  bench.read_nothing();
  CHECK(bench.out.waits_for("u1: make the pod's cgroup"));
}

TEST_CASE("A pod goes through its plans and is told as running") {
  Bench bench;
  bench.read_nothing();
  bench.start_fully(make_pod("u1"));
  CHECK(bench.out.asked.empty());
  CHECK(bench.last_status().phase == model::Phase::kRunning);
  const auto record = bench.loop.find(PodUid("u1"));
  REQUIRE(record);
  CHECK(record->explanation == "running");
  CHECK_FALSE(record->timeline.empty());
  CHECK(record->programs.has_value());
}

TEST_CASE("The next decision comes when all actions of a plan have ended") {
  Bench bench;
  bench.read_nothing();
  bench.loop.set_pod(make_pod("u1"), "api", bench.now);
  bench.answer("make the pod's cgroup");
  bench.answer("attach");
  REQUIRE(bench.out.asked.size() == 2);  // volumes and the image, concurrently
  bench.answer("mount");
  CHECK(bench.out.waiting() == std::vector<std::string>{"u1: ensure image 'busybox:1' for container 'main'"});
  bench.answer("ensure image");
  CHECK(bench.out.waits_for("run sandbox"));
}

TEST_CASE("A pod whose call hangs delays no other") {
  Bench bench;
  bench.read_nothing();
  bench.loop.set_pod(make_pod("stuck", "stuck"), "api", bench.now);
  REQUIRE(bench.out.waits_for("stuck: make the pod's cgroup"));  // never answered
  bench.start_fully(make_pod("u1"));
  CHECK(bench.last_status().phase == model::Phase::kRunning);
  CHECK(bench.out.waiting() == std::vector<std::string>{"stuck: make the pod's cgroup"});
}

TEST_CASE("A read that began before the pod's last own effect is ignored") {
  Bench bench;
  bench.read_nothing();
  const ReadMark early = bench.reads.mark();  // an audit begins …
  bench.start_fully(make_pod("u1"));
  bench.loop.observe_all({}, {}, early, bench.now);  // … and ends: it has seen nothing of the pod
  CHECK(bench.loop.find(PodUid("u1"))->status.phase == model::Phase::kRunning);
  CHECK(bench.out.asked.empty());
  bench.loop.observe({{PodUid("u1"), {}, {}}, {}, early}, bench.now);
  CHECK(bench.out.asked.empty());
  // One that began later is believed.
  bench.loop.observe({{PodUid("u1"), {}, {}}, {}, bench.reads.mark()}, bench.now);
  CHECK_FALSE(bench.out.asked.empty());
}

TEST_CASE("Of two read-backs of one plan the one that began later tells") {
  Bench bench;
  bench.read_nothing();
  auto pod = std::make_shared<model::Pod>(*make_pod("u1"));
  bench.start_fully(pod);
  auto second = running("u1", "ct-2");
  second.name = "other";
  // Two instances run, both are stopped at one time.
  bench.loop.observe({{PodUid("u1"), {sandbox("u1")}, {running("u1"), second}}, {}, bench.reads.mark()}, bench.now);
  bench.loop.set_pod(deleted(pod, 30, bench.now), "api", bench.now);
  REQUIRE(bench.out.asked.size() == 2);
  auto both_stopped = model::ObservedPod{PodUid("u1"), {sandbox("u1")}, {running("u1"), second}};
  for (auto& container : both_stopped.containers) container.state = model::RunState::kExited;
  auto one_stopped = both_stopped;
  one_stopped.containers[0].state = model::RunState::kRunning;
  const ReadMark first = bench.reads.mark(), later = bench.reads.mark();
  bench.answer("stop container 'main'", both_stopped, std::nullopt, later);
  bench.answer("stop container 'other'", one_stopped, std::nullopt, first);
  CHECK(bench.out.waits_for("stop sandbox"));  // and no further stop of 'main'
  CHECK_FALSE(bench.out.waits_for("stop container"));
}

TEST_CASE("After an action without a read-back the runtime is read before anything is decided") {
  Bench bench;
  bench.read_nothing();
  bench.loop.set_pod(make_pod("u1"), "api", bench.now);
  bench.answer("make the pod's cgroup");
  bench.answer("attach");
  bench.answer("mount");
  bench.answer("ensure image");
  bench.answer("run sandbox", std::nullopt, Error{Code::kUnavailable, 0, "the answer was lost"});
  REQUIRE(bench.out.waiting() == std::vector<std::string>{"u1: read the pod back from the runtime"});
  // That fails, too: tried again later, with a growing pause, and nothing else meanwhile.
  bench.answer("read the pod back", std::nullopt, Error{Code::kUnavailable, 0, "down"});
  CHECK(bench.out.asked.empty());
  const auto at = bench.loop.next_wake();
  REQUIRE(at);
  CHECK(*at <= bench.now + seconds(1));
  bench.now = *at;
  bench.loop.wake(bench.now);
  REQUIRE(bench.out.waits_for("read the pod back"));
  // It had happened all the same: no second sandbox.
  bench.now += seconds(20);
  bench.answer("read the pod back", model::ObservedPod{PodUid("u1"), {sandbox("u1")}, {}});
  CHECK(bench.out.waits_for("start container 'main'"));
}

TEST_CASE("Running containers of an earlier run of the agent are adopted") {
  Bench bench;
  auto pod = std::make_shared<model::Pod>(*make_pod("u1"));
  pod->status.phase = model::Phase::kRunning;
  pod->status.start_time = Time(seconds(900));
  bench.loop.set_pod(pod, "api", bench.now);
  bench.loop.set_sources_ready(bench.now);
  bench.loop.observe_all({seen_running("u1")}, {PodUid("u1")}, bench.reads.mark(), bench.now);
  CHECK(bench.last_status().phase == model::Phase::kRunning);
  bench.answer("make the pod's cgroup");
  bench.answer("attach");
  bench.answer("mount");
  CHECK(bench.out.asked.empty());
  for (const auto& update : bench.out.statuses) CHECK(update.status->phase == model::Phase::kRunning);
}

TEST_CASE("Deletion while a plan runs cancels it; the pod ends and is told as finished") {
  Bench bench;
  bench.read_nothing();
  const auto pod = make_pod("u1");
  bench.loop.set_pod(pod, "api", bench.now);
  bench.answer("make the pod's cgroup");
  bench.answer("attach");
  const auto stop = bench.out.asked.front().stop;
  CHECK_FALSE(stop.stop_requested());
  bench.loop.set_pod(deleted(pod, 5, bench.now), "api", bench.now);
  CHECK(stop.stop_requested());
  bench.answer("mount", std::nullopt, Error{Code::kCancelled, 0, "given up"});
  bench.answer("ensure image", std::nullopt, Error{Code::kCancelled, 0, "given up"});
  bench.answer("unmount");
  bench.answer("detach");
  bench.answer("remove the pod's cgroup");
  bench.answer("remove the pod's logs");
  REQUIRE_FALSE(bench.out.statuses.empty());
  CHECK(bench.out.statuses.back().finished);
  CHECK(model::is_terminal(bench.last_status().phase));
  bench.loop.remove_pod(PodUid("u1"), bench.now);
  CHECK(bench.loop.size() == 0);
  CHECK(bench.out.forgotten == std::vector<PodUid>{PodUid("u1")});
  CHECK(bench.out.changes.back().removed);
}

TEST_CASE("A pod that was put back while it ends begins anew afterwards") {
  Bench bench;
  bench.read_nothing();
  const auto pod = make_pod("u1");
  bench.start_fully(pod);
  bench.loop.remove_pod(PodUid("u1"), bench.now);
  REQUIRE(bench.out.waits_for("stop container"));
  bench.loop.set_pod(pod, "api", bench.now);
  CHECK(bench.out.asked.size() == 1);
  auto ended = seen_running("u1");
  ended.containers[0].state = model::RunState::kExited;
  bench.answer("stop container", ended);
  ended.sandboxes[0].state = model::SandboxState::kNotReady;
  bench.answer("stop sandbox", ended);
  bench.answer("unmount");
  bench.answer("detach");
  bench.answer("remove the pod's cgroup");
  ended.containers.clear();
  bench.answer("remove container", ended);
  bench.answer("remove sandbox", model::ObservedPod{PodUid("u1"), {}, {}});
  bench.answer("remove the pod's logs");
  CHECK(bench.loop.size() == 1);
  CHECK(bench.out.waiting() == std::vector<std::string>{"u1: make the pod's cgroup"});
}

TEST_CASE("A removal that was not begun is taken back") {
  Bench bench;
  bench.read_nothing();
  const auto pod = make_pod("u1");
  bench.start_fully(pod);
  auto down = std::make_shared<lifecycle::NodeFacts>(*ready_node());
  down->runtime_ready = false;
  bench.loop.set_node(down, bench.now);
  bench.loop.remove_pod(PodUid("u1"), bench.now);
  bench.loop.set_pod(pod, "file", bench.now);
  bench.loop.set_node(ready_node(), bench.now);
  CHECK(bench.out.asked.empty());  // it runs on
}

TEST_CASE("Static pods of one name start one after another") {
  Bench bench;
  bench.read_nothing();
  bench.loop.set_pod(make_pod("old"), "file", bench.now);
  REQUIRE(bench.out.waits_for("old: make the pod's cgroup"));
  bench.loop.set_pod(make_pod("new"), "file", bench.now);
  bench.loop.remove_pod(PodUid("old"), bench.now);
  CHECK_FALSE(bench.out.waits_for("new:"));
  CHECK(bench.loop.find(PodUid("new"))->explanation == "waiting for the end of the earlier pod of this name");
  bench.answer("old: make the pod's cgroup", std::nullopt, Error{Code::kCancelled, 0, "given up"});
  bench.answer("old: unmount");
  bench.answer("old: detach");
  CHECK_FALSE(bench.out.waits_for("new:"));
  bench.answer("old: remove the pod's cgroup");
  bench.answer("old: remove the pod's logs");
  CHECK(bench.out.waiting() == std::vector<std::string>{"new: make the pod's cgroup"});
}

TEST_CASE("What no source names is released once all sources are ready, and only if it is ours") {
  Bench bench;
  auto ours = seen_running("mine", "ct-mine");
  ours.sandboxes[0].annotations[std::string(kOwnerAnnotation)] = "me";
  auto foreign = seen_running("theirs", "ct-theirs");
  foreign.sandboxes[0].annotations[std::string(kOwnerAnnotation)] = "another agent";
  const auto unmarked = seen_running("unmarked", "ct-unmarked");
  const auto look = [&] { bench.loop.observe_all({ours, foreign, unmarked}, {PodUid("pins-only")}, bench.reads.mark(), bench.now); };
  look();
  CHECK(bench.out.asked.empty());
  bench.loop.set_sources_ready(bench.now);
  CHECK(bench.out.waits_for("mine: stop container 'main' (grace 1s)"));
  CHECK(bench.out.waits_for("pins-only: unmount volumes"));
  CHECK_FALSE(bench.out.waits_for("theirs"));
  CHECK_FALSE(bench.out.waits_for("unmarked"));
  CHECK(bench.out.statuses.empty());  // nobody is told (row 4.12)
  bench.answer("pins-only: unmount");
  bench.answer("pins-only: detach");
  bench.answer("pins-only: remove the pod's cgroup");
  bench.answer("pins-only: remove the pod's logs");
  CHECK_FALSE(bench.loop.find(PodUid("pins-only")));
}

TEST_CASE("A sandbox that comes when its pod has been released is released too, marked or not; one of a pod never known is left") {
  Bench bench;
  bench.read_nothing();
  bench.loop.set_sources_ready(bench.now);
  bench.loop.set_pod(make_pod("u1"), "api", bench.now);
  bench.loop.remove_pod(PodUid("u1"), bench.now);
  bench.answer("make the pod's cgroup", std::nullopt, Error{Code::kCancelled, 0, "given up"});
  for (const char* step : {"unmount", "detach", "remove the pod's cgroup", "remove the pod's logs"}) bench.answer(step);
  REQUIRE(bench.loop.size() == 0);
  bench.loop.observe_all({seen_running("u1", "ct-late"), seen_running("other", "ct-other")}, {}, bench.reads.mark(), bench.now);
  CHECK(bench.out.waits_for("u1: stop container 'main' (grace 1s)"));
  CHECK_FALSE(bench.out.waits_for("other"));
  CHECK(bench.loop.size() == 1);
}

TEST_CASE("An older list does not bring back a pod that has been released") {
  Bench bench;
  bench.read_nothing();
  bench.loop.set_sources_ready(bench.now);
  const auto pod = make_pod("u1");
  bench.loop.set_pod(pod, "api", bench.now);
  const ReadMark early = bench.reads.mark();  // a list begins while the pod's cgroup exists
  bench.loop.remove_pod(PodUid("u1"), bench.now);
  bench.answer("make the pod's cgroup", std::nullopt, Error{Code::kCancelled, 0, "given up"});
  bench.answer("unmount");
  bench.answer("detach");
  bench.answer("remove the pod's cgroup");
  CHECK(bench.loop.size() == 1);
  bench.answer("remove the pod's logs");
  REQUIRE(bench.loop.size() == 0);
  bench.loop.observe_all({}, {PodUid("u1")}, early, bench.now);
  CHECK(bench.loop.size() == 0);
  bench.loop.observe_all({}, {PodUid("u1")}, bench.reads.mark(), bench.now);
  CHECK(bench.loop.size() == 1);  // now it is really left over
}

TEST_CASE("A list that tells nothing new leads to nothing") {
  Bench bench;
  bench.read_nothing();
  bench.start_fully(make_pod("u1"));
  auto listed = seen_running("u1");  // lists carry neither addresses nor times
  listed.sandboxes[0].ips.clear();
  listed.containers[0].detailed = false;
  listed.containers[0].started_at = kNoTime;
  const size_t told = bench.out.statuses.size();
  bench.loop.observe_all({listed}, {}, bench.reads.mark(), bench.now);
  CHECK(bench.out.asked.empty());
  CHECK(bench.out.statuses.size() == told);
  // An exit that only the list shows leads to a full read.
  listed.containers[0].state = model::RunState::kExited;
  bench.loop.observe_all({listed}, {}, bench.reads.mark(), bench.now);
  CHECK(bench.out.waiting() == std::vector<std::string>{"u1: read the pod back from the runtime"});
}

TEST_CASE("While the runtime is down nothing is asked of it, and afterwards it goes on") {
  Bench bench;
  bench.read_nothing();
  auto down = std::make_shared<lifecycle::NodeFacts>(*ready_node());
  down->runtime_ready = false;
  bench.loop.set_node(down, bench.now);
  bench.loop.set_pod(make_pod("u1"), "api", bench.now);
  CHECK(bench.out.asked.empty());
  CHECK(bench.loop.find(PodUid("u1"))->explanation.find("runtime is down") != std::string::npos);
  bench.loop.set_node(ready_node(), bench.now);
  CHECK(bench.out.waits_for("make the pod's cgroup"));
}

TEST_CASE("A duplicate or late reply is ignored") {
  Bench bench;
  bench.read_nothing();
  bench.loop.set_pod(make_pod("u1"), "api", bench.now);
  const auto ticket = bench.out.asked.front().ticket;
  bench.answer("make the pod's cgroup");
  const auto waiting = bench.out.waiting();
  ActionReply late;
  late.outcome.error = Error{Code::kInternal, 0, "late"};
  bench.loop.action_done(PodUid("u1"), ticket, late, bench.now);
  bench.loop.action_done(PodUid("nobody"), ticket, late, bench.now);
  CHECK(bench.out.waiting() == waiting);
}

TEST_CASE("Mirror pods are handed on, never run") {
  Bench bench;
  bench.read_nothing();
  auto mirror = std::make_shared<model::Pod>(*make_pod("m1"));
  mirror->metadata.annotations["kubernetes.io/config.mirror"] = "hash";
  bench.loop.set_pod(mirror, "api", bench.now);
  bench.loop.remove_pod(PodUid("m1"), bench.now);
  CHECK(bench.loop.size() == 0);
  CHECK(bench.out.told_mirrors == std::vector<std::string>{"mirror m1", "gone m1"});
}

TEST_CASE("Static pods are told to who keeps their mirrors as soon as they are known, those of the API are not") {
  Bench bench;  // the runtime has not answered yet
  bench.loop.set_pod(make_pod("s1"), "file", bench.now);
  bench.loop.set_pod(make_pod("a1", "other"), "api", bench.now);
  bench.loop.set_sources_ready(bench.now);
  CHECK(bench.out.told_mirrors == std::vector<std::string>{"static s1", "ready"});
  auto anew = std::make_shared<model::Pod>(*make_pod("s1"));
  anew->metadata.labels["version"] = "2";
  bench.loop.set_pod(anew, "file", bench.now);
  bench.loop.set_pod(anew, "file", bench.now);
  CHECK(bench.out.told_mirrors.size() == 3);
}

TEST_CASE("A manifest that calls itself a mirror is a static pod all the same") {
  Bench bench;
  bench.read_nothing();
  auto pod = std::make_shared<model::Pod>(*make_pod("s1"));
  pod->metadata.annotations["kubernetes.io/config.mirror"] = "x";
  bench.loop.set_pod(pod, "file", bench.now);
  CHECK(bench.loop.size() == 1);
}
