// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "sources/remembered_pods.h"

#include <map>
#include <set>

#include <catch2/catch_test_macros.hpp>

#include "fakes/store/fake_state_store.h"

using namespace pintle;
using namespace pintle::sources;

namespace {

// A source that says what it is told to.
struct Script final : ports::PodSource {
  explicit Script(ports::PodSink*& out) : sink(out) {}
  ports::PodSink*& sink;
  std::string name() const override { return "api"; }
  Status start(ports::PodSink& to) override {
    sink = &to;
    return {};
  }
  void stop() override {}
};

struct Seen final : ports::PodSink {
  std::map<std::string, std::string> pods;  // uid -> name
  std::map<std::string, std::string> problems;
  int sets = 0;
  void deliver(const std::string& source, ports::PodChange change) override {
    CHECK(source == "api");
    if (const auto* set = std::get_if<ports::PodSet>(&change)) {
      ++sets;
      pods.clear();
      for (const auto& pod : set->pods) pods[pod->metadata.uid] = pod->metadata.name;
    } else if (const auto* one = std::get_if<ports::PodUpsert>(&change)) {
      pods[one->pod->metadata.uid] = one->pod->metadata.name;
    } else if (const auto* gone = std::get_if<ports::PodGone>(&change)) {
      pods.erase(gone->uid.value());
    } else {
      const auto& problem = std::get<ports::PodProblem>(change);
      problems[problem.origin] = problem.error;
    }
  }
};

ports::PodPtr pod(const std::string& uid, const std::string& name) {
  auto made = std::make_shared<model::Pod>();
  made->metadata.uid = uid;
  made->metadata.name = name;
  made->spec.node_name = "n1";
  made->spec.containers.push_back({});
  made->spec.containers.front().name = "c";
  made->spec.containers.front().image = "busybox:1";
  made->status.phase = model::Phase::kRunning;
  return made;
}

// One life of the agent.
struct Life {
  ports::PodSink* source = nullptr;
  Seen seen;
  RememberedPods pods;
  explicit Life(ports::StateStore& store) : pods(std::make_unique<Script>(source), store) { REQUIRE(pods.start(seen)); }
  void say(ports::PodChange change) { source->deliver("api", std::move(change)); }
};
using Pods = std::map<std::string, std::string>;

}  // namespace

TEST_CASE("pods that a source told are told again when the next life begins without the API, and no set is made of them") {
  fakes::FakeStateStore store;
  {
    Life first(store);
    first.say(ports::PodSet{{pod("u1", "one"), pod("u2", "two"), pod("u3", "three")}, {}});
    first.say(ports::PodUpsert{pod("u4", "four")});
    first.say(ports::PodGone{PodUid("u2")});
    CHECK(first.seen.pods == Pods{{"u1", "one"}, {"u3", "three"}, {"u4", "four"}});
  }
  Life second(store);
  CHECK(second.seen.pods.empty());
  second.say(ports::PodProblem{"api", "connection refused"});
  second.say(ports::PodProblem{"api", "connection refused again"});
  CHECK(second.seen.pods == Pods{{"u1", "one"}, {"u3", "three"}, {"u4", "four"}});
  CHECK(second.seen.sets == 0);
  CHECK(second.seen.problems.at("api") == "connection refused again");
  second.say(ports::PodSet{{pod("u1", "one")}, {PodUid("u3")}});  // u3 could not be read, and is there
  CHECK(second.seen.sets == 1);
  Life third(store);
  third.say(ports::PodProblem{"api", "connection refused"});
  CHECK(third.seen.pods == Pods{{"u1", "one"}, {"u3", "three"}});
}

TEST_CASE("nothing is told again once the API has answered, nor for a single pod's trouble") {
  fakes::FakeStateStore store;
  REQUIRE(store.put("pod", "old", "{}"));
  Life life(store);
  life.say(ports::PodProblem{"api:default/bad", "spec.containers: expected a list"});
  CHECK(life.seen.pods.empty());
  life.say(ports::PodSet{{}, {}});
  life.say(ports::PodProblem{"api", "connection refused"});
  CHECK(life.seen.pods.empty());
  CHECK(store.list("pod")->empty());
}

TEST_CASE("a record that can't be read is told, and the others are taken") {
  fakes::FakeStateStore store;
  {
    Life first(store);
    first.say(ports::PodSet{{pod("u1", "one")}, {}});
  }
  REQUIRE(store.put("pod", "broken", "{"));
  Life second(store);
  second.say(ports::PodProblem{"api", "connection refused"});
  CHECK(second.seen.pods == Pods{{"u1", "one"}});
}
