// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include <catch2/catch_test_macros.hpp>

#include "fakes/store/temp_dir.h"
#include "volumes/file_tree.h"

using namespace pintle;
using namespace pintle::volumes;

TEST_CASE("row 14.16: a subPath stays below its volume") {
  const fakes::TempDir dir;
  const std::string volume = dir / "volume";
  std::filesystem::create_directories(volume + "/inside");
  std::filesystem::create_directories(dir / "outside");
  std::filesystem::create_directory_symlink(dir / "outside", volume + "/out");
  std::filesystem::create_directory_symlink("inside", volume + "/in");

  CHECK(open_beneath(volume, "inside", 0750));
  CHECK(open_beneath(volume, "in", 0750));
  CHECK(open_beneath(volume, "new/deep", 0750));
  CHECK(std::filesystem::is_directory(volume + "/new/deep"));
  for (const char* path : {"out", "out/made", "../outside", "inside/../../outside", "/etc", ".."}) {
    INFO(path);
    const auto opened = open_beneath(volume, path, 0750);
    REQUIRE_FALSE(opened);
    CHECK(opened.error().code == Code::kInvalid);
  }
  CHECK(std::filesystem::is_empty(dir / "outside"));
}

TEST_CASE("removing a tree takes symlinks, not their targets") {
  const fakes::TempDir dir;
  std::filesystem::create_directories(dir / "pod/volumes");
  std::filesystem::create_directories(dir / "kept");
  std::filesystem::create_directory_symlink(dir / "kept", dir / "pod/volumes/link");
  REQUIRE(unmount_and_remove(dir / "pod"));
  CHECK_FALSE(std::filesystem::exists(dir / "pod"));
  CHECK(std::filesystem::exists(dir / "kept"));
  CHECK(unmount_and_remove(dir / "pod"));
}
