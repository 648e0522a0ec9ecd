// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <atomic>
#include <future>

#include "fake_node_api.h"
#include "node/lease_keeper.h"
#include "node/node_agent.h"

using namespace pintle;
using namespace pintle::node;
using std::chrono::milliseconds;

namespace {

const SystemClock kClock;

MachineInfo machine() {
  MachineInfo out;
  out.cpus = 1;
  out.memory_bytes = uint64_t{1} << 30;
  out.storage_bytes = uint64_t{1} << 30;
  return out;
}
NodeFacts facts_of(bool ready) {
  NodeFacts out;
  out.runtime_answers = true;
  out.runtime.runtime_ready.ok = true;
  out.runtime.network_ready.ok = ready;
  return out;
}
auto calls_of(FakeNodeApi& api, const char* name) { return std::ranges::count(api.calls, name); }

// The period is an hour: whatever is sent was sent for a reason.
struct Rig {
  FakeNodeApi api;
  std::atomic<bool> ready{true};
  NodeSettings settings{.name = "n1"};
  NodeAgent agent{api,
                  nullptr,
                  kClock,
                  settings,
                  machine(),
                  [this] { return facts_of(ready); },
                  {.registration = {milliseconds(1), milliseconds(5)}, .period = std::chrono::hours(1), .first_period = milliseconds(1)}};
};

}  // namespace

TEST_CASE("when a status is worth a request") {
  const SteadyTime start{std::chrono::hours(1)};
  NodeSettings settings{.name = "n1"};
  const auto good = status_of(settings, machine(), facts_of(true), {}, kNoTime);
  const auto bad = status_of(settings, machine(), facts_of(false), good, kNoTime);
  StatusPacer pacer;
  CHECK(pacer.should_send(good, good, start));  // the first one
  pacer.sent(start);
  CHECK_FALSE(pacer.should_send(good, good, start + std::chrono::seconds(299)));
  CHECK(pacer.should_send(good, bad, start + std::chrono::seconds(1)));
  CHECK(pacer.should_send(good, good, start + std::chrono::seconds(300)));
}

TEST_CASE("a node is registered through all failures") {
  Rig rig;
  rig.api.fail_next(Code::kUnavailable, 5);
  rig.agent.start();
  CHECK(rig.api.wait([](auto& api) { return api.node.has_value(); }));
  CHECK(rig.api.wait([](auto& api) { return calls_of(api, "patch status") == 1; }));
  rig.agent.stop();
  CHECK(calls_of(rig.api, "create node") == 6);
  CHECK(rig.agent.snapshot()->metadata.uid == "node-uid");
  CHECK(rig.agent.last_error().empty());
}

TEST_CASE("facts whose reading a stop cuts short are not the node's") {
  FakeNodeApi api;
  std::atomic<bool> stopping{false};
  std::promise<void> reading, cut_short;
  NodeAgent agent{api,
                  nullptr,
                  kClock,
                  {.name = "n1"},
                  machine(),
                  [&] {
                    if (!stopping) return facts_of(true);
                    reading.set_value();
                    cut_short.get_future().wait();
                    return NodeFacts{};
                  },
                  {.period = std::chrono::hours(1)}};
  agent.start();
  REQUIRE(api.wait([](auto& seen) { return calls_of(seen, "patch status") == 1; }));
  stopping = true;
  agent.kick();
  reading.get_future().wait();
  agent.request_stop();
  cut_short.set_value();
  agent.stop();
  CHECK(calls_of(api, "patch status") == 1);
}

TEST_CASE("a node that exists is brought up to date") {
  Rig rig;
  rig.api.node = model::Node{};
  rig.api.node->metadata.name = "n1";
  rig.api.node->metadata.labels["theirs"] = "x";
  rig.agent.start();
  CHECK(rig.api.wait([](auto& api) { return calls_of(api, "patch status") == 1; }));
  rig.agent.stop();
  CHECK(rig.api.node->metadata.labels.at("kubernetes.io/hostname") == "n1");
  CHECK(rig.api.node->metadata.labels.at("theirs") == "x");
}

