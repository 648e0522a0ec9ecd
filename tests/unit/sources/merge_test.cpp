// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include <catch2/catch_test_macros.hpp>

#include "sources/annotations.h"
#include "sources/merge.h"

using namespace pintle;
using namespace pintle::sources;
using ports::PodGone;
using ports::PodProblem;
using ports::PodPtr;
using ports::PodSet;
using ports::PodUpsert;

namespace {

const Time kNow{std::chrono::seconds(1'800'000'000)};

model::Pod pod(const std::string& uid) {
  model::Pod out;
  out.metadata.uid = uid;
  out.metadata.name = "pod-" + uid;
  return out;
}
PodPtr share(model::Pod value) { return std::make_shared<const model::Pod>(std::move(value)); }
PodSet set_of(std::initializer_list<const char*> uids) {
  PodSet out;
  for (const char* uid : uids) out.pods.push_back(share(pod(uid)));
  return out;
}
std::vector<std::string> uids(const std::vector<PodPtr>& pods) {
  std::vector<std::string> out;
  for (const auto& one : pods) out.push_back(one->metadata.uid);
  return out;
}
using Uids = std::vector<std::string>;

std::vector<PodUid> uids_of(const std::vector<PodGone>& gone) {
  std::vector<PodUid> out;
  for (const auto& one : gone) out.push_back(one.uid);
  return out;
}

}  // namespace

TEST_CASE("a set adds what is new and removes what is not named") {
  MergeState state({"api"});
  CHECK(uids(state.apply("api", set_of({"b", "a"}), kNow).added) == Uids{"a", "b"});
  const auto next = state.apply("api", set_of({"b", "c"}), kNow);
  CHECK(uids_of(next.removed) == std::vector{PodUid("a")});
  CHECK(uids(next.added) == Uids{"c"});
  CHECK(next.updated.empty());
  CHECK(next.status_only.empty());
  CHECK(state.apply("api", set_of({"b", "c"}), kNow).empty());
}

TEST_CASE("a pod that is there and could not be read stays as it was") {
  MergeState state({"api"});
  (void)state.apply("api", set_of({"a", "b"}), kNow);
  PodSet set = set_of({"b"});
  set.unread = {PodUid("a"), PodUid("stranger")};
  CHECK(state.apply("api", set, kNow).empty());
  CHECK(uids_of(state.apply("api", set_of({"b"}), kNow).removed) == std::vector{PodUid("a")});
}

TEST_CASE("a pod told again without news is the same object to everybody") {
  MergeState state({"api"});
  const auto first = state.apply("api", set_of({"a"}), kNow).added.at(0);
  CHECK(state.apply("api", set_of({"a"}), kNow).empty());
  model::Pod newer = pod("a");
  newer.status.phase = model::Phase::kRunning;
  (void)state.apply("api", PodUpsert{share(newer)}, kNow);
  CHECK(first.use_count() == 1);  // nobody keeps the older state
}

TEST_CASE("sources keep their pods apart") {
  MergeState state({"api", "file"});
  (void)state.apply("api", set_of({"a"}), kNow);
  const auto file = state.apply("file", set_of({"f"}), kNow);
  CHECK(file.removed.empty());
  CHECK(uids_of(state.apply("api", set_of({}), kNow).removed) == std::vector{PodUid("a")});
}

TEST_CASE("nobody is ready before all have spoken, and problems do not count as speech") {
  MergeState state({"api", "file"});
  CHECK_FALSE(state.apply("api", PodProblem{"api", "no connection"}, kNow).all_sources_ready);
  CHECK_FALSE(state.apply("api", PodUpsert{share(pod("a"))}, kNow).all_sources_ready);
  CHECK_FALSE(state.apply("file", set_of({}), kNow).all_sources_ready);
  CHECK(state.apply("api", set_of({"a"}), kNow).all_sources_ready);
}

TEST_CASE("changes are told apart by what they mean") {
  enum class Kind { kNothing, kUpdated, kDeleting, kStatus };
  struct Row {
    const char* what;
    void (*change)(model::Pod&);
    Kind kind;
  };
  const Row rows[] = {
      {"nothing", [](model::Pod&) {}, Kind::kNothing},
      {"spec", [](model::Pod& p) { p.spec.hostname = "h"; }, Kind::kUpdated},
      {"labels", [](model::Pod& p) { p.metadata.labels["a"] = "b"; }, Kind::kUpdated},
      {"annotations", [](model::Pod& p) { p.metadata.annotations["a"] = "b"; }, Kind::kUpdated},
      {"mirror annotation", [](model::Pod& p) { p.metadata.annotations["kubernetes.io/config.mirror"] = "x"; }, Kind::kStatus},
      {"hash annotation", [](model::Pod& p) { p.metadata.annotations["kubernetes.io/config.hash"] = "x"; }, Kind::kUpdated},
      {"deletion", [](model::Pod& p) { p.metadata.deletion_timestamp = kNow; }, Kind::kDeleting},
      {"grace", [](model::Pod& p) { p.metadata.deletion_grace_period_seconds = 3; }, Kind::kUpdated},
      {"status", [](model::Pod& p) { p.status.phase = model::Phase::kRunning; }, Kind::kStatus},
      {"version", [](model::Pod& p) { p.metadata.resource_version = "9"; }, Kind::kStatus},
  };
  for (const auto& row : rows) {
    CAPTURE(row.what);
    MergeState state({"api"});
    (void)state.apply("api", set_of({"a"}), kNow);
    model::Pod changed = pod("a");
    row.change(changed);
    const auto out = state.apply("api", PodUpsert{share(changed)}, kNow + std::chrono::seconds(5));
    CHECK(out.updated.size() == (row.kind == Kind::kUpdated ? 1 : 0));
    CHECK(out.deleting.size() == (row.kind == Kind::kDeleting ? 1 : 0));
    CHECK(out.status_only.size() == (row.kind == Kind::kStatus ? 1 : 0));
    CHECK(out.added.empty());
  }
}

TEST_CASE("a deleting pod that changes again is an update") {
  MergeState state({"api"});
  model::Pod dying = pod("a");
  dying.metadata.deletion_timestamp = kNow;
  (void)state.apply("api", PodUpsert{share(dying)}, kNow);
  dying.metadata.deletion_grace_period_seconds = 0;
  CHECK(state.apply("api", PodUpsert{share(dying)}, kNow).updated.size() == 1);
}

TEST_CASE("going is told once, and of strangers not at all") {
  MergeState state({"api"});
  (void)state.apply("api", set_of({"a"}), kNow);
  const auto removed = state.apply("api", PodGone{PodUid("a"), "00-x"}, kNow).removed;
  REQUIRE(removed.size() == 1);
  CHECK(removed[0].uid == PodUid("a"));
  CHECK(removed[0].traceparent == "00-x");
  CHECK(state.apply("api", PodGone{PodUid("a")}, kNow).empty());
}

TEST_CASE("pods carry their source and when they were first seen") {
  MergeState state({"api"});
  const auto first = state.apply("api", PodUpsert{share(pod("a"))}, kNow).added.at(0);
  CHECK(first->metadata.annotations.at(std::string(kConfigSource)) == "api");
  CHECK(first->metadata.annotations.at(std::string(kConfigSeen)) == format_rfc3339_nano(kNow));
  model::Pod newer = pod("a");
  newer.metadata.labels["x"] = "y";
  const auto second = state.apply("api", PodUpsert{share(newer)}, kNow + std::chrono::hours(1)).updated.at(0);
  CHECK(second->metadata.annotations.at(std::string(kConfigSeen)) == format_rfc3339_nano(kNow));
}

TEST_CASE("the consumer hears of changes, of readiness, and of nothing else") {
  const SystemClock clock;
  std::vector<PodChanges> heard;
  Merge merge(clock, {"api", "file"}, [&](PodChanges changes) { heard.push_back(std::move(changes)); });
  merge.deliver("file", PodSet{});
  CHECK(heard.empty());
  merge.deliver("api", PodSet{});
  REQUIRE(heard.size() == 1);
  CHECK(heard[0].all_sources_ready);
  CHECK(merge.all_sources_ready());
  merge.deliver("api", PodSet{});
  CHECK(heard.size() == 1);
  merge.deliver("api", PodProblem{"api:ns/a", "bad"});
  CHECK(heard.at(1).problems.at(0).error == "bad");
}
