// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// G16: how soon a dead link is suspected, and what is not.
#include <algorithm>
#include <mutex>
#include <semaphore>

#include <unistd.h>

#include <catch2/catch_test_macros.hpp>

#include "bpf/pod_links.h"
#include "kernel_fixture.h"

using namespace pintle;
using namespace pintle::kernel_test;

namespace {

class Suspicions {
 public:
  void add(const PodUid& uid) {
    {
      const std::lock_guard lock(mutex_);
      last_ = uid.value();
    }
    heard_.release();
  }
  // Empty: none within two seconds.
  std::string wait() {
    if (!heard_.try_acquire_for(std::chrono::seconds(2))) return {};
    const std::lock_guard lock(mutex_);
    return last_;
  }
  bool none() { return !heard_.try_acquire_for(std::chrono::milliseconds(100)); }

 private:
  std::mutex mutex_;
  std::string last_;
  std::counting_semaphore<64> heard_{0};
};

}  // namespace

TEST_CASE("G16: a cgroup made anew and a pin that vanishes are suspected at once; what the attacher does itself is not") {
  Node node("t_suspect");
  const PodDir pod("kubepods/podsuspect");
  auto& attacher = node.start();
  Suspicions suspicions;
  attacher.on_event([](const auto&) {});
  attacher.on_suspicion([&](const PodUid& uid) { suspicions.add(uid); });
  const ports::PodIdentity identity{PodUid("suspect"), "default", "suspect"};
  REQUIRE(attacher.attach(identity, pod.handle(), kEveryHook)->effective());
  REQUIRE(attacher.attach(identity, pod.handle(), {.hooks = {model::Hook::kIngress, model::Hook::kEgress}}));
  CHECK(suspicions.none());

  SECTION("an unlinked pin") {
    REQUIRE(::unlink(bpf::hook_pin(attacher.layout().pod(identity.uid), model::Hook::kEgress).c_str()) == 0);
    CHECK(suspicions.wait() == "suspect");
    CHECK_FALSE(attacher.inspect(identity.uid)->effective());
    REQUIRE(attacher.attach(identity, pod.handle(), kEveryHook)->effective());
    CHECK(suspicions.none());
  }
  SECTION("a cgroup made anew") {
    require_tracepoints(attacher);
    pod.remove();
    pod.make();
    CHECK(suspicions.wait() == "suspect");
    CHECK_FALSE(attacher.inspect(identity.uid)->effective());
  }
  SECTION("a pod that ends") {
    pod.remove();
    CHECK(suspicions.none());
    pod.make();
  }
  REQUIRE(attacher.detach(identity.uid));
  attacher.on_suspicion(nullptr);
  attacher.on_event(nullptr);
}
