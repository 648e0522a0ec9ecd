// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include <catch2/catch_test_macros.hpp>

#include "app/kubelet_pods.h"

using namespace pintle;
using namespace pintle::app;

namespace {

// A source that says what the test has it say.
struct Said final : ports::PodSource {
  std::string name() const override { return "api"; }
  Status start(ports::PodSink& to) override {
    sink = &to;
    return {};
  }
  void stop() override {}
  ports::PodSink* sink = nullptr;
};

struct Heard final : ports::PodSink {
  void deliver(const std::string& source, ports::PodChange change) override {
    CHECK(source == "api");
    if (const auto* set = std::get_if<ports::PodSet>(&change))
      for (const auto& pod : set->pods) told.push_back("=" + pod->metadata.uid);
    if (const auto* upsert = std::get_if<ports::PodUpsert>(&change)) told.push_back("+" + upsert->pod->metadata.uid);
    if (const auto* gone = std::get_if<ports::PodGone>(&change)) told.push_back("-" + gone->uid.value());
    if (const auto* problem = std::get_if<ports::PodProblem>(&change)) told.push_back("!" + problem->error);
  }
  std::vector<std::string> told;
};

ports::PodPtr pod(const std::string& uid, const std::string& hash = {}) {
  auto out = std::make_shared<model::Pod>();
  out->metadata.uid = uid;
  out->metadata.name = "web";
  if (!hash.empty()) out->metadata.annotations = {{"kubernetes.io/config.mirror", hash}, {"kubernetes.io/config.hash", hash}};
  return out;
}

struct Line {
  Line() {
    auto api = std::make_unique<Said>();
    said = api.get();
    pods = std::make_unique<KubeletPods>(std::move(api));
    REQUIRE(pods->start(heard));
  }
  void say(ports::PodChange change) const { said->sink->deliver("api", std::move(change)); }
  Said* said = nullptr;
  Heard heard;
  std::unique_ptr<KubeletPods> pods;
};

}  // namespace

TEST_CASE("rows 2.4, 26.1: a mirror is told by its static pod's hash, which its cgroup bears; other pods by their uid") {
  Line line;
  line.say(ports::PodSet{{pod("u1"), pod("m1", "hash1")}});
  line.say(ports::PodUpsert{pod("u2")});
  line.say(ports::PodUpsert{pod("m1", "hash1")});
  line.say(ports::PodGone{PodUid("u1")});
  line.say(ports::PodGone{PodUid("m1")});
  line.say(ports::PodProblem{"api", "down"});
  CHECK(line.heard.told == std::vector<std::string>{"=u1", "=hash1", "+u2", "+hash1", "-u1", "-hash1", "!down"});
}

TEST_CASE("a mirror that is made anew under another uid before the old one goes is not gone") {
  Line line;
  line.say(ports::PodSet{{pod("m1", "hash1")}});
  line.say(ports::PodUpsert{pod("m2", "hash1")});
  line.say(ports::PodGone{PodUid("m1")});
  line.say(ports::PodGone{PodUid("m2")});
  CHECK(line.heard.told == std::vector<std::string>{"=hash1", "+hash1", "-hash1"});
}
