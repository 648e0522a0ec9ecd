// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include <cerrno>
#include <filesystem>
#include <optional>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "bpf/pins_claim.h"
#include "bpf/uninstall.h"
#include "kernel_fixture.h"

using namespace pintle;
using namespace pintle::kernel_test;
using bpf::PinsClaim;
using Catch::Matchers::ContainsSubstring;

TEST_CASE("pins are removed when no agent uses them, and used when nobody removes them") {
  const bpf::LibbpfAttacher::Options options{.bpffs = require_kernel(), .own_bpffs = "", .folder = "t_claim"};
  const std::string folder = options.bpffs + "/t_claim";
  CHECK(PinsClaim::take(options));  // there is nothing
  CHECK(!std::filesystem::exists(folder));
  std::optional first = PinsClaim::use(options), second = PinsClaim::use(options);  // as one agent takes over from another
  REQUIRE(*first);
  REQUIRE(*second);
  for (auto* agent : {&first, &second}) {
    const auto refused = PinsClaim::take(options);
    REQUIRE(!refused);
    CHECK(refused.error().code == Code::kUnavailable);
    CHECK_THAT(refused.error().message(), ContainsSubstring(folder) && ContainsSubstring("a pintled uses them"));
    agent->reset();
  }
  {
    const auto taken = PinsClaim::take(options);
    REQUIRE(taken);
    const auto refused = PinsClaim::use(options);
    REQUIRE(!refused);
    CHECK_THAT(refused.error().message(), ContainsSubstring("removes them just now"));
    REQUIRE(bpf::remove_pins(options));
    CHECK(!std::filesystem::exists(folder));
    CHECK(PinsClaim::use(options));  // anew: nobody has this one
  }
  REQUIRE(bpf::remove_pins(options));
}

TEST_CASE("where there is no bpffs there is nothing to claim") {
  const bpf::LibbpfAttacher::Options options{.bpffs = "/tmp", .own_bpffs = "", .folder = "t_claim"};
  CHECK(PinsClaim::use(options));
  CHECK(PinsClaim::take(options));
  CHECK(!std::filesystem::exists("/tmp/t_claim"));
}

TEST_CASE("pins that can't be looked at are not taken for absent ones") {
  const bpf::LibbpfAttacher::Options options{.bpffs = require_kernel(), .own_bpffs = "", .folder = "t_loop"};
  const std::string folder = options.bpffs + "/t_loop";
  std::filesystem::create_symlink(folder, folder);
  const auto taken = PinsClaim::take(options);
  const auto used = PinsClaim::use(options);  // pods run all the same: the attacher tells what is wrong
  std::filesystem::remove(folder);
  REQUIRE(!taken);
  CHECK(taken.error().sys_errno == ELOOP);
  CHECK_THAT(taken.error().message(), ContainsSubstring(folder));
  CHECK(used);
}