TEST_CASE("readiness that changes is sent at once, what does not change is not") {
  Rig rig;
  rig.agent.start();
  REQUIRE(rig.api.wait([](auto& api) { return calls_of(api, "patch status") == 1; }));
  rig.ready = false;
  rig.agent.kick();
  REQUIRE(rig.api.wait([](auto& api) { return calls_of(api, "patch status") == 2 && !is_ready(api.node->status); }));
  rig.agent.kick();
  rig.ready = true;
  rig.agent.kick();
  CHECK(rig.api.wait([](auto& api) { return is_ready(api.node->status); }));
  rig.agent.stop();
  CHECK(calls_of(rig.api, "patch status") == 3);
}

TEST_CASE("a node that someone deleted is registered again") {
  Rig rig;
  rig.agent.start();
  REQUIRE(rig.api.wait([](auto& api) { return calls_of(api, "patch status") == 1; }));
  rig.api.look<int>([](auto& api) { return api.node.reset(), 0; });
  rig.ready = false;
  rig.agent.kick();
  // The new object carries the status; there is nothing left to patch.
  CHECK(rig.api.wait([](auto& api) { return api.node && calls_of(api, "create node") == 2 && !is_ready(api.node->status); }));
  rig.agent.stop();
  CHECK(calls_of(rig.api, "patch status") == 2);
}

TEST_CASE("the lease to send") {
  const LeaseSettings settings{.node_name = "n1"};
  const Time now{std::chrono::seconds(100)};
  const auto first = next_lease(settings, std::nullopt, "uid", now);
  CHECK(first.metadata.name == "n1");
  CHECK(first.metadata.namespace_ == "kube-node-lease");
  CHECK(first.holder_identity == "n1");
  CHECK(first.duration_seconds == 40);
  CHECK(first.renew_time == now);
  REQUIRE(first.metadata.owner_references.size() == 1);
  CHECK(first.metadata.owner_references[0].uid == "uid");
  auto held = first;
  held.metadata.resource_version = "7";
  const auto second = next_lease(settings, held, "uid", now + std::chrono::seconds(10));
  CHECK(second.metadata.resource_version == "7");
  CHECK(second.metadata.owner_references.size() == 1);
  CHECK(next_lease(settings, std::nullopt, "", now).metadata.owner_references.empty());
}

TEST_CASE("a lease is made, renewed without reading, and re-read after a conflict") {
  FakeNodeApi api;
  LeaseKeeper keeper(api, kClock, {.node_name = "n1", .period = milliseconds(2), .backoff = {milliseconds(1), milliseconds(5)}},
                     [] { return "uid"; });
  keeper.start();
  REQUIRE(api.wait([](auto& a) { return calls_of(a, "update lease") >= 3; }));
  CHECK(api.look<long>([](auto& a) { return calls_of(a, "get lease"); }) == 1);
  CHECK(api.look<long>([](auto& a) { return calls_of(a, "create lease"); }) == 1);
  api.look<int>([](auto& a) { return a.lease->metadata.resource_version = "someone else's", 0; });
  const auto before = api.look<long>([](auto& a) { return calls_of(a, "update lease"); });
  REQUIRE(api.wait([&](auto& a) { return calls_of(a, "get lease") == 2 && calls_of(a, "update lease") >= before + 3; }));
  api.look<int>([](auto& a) { return a.lease.reset(), 0; });
  REQUIRE(api.wait([](auto& a) { return calls_of(a, "create lease") == 2 && a.lease; }));
  const auto renewed = keeper.last_renewal();
  REQUIRE(renewed);
  api.fail_next(Code::kUnavailable, 4);
  const auto tried = api.look<long>([](auto& a) { return calls_of(a, "update lease"); });
  REQUIRE(api.wait([&](auto& a) { return calls_of(a, "update lease") >= tried + 6; }));
  keeper.stop();
  CHECK(keeper.last_renewal() > renewed);
  CHECK(keeper.last_error().empty());
}

TEST_CASE("a keeper that waits stops at once") {
  FakeNodeApi api;
  LeaseKeeper keeper(api, kClock, {.node_name = "n1", .period = std::chrono::hours(1)}, [] { return ""; });
  keeper.start();
  REQUIRE(api.wait([](auto& a) { return a.lease.has_value(); }));
  const auto begun = kClock.steady();
  keeper.stop();
  CHECK(kClock.steady() - begun < std::chrono::seconds(5));
}
