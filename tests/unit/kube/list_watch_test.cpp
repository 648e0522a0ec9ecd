// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "kube/list_watch.h"

#include <catch2/catch_test_macros.hpp>

#include "base/mutex.h"
#include "fakes/kube/silent_server.h"

using namespace pintle;
using namespace pintle::kube;
using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

const SystemClock kClock;

// When and why nothing came.
class Complaints final : public WatchedKind {
 public:
  void list_begins() override {}
  [[nodiscard]] Result<ListHead> page(const std::string&) override { return ListHead{"1", ""}; }
  void list_ends() override {}
  void changed(std::string_view, bool) override {}
  void trouble(Trouble, const std::string& error) override {
    const MutexLock lock(mu_);
    told_.emplace_back(kClock.steady(), error);
    news_.notify_all();
  }
  // The first `count`; fewer after 10 s.
  [[nodiscard]] std::vector<std::pair<SteadyTime, std::string>> wait(size_t count) {
    MutexLock lock(mu_);
    (void)news_.wait_for(mu_, seconds(10), [&]() PINTLE_REQUIRES(mu_) { return told_.size() >= count; });
    return told_;
  }

 private:
  Mutex mu_;
  ConditionVariable news_;
  std::vector<std::pair<SteadyTime, std::string>> told_ PINTLE_GUARDED_BY(mu_);
};

}  // namespace

TEST_CASE("a server that takes a connection and answers nothing is told soon, and waited for longer each time") {
  const fakes::SilentServer server;
  Complaints told;
  ListWatch watch(
      server.config(), kClock,
      {.name = "watch", .what = "things", .path = "/things", .backoff = {milliseconds(1), milliseconds(1)}, .patience = milliseconds(100)},
      told);
  const SteadyTime begun = kClock.steady();
  REQUIRE(watch.start());
  const auto complaints = told.wait(3);
  watch.stop();
  REQUIRE(complaints.size() >= 3);
  for (const auto& [when, error] : complaints) CHECK(error.find("GET /things?limit=500: read: deadline exceeded") != std::string::npos);
  CHECK(complaints[0].first - begun >= milliseconds(100));
  CHECK(complaints[1].first - complaints[0].first >= milliseconds(200));
  CHECK(complaints[2].first - complaints[1].first >= milliseconds(400));
}
