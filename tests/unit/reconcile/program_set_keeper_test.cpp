// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "reconcile/program_set_keeper.h"

#include <semaphore>

#include <catch2/catch_test_macros.hpp>

#include "fakes/bpf/fake_program_attacher.h"

using namespace pintle;
using namespace pintle::reconcile;
using Attempt = model::ProgramSetStatus::Attempt;

namespace {

struct Rig {
  fakes::FakeProgramAttacher attacher;
  std::vector<model::ProgramSetStatus> told;
  std::binary_semaphore heard{0};
  Rig() {
    attacher.sets = {{"builtin", "1"}, {"next", "2"}, {"bad", "3"}};
    attacher.rolls_back_sets = {"bad"};
  }
  ProgramSetKeeperOptions options(const std::string& configured = "builtin") {
    return {.configured = configured,
            .by_label = true,
            .told =
                [this](const model::ProgramSetStatus& set) {
                  told.push_back(set);
                  heard.release();
                },
            .period = std::chrono::hours(1)};  // what a test sees by itself came of a label
  }
};

}  // namespace

TEST_CASE("the label goes over the configuration, and back when it is taken away") {
  Rig rig;
  ProgramSetKeeper keeper(rig.attacher, rig.options());
  keeper.set_label(std::nullopt);
  keeper.look();
  CHECK(rig.told.empty());  // as it was
  keeper.set_label("next");
  keeper.look();
  keeper.look();
  REQUIRE(rig.told.size() == 1);
  CHECK(rig.told[0].name == "next");
  keeper.set_label(std::nullopt);
  keeper.look();
  REQUIRE(rig.told.size() == 2);
  CHECK(rig.told[1].name == "builtin");
}

TEST_CASE("the configuration alone decides where no label counts") {
  Rig rig;
  auto options = rig.options("next");
  options.by_label = false;
  ProgramSetKeeper keeper(rig.attacher, options);
  keeper.look();
  REQUIRE(rig.told.size() == 1);
  CHECK(rig.told[0].name == "next");
}

TEST_CASE("a label that is not known yet changes nothing") {
  Rig rig;
  ProgramSetKeeper keeper(rig.attacher, rig.options("next"));
  keeper.look();
  CHECK(rig.attacher.program_set().name == "builtin");
  CHECK(rig.attacher.faults.count("use_program_set") == 0);
  keeper.set_label(std::nullopt);
  keeper.look();
  CHECK(rig.attacher.program_set().name == "next");
}

TEST_CASE("what failed is told once, and again when something changes") {
  Rig rig;
  ProgramSetKeeper keeper(rig.attacher, rig.options());
  keeper.set_label("bad");
  for (int i = 0; i < 3; ++i) keeper.look();
  REQUIRE(rig.told.size() == 1);
  CHECK(rig.told[0].attempt == Attempt::kRolledBack);
  CHECK(rig.told[0].name == "builtin");
  CHECK(rig.told[0].wanted == "bad");
  rig.attacher.sets["bad"] = "4";  // another file
  keeper.look();
  REQUIRE(rig.told.size() == 2);
  CHECK(rig.told[1].wanted_version == "4");
  keeper.set_label("absent");
  keeper.look();
  REQUIRE(rig.told.size() == 3);
  CHECK(rig.told[2].attempt == Attempt::kRefused);
  keeper.set_label(std::nullopt);
  keeper.look();
  REQUIRE(rig.told.size() == 4);
  CHECK(rig.told[3].attempt == Attempt::kNone);
}

TEST_CASE("what a start could not have is told at the first look, even without an API") {
  Rig rig;
  CHECK_FALSE(rig.attacher.use_program_set("bad"));
  ProgramSetKeeper keeper(rig.attacher, rig.options("bad"));
  keeper.look();
  keeper.look();
  REQUIRE(rig.told.size() == 1);
  CHECK(rig.told[0].wanted == "bad");
  keeper.set_label(std::nullopt);
  keeper.look();
  CHECK(rig.told.size() == 1);
}

TEST_CASE("what a switch left behind is told when it comes, once, and when it is mended") {
  Rig rig;
  rig.attacher.leaves = {{.sys_errno = EISDIR, .error = "unpin 'next/x': Is a directory"}};
  ProgramSetKeeper keeper(rig.attacher, rig.options());
  keeper.set_label(std::nullopt);
  for (int i = 0; i < 3; ++i) keeper.look();
  REQUIRE(rig.told.size() == 1);
  CHECK(rig.told[0].attempt == Attempt::kNone);
  CHECK(rig.told[0].leftovers == rig.attacher.leaves);
  ProgramSetKeeper after_restart(rig.attacher, rig.options());  // found so by a start
  after_restart.set_label(std::nullopt);
  after_restart.look();
  after_restart.look();
  REQUIRE(rig.told.size() == 2);
  rig.attacher.leaves.clear();
  after_restart.look();
  REQUIRE(rig.told.size() == 3);
  CHECK(rig.told[2].leftovers.empty());
}

TEST_CASE("another label is followed at once, not at the next look, and the keeper ends when told to") {
  Rig rig;
  ProgramSetKeeper keeper(rig.attacher, rig.options());
  keeper.start();
  keeper.set_label("next");
  rig.heard.acquire();
  keeper.set_label("next");  // the node was written, with the same label
  keeper.set_label("bad");
  rig.heard.acquire();
  keeper.stop();
  REQUIRE(rig.told.size() == 2);
  CHECK(rig.told[0].name == "next");
  CHECK(rig.told[1].wanted == "bad");
}

TEST_CASE("a file that changed is noticed by the look between") {
  Rig rig;
  auto options = rig.options();
  options.period = std::chrono::milliseconds(1);
  ProgramSetKeeper keeper(rig.attacher, options);
  rig.attacher.leaves = {{.sys_errno = EBUSY, .error = "rename 'next'"}};  // found so by a look, not by a label
  keeper.set_label(std::nullopt);
  keeper.start();
  rig.heard.acquire();
  keeper.stop();
  CHECK(rig.told[0].leftovers.size() == 1);
}
