// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// The plugin against a runtime that misbehaves. What a good one does is in contract/nri.
#include "nri/plugin.h"

#include <sys/stat.h>

#include <filesystem>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "contract/nri/contract.h"
#include "fakes/nri/fake_nri_runtime.h"
#include "fakes/store/temp_dir.h"

using namespace pintle;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;
using fakes::FakeNriRuntime;
using fakes::NriFault;

namespace {

nri::PluginOptions quick(const std::string& socket) { return {.socket = socket, .registration = 5s, .backoff = {1ms, 20ms}}; }

fakes::NriPod pod(const std::string& uid) { return {.uid = uid, .name = uid, .cgroup_parent = "/kubepods/pod" + uid}; }

bool any_detail(const std::vector<nri::PluginState>& states, const std::string& part) {
  return std::ranges::any_of(states, [&](const auto& state) { return state.detail.find(part) != std::string::npos; });
}

}  // namespace

TEST_CASE("a runtime that fails a registration is tried again, and the reason told") {
  struct Row {
    NriFault fault;
    std::string detail;
  };
  const Row rows[] = {
      {NriFault::kRefuseRegistration, "the runtime refused plugin '50-pintle': invalid plugin index"},
      {NriFault::kCloseAtOnce, "NRI: "},  // closed, or reset
      {NriFault::kCloseInFrame, "the runtime closed the connection"},
      {NriFault::kGarbage, "a message of type 9"},
      {NriFault::kHugeFrame, "a frame of 4294967295 bytes"},
  };
  for (const auto& row : rows) {
    INFO(row.detail);
    const fakes::TempDir dir;
    FakeNriRuntime runtime(dir / "nri.sock");
    runtime.add_fault(row.fault);
    runtime.add_fault(row.fault);
    runtime.start();
    contract::NriRig rig(quick(dir / "nri.sock"));
    REQUIRE(runtime.wait_for_plugins(1));
    REQUIRE(rig.wait_connected());
    CHECK(any_detail(rig.states(), row.detail));
    CHECK(rig.plugin().state().detail == "fake v1 tells of pods at '" + (dir / "nri.sock") + "'");
    CHECK(rig.plugin().counts().connections == 1);
    CHECK(rig.plugin().counts().lost == 0);  // it never was
    CHECK(runtime.seen().plugin_name == "pintle");
  }
}

TEST_CASE("a runtime that never ends a registration is given up") {
  for (const auto fault : {NriFault::kSilent, NriFault::kNoSynchronize}) {
    const fakes::TempDir dir;
    FakeNriRuntime runtime(dir / "nri.sock");
    runtime.add_fault(fault);
    runtime.start();
    auto options = quick(dir / "nri.sock");
    options.registration = 50ms;
    contract::NriRig rig(std::move(options));
    // The next one is in time, or the one after.
    REQUIRE(
        rig.wait_for([](const auto& state) { return state.detail.find("the registration did not end within 50ms") != std::string::npos; }));
    REQUIRE(rig.wait_connected());
  }
}

TEST_CASE("a method that newer runtimes have is answered as unimplemented, and the plugin stays") {
  const fakes::TempDir dir;
  FakeNriRuntime runtime(dir / "nri.sock");
  runtime.add_fault(NriFault::kUnknownCall);
  runtime.start();
  contract::NriRig rig(quick(dir / "nri.sock"));
  REQUIRE(runtime.wait_for_plugins(1));
  CHECK(runtime.run_sandbox(pod("a")));
  CHECK(rig.plugin().counts().connections == 1);
}

TEST_CASE("a runtime that comes later is found, in a folder that is there and in one that is not yet") {
  for (const bool folder : {true, false}) {
    const fakes::TempDir dir;
    const std::string place = folder ? dir.path() : dir / "nri";
    FakeNriRuntime runtime(place + "/nri.sock");
    auto options = quick(place + "/nri.sock");
    if (folder) options.backoff = {10s, 60s};  // by inotify, then
    contract::NriRig rig(std::move(options));
    REQUIRE(rig.wait_for([](const auto& state) { return state.detail.find("No such file or directory") != std::string::npos; }));
    CHECK_FALSE(rig.plugin().state().was_connected);
    if (!folder) REQUIRE(::mkdir(place.c_str(), 0700) == 0);
    if (folder) {
      // Bound and listening before it is there under its name.
      FakeNriRuntime early(place + "/early.sock");
      early.start();
      std::filesystem::rename(place + "/early.sock", place + "/nri.sock");
      REQUIRE(early.wait_for_plugins(1));
      REQUIRE(rig.wait_connected());
    } else {
      runtime.start();
      REQUIRE(runtime.wait_for_plugins(1));
    }
  }
}

TEST_CASE("stopping interrupts an answer that is being made") {
  const fakes::TempDir dir;
  FakeNriRuntime runtime(dir / "nri.sock", {.request_timeout = 60s});
  runtime.start();
  auto rig = std::make_unique<contract::NriRig>(quick(dir / "nri.sock"));
  REQUIRE(runtime.wait_for_plugins(1));
  rig->hooks().hold("a");
  std::thread client([&] { (void)runtime.create_container(pod("a"), "main"); });
  CHECK(rig->hooks().wait_for_call("container a main"));
  rig->plugin().stop();
  client.join();
  CHECK(rig->plugin().counts().lost == 0);  // our own doing
  rig.reset();
}

TEST_CASE("a socket's name that is too long is told, not cut") {
  contract::NriRig rig(quick("/" + std::string(120, 'x')));
  REQUIRE(rig.wait_for([](const auto& state) { return !state.detail.empty(); }));
  CHECK_THAT(rig.plugin().state().detail, ContainsSubstring("a socket's path has at most 107 bytes"));
}
