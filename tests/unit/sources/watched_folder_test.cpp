// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "sources/watched_folder.h"

#include <filesystem>
#include <fstream>
#include <future>

#include <unistd.h>

#include <fmt/format.h>
#include <catch2/catch_test_macros.hpp>

using namespace pintle;
using namespace pintle::sources;
using Woken = WatchedFolder::Woken;
namespace fs = std::filesystem;

namespace {

const SystemClock kClock;

struct Place {
  fs::path home = fs::temp_directory_path() / fmt::format("pintle-watched-{}", ::getpid());
  Place() { fs::create_directories(home); }
  ~Place() { fs::remove_all(home); }
  Place(const Place&) = delete;
  Place& operator=(const Place&) = delete;
  [[nodiscard]] std::string path(const std::string& name) const { return (home / name).string(); }
};

// What has happened by now: an audit that is due says that nothing has.
Woken now(WatchedFolder& folder) { return folder.wait(kClock.steady() + std::chrono::milliseconds(1)); }
Woken soon(WatchedFolder& folder) { return folder.wait(kClock.steady() + std::chrono::seconds(10)); }

}  // namespace

TEST_CASE("a folder that appears is told, and what is in it once it was armed again") {
  const Place place;
  WatchedFolder folder(kClock, place.path("a/b/"));
  CHECK(folder.path() == place.path("a/b"));
  REQUIRE(folder.open());
  CHECK_FALSE(folder.folder_is_watched());
  fs::create_directories(place.path("a"));
  CHECK(soon(folder) == Woken::kChanged);
  CHECK(folder.must_arm());
  REQUIRE(folder.arm());
  CHECK_FALSE(folder.must_arm());
  fs::create_directories(place.path("a/b"));
  CHECK(soon(folder) == Woken::kChanged);
  REQUIRE(folder.arm());
  CHECK(folder.folder_is_watched());
  fs::create_directories(place.path("a/other"));
  CHECK(now(folder) == Woken::kAudit);  // a neighbour
  std::ofstream(place.path("a/b/file")) << "text";
  CHECK(soon(folder) == Woken::kChanged);
  CHECK_FALSE(folder.must_arm());
  fs::remove_all(place.path("a/b"));
  CHECK(soon(folder) == Woken::kChanged);
  CHECK(folder.must_arm());
}

TEST_CASE("a file is told of when closed, and names that are passed over never") {
  const Place place;
  WatchedFolder folder(kClock, place.home.string(), [](std::string_view name) { return name.ends_with('~'); });
  REQUIRE(folder.open());
  std::ofstream file(place.path("file"));
  CHECK(now(folder) == Woken::kAudit);  // empty yet
  CHECK(folder.is_being_written("file"));
  file << "half" << std::flush;
  CHECK(now(folder) == Woken::kAudit);
  CHECK(folder.is_being_written("file"));
  file.close();
  CHECK(soon(folder) == Woken::kChanged);
  CHECK_FALSE(folder.is_being_written("file"));
  std::ofstream(place.path("file~")) << "editor's";
  CHECK(now(folder) == Woken::kAudit);
  std::ofstream open(place.path("file"), std::ios::app);
  open << "more" << std::flush;
  CHECK(now(folder) == Woken::kAudit);
  folder.forget_writers();
  CHECK_FALSE(folder.is_being_written("file"));
}

TEST_CASE("of a single file its neighbours are nobody's business") {
  const Place place;
  std::ofstream(place.path("one")) << "text";
  WatchedFolder file(kClock, place.path("one"));
  REQUIRE(file.open());
  std::ofstream(place.path("two")) << "text";
  CHECK(now(file) == Woken::kAudit);
  std::ofstream(place.path("one")) << "other text";
  CHECK(soon(file) == Woken::kChanged);
  fs::remove(place.path("one"));
  CHECK(soon(file) == Woken::kChanged);
  CHECK(file.must_arm());
}

TEST_CASE("a stop ends the wait from another thread") {
  const Place place;
  WatchedFolder folder(kClock, place.home.string());
  REQUIRE(folder.open());
  auto waiting = std::async(std::launch::async, [&] { return folder.wait(kClock.steady() + std::chrono::hours(1)); });
  folder.stop();
  CHECK(waiting.get() == Woken::kStopped);
}
