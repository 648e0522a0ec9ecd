// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include <catch2/catch_test_macros.hpp>

#include <sys/stat.h>

#include "base/unique_fd.h"
#include "fakes/store/temp_dir.h"
#include "volumes/atomic_writer.h"

using namespace pintle;
using namespace pintle::volumes;

namespace {
const Time kNow{std::chrono::seconds(1'800'000'000)};
std::string link_of(const std::string& path) { return std::filesystem::read_symlink(path).string(); }
}  // namespace

TEST_CASE("row 14.9: files appear through ..data and are swapped as one") {
  const fakes::TempDir dir;
  CHECK(*write_payload(dir.path(), {{"a", {"1", 0644}}, {"sub/b", {"2", 0600}}}, std::nullopt, kNow));
  CHECK(*read_file(dir / "a") == "1");
  CHECK(*read_file(dir / "sub/b") == "2");
  CHECK(link_of(dir / "a") == "..data/a");
  CHECK(link_of(dir / "sub") == "..data/sub");
  const std::string first = link_of(dir / "..data");

  SECTION("the same content is not written again") {
    CHECK_FALSE(*write_payload(dir.path(), {{"a", {"1", 0644}}, {"sub/b", {"2", 0600}}}, std::nullopt, kNow + std::chrono::seconds(5)));
    CHECK(link_of(dir / "..data") == first);
  }
  SECTION("a changed, an added and a removed key") {
    CHECK(*write_payload(dir.path(), {{"a", {"9", 0644}}, {"c", {"3", 0644}}}, std::nullopt, kNow));
    CHECK(*read_file(dir / "a") == "9");
    CHECK(*read_file(dir / "c") == "3");
    CHECK_FALSE(std::filesystem::exists(dir / "sub"));
    CHECK(link_of(dir / "..data") != first);
    CHECK_FALSE(std::filesystem::exists(dir / first));
  }
  SECTION("a changed mode is a change") {
    CHECK(*write_payload(dir.path(), {{"a", {"1", 0400}}, {"sub/b", {"2", 0600}}}, std::nullopt, kNow));
    struct stat info{};
    REQUIRE(::stat((dir / "a").c_str(), &info) == 0);
    CHECK((info.st_mode & 0777) == 0400);
  }
  SECTION("an empty payload leaves an empty volume") {
    CHECK(*write_payload(dir.path(), {}, std::nullopt, kNow));
    CHECK_FALSE(std::filesystem::exists(dir / "a"));
  }
}

TEST_CASE("what a crash left behind is completed") {
  const fakes::TempDir dir;
  std::filesystem::create_directory(dir / "..half");
  std::filesystem::create_symlink("..half", dir / "..data_tmp");
  REQUIRE(write_payload(dir.path(), {{"a", {"1", 0644}}}, std::nullopt, kNow));
  CHECK(*read_file(dir / "a") == "1");
  CHECK_FALSE(std::filesystem::exists(dir / "..half"));
}

TEST_CASE("a path out of the volume is refused before anything is written") {
  const fakes::TempDir dir;
  for (const char* path : {"../x", "/x", "a/../../x", "..", "a/..", ""}) {
    INFO(path);
    const auto written = write_payload(dir.path(), {{path, {"1", 0644}}}, std::nullopt, kNow);
    REQUIRE_FALSE(written);
    CHECK(written.error().code == Code::kInvalid);
  }
  CHECK(std::filesystem::is_empty(dir.path()));
}
