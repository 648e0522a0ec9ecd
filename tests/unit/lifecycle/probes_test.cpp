// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include <catch2/catch_test_macros.hpp>

#include "unit/lifecycle/rig.h"

using namespace pintle;
using namespace pintle::lifecycle;
using namespace pintle::lifecycle::test;

namespace {

model::Probe every(int period, int failures = 3, int successes = 1) {
  model::Probe probe;
  probe.action = model::TcpSocketAction{"", int64_t{80}};
  probe.period_seconds = period;
  probe.failure_threshold = failures;
  probe.success_threshold = successes;
  return probe;
}

// Probes that are asked for at this moment, as "liveness/web".
std::vector<ProbeKind> asked(Rig& rig) {
  std::vector<ProbeKind> kinds;
  rig.settle();
  for (const auto& run : rig.last.probes) kinds.push_back(run.kind);
  return kinds;
}

// Lets time go to the next wake-up and answers what is asked with `result`.
void answer_next(Rig& rig, ProbeKind kind, ProbeResult result) {
  for (int i = 0; i < 20; ++i) {
    for (const auto& run : rig.last.probes)
      if (run.kind == kind) {
        rig.probe(run.container, kind, result);
        rig.settle();
        return;
      }
    REQUIRE(rig.last.wake_at);
    rig.now = std::max(rig.now, *rig.last.wake_at);
    rig.decide();
    if (!rig.running.empty()) return;
  }
  FAIL("the probe was never asked for");
}

}  // namespace

TEST_CASE("rows 12.3 and 34.7: without a result a container is not ready, and is alive") {
  auto c = container("web");
  c.readiness_probe = c.liveness_probe = every(10);
  Rig rig(pod({c}));
  CHECK(asked(rig) == std::vector<ProbeKind>{ProbeKind::kLiveness, ProbeKind::kReadiness});
  CHECK_FALSE(rig.shown("web").ready);
  CHECK(rig.shown("web").started == true);
  CHECK(rig.find("web")->state == model::RunState::kRunning);
  rig.probe("web", ProbeKind::kReadiness, ProbeResult::kSuccess);
  rig.settle();
  CHECK(rig.shown("web").ready);
  CHECK(rig.condition("Ready").status == model::ConditionStatus::kTrue);
}

TEST_CASE("rows 12.4 and 12.5: at once after the initial delay, then each period") {
  auto c = container("web");
  c.readiness_probe = every(10);
  c.readiness_probe->initial_delay_seconds = 7;
  Rig rig(pod({c}));
  CHECK(asked(rig).empty());
  CHECK(rig.last.wake_at == kStart + 7s);
  rig.now = kStart + 7s;
  CHECK(asked(rig).size() == 1);
  CHECK(asked(rig).empty());  // one at a time
  rig.probe("web", ProbeKind::kReadiness, ProbeResult::kSuccess);
  CHECK(asked(rig).empty());
  CHECK(rig.last.wake_at == kStart + 17s);
  rig.now = kStart + 60s;  // ticks that were missed are not made up for
  CHECK(asked(rig).size() == 1);
  rig.probe("web", ProbeKind::kReadiness, ProbeResult::kSuccess);
  CHECK(asked(rig).empty());
  CHECK(rig.last.wake_at == kStart + 70s);
}

TEST_CASE("row 12.7: thresholds count results in a row") {
  struct Row {
    const char* results;  // s, f, e
    bool ready;
  };
  for (const Row& row : {Row{"s", false}, Row{"ss", true}, Row{"sfs", false}, Row{"ssf", true}, Row{"ssff", true}, Row{"ssfff", false},
                         Row{"ssffsff", true}, Row{"ssee", true}, Row{"ssfffs", false}, Row{"ssfffss", true}}) {
    CAPTURE(row.results);
    auto c = container("web");
    c.readiness_probe = every(1, 3, 2);
    Rig rig(pod({c}));
    rig.settle();
    for (const char* r = row.results; *r != 0; ++r)
      answer_next(rig, ProbeKind::kReadiness, *r == 's' ? ProbeResult::kSuccess : *r == 'f' ? ProbeResult::kFailure : ProbeResult::kError);
    CHECK(rig.shown("web").ready == row.ready);
  }
}

TEST_CASE("rows 12.7, 11.8, 12.16: a failed liveness probe restarts the container with the probe's grace") {
  auto c = container("web");
  c.liveness_probe = every(1, 2);
  c.liveness_probe->termination_grace_period_seconds = 4;
  Rig rig(pod({c}));
  rig.settle();
  answer_next(rig, ProbeKind::kLiveness, ProbeResult::kFailure);
  CHECK(rig.count("stop container") == 0);
  CHECK(rig.was_told("Warning Unhealthy: Liveness probe failed: said no"));
  answer_next(rig, ProbeKind::kLiveness, ProbeResult::kFailure);
  CHECK(rig.count("stop container 'web' (grace 4s)") == 1);
  CHECK(rig.was_told("Normal Killing: Container web failed liveness probe, will be restarted"));
  CHECK(rig.shown("web").restart_count == 1);
  CHECK(rig.find("web")->state == model::RunState::kRunning);
  answer_next(rig, ProbeKind::kLiveness, ProbeResult::kFailure);  // the new instance has all its chances
  CHECK(rig.count("stop container") == 1);
}

TEST_CASE("row 12.7: with policy Never a failed liveness probe is the end") {
  auto c = container("web");
  c.liveness_probe = every(1, 1);
  auto wanted = pod({c});
  wanted.spec.restart_policy = model::RestartPolicy::kNever;
  Rig rig(wanted);
  rig.settle();
  answer_next(rig, ProbeKind::kLiveness, ProbeResult::kFailure);
  CHECK(rig.status().phase == model::Phase::kFailed);
}

TEST_CASE("row 12.6: until the startup probe succeeds no other runs, and afterwards it runs no more") {
  auto c = container("web");
  c.startup_probe = every(1, 5);
  c.readiness_probe = c.liveness_probe = every(1);
  Rig rig(pod({c}));
  CHECK(asked(rig) == std::vector<ProbeKind>{ProbeKind::kStartup});
  CHECK(rig.shown("web").started == false);
  rig.probe("web", ProbeKind::kStartup, ProbeResult::kFailure);
  rig.advance(1s);
  CHECK(asked(rig) == std::vector<ProbeKind>{ProbeKind::kStartup});
  rig.probe("web", ProbeKind::kStartup, ProbeResult::kSuccess);
  CHECK(asked(rig) == std::vector<ProbeKind>{ProbeKind::kLiveness, ProbeKind::kReadiness});  // row 12.4: at once
  CHECK(rig.shown("web").started == true);
  rig.advance(10s);
  for (const auto kind : asked(rig)) CHECK(kind != ProbeKind::kStartup);
}

TEST_CASE("row 12.7: a startup probe that never succeeds restarts the container") {
  auto c = container("web");
  c.startup_probe = every(1, 3);
  Rig rig(pod({c}));
  rig.settle();
  for (int i = 0; i < 3; ++i) answer_next(rig, ProbeKind::kStartup, ProbeResult::kFailure);
  CHECK(rig.was_told("Normal Killing: Container web failed startup probe, will be restarted"));
  CHECK(rig.count("start container") == 2);
}

TEST_CASE("row 12.8: an attempt that could not be made is repeated at once, three times in all, and changes nothing") {
  auto c = container("web");
  c.readiness_probe = every(10);
  Rig rig(pod({c}));
  rig.settle();
  for (int i = 0; i < 3; ++i) {
    CHECK(rig.last.probes.size() == 1);
    rig.probe("web", ProbeKind::kReadiness, ProbeResult::kError, "no such port");
    rig.settle();
  }
  CHECK(rig.last.probes.empty());
  CHECK(rig.was_told("Warning Unhealthy: Readiness probe errored and resulted in unknown state: no such port"));
  CHECK(rig.last.wake_at == kStart + 10s);
}

TEST_CASE("row 12.3: after a restart of the agent readiness and started are what was published, until results say otherwise") {
  auto c = container("web");
  c.startup_probe = every(5);
  c.readiness_probe = every(10, 2);
  c.liveness_probe = every(10);
  Rig rig(pod({c}));
  rig.settle();
  rig.probe("web", ProbeKind::kStartup, ProbeResult::kSuccess);
  rig.settle();
  rig.probe("web", ProbeKind::kReadiness, ProbeResult::kSuccess);
  rig.settle();
  const auto before = rig.status();
  REQUIRE(rig.shown("web").ready);
  rig.advance(100s);
  rig.restart_agent();
  rig.decide();
  CHECK(rig.status() == before);
  while (!rig.running.empty()) {
    rig.finish();
    rig.decide();
    CHECK(rig.status() == before);
  }
  for (const auto& run : rig.last.probes) CHECK(run.kind != ProbeKind::kStartup);
  answer_next(rig, ProbeKind::kReadiness, ProbeResult::kFailure);
  CHECK(rig.shown("web").ready);
  answer_next(rig, ProbeKind::kReadiness, ProbeResult::kFailure);
  CHECK_FALSE(rig.shown("web").ready);
  // Row 12.4: spread over the first period.
  CHECK(rig.now > kStart + 100s);
}

TEST_CASE("row 12.14: of a pod that is being deleted only readiness is probed, and it counts") {
  auto c = container("web");
  c.readiness_probe = c.liveness_probe = every(1, 1);
  Rig rig(pod({c}));
  rig.settle();
  rig.probe("web", ProbeKind::kReadiness, ProbeResult::kSuccess);
  rig.probe("web", ProbeKind::kLiveness, ProbeResult::kSuccess);
  rig.settle();
  rig.desired.metadata.deletion_timestamp = rig.now;
  rig.desired.metadata.deletion_grace_period_seconds = 30;
  rig.decide();
  CHECK(rig.shown("web").ready);
  rig.advance(1s);
  rig.decide();
  REQUIRE(rig.last.probes.size() == 1);
  CHECK(rig.last.probes[0].kind == ProbeKind::kReadiness);
  rig.probe("web", ProbeKind::kReadiness, ProbeResult::kFailure);
  rig.decide();
  CHECK_FALSE(rig.shown("web").ready);
  rig.settle();
  CHECK(rig.last.probes.empty());
  CHECK_FALSE(rig.last.wake_at);
}

TEST_CASE("a result of an instance that is gone is not listened to") {
  auto c = container("web");
  c.liveness_probe = every(1, 1);
  Rig rig(pod({c}));
  rig.settle();
  const auto old = rig.last.probes.at(0);
  rig.exit("web", 1);
  rig.settle();
  record(rig.memory, ProbeDone{old, ProbeResult::kFailure, "late"}, rig.desired, rig.now);
  rig.settle();
  CHECK(rig.count("stop container") == 0);
}
