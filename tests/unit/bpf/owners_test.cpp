// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include <cstdlib>

#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>

#include "bpf/kernel_object.h"
#include "bpf/layout.h"
#include "bpf/pin.h"
#include "bpf/slot_table.h"

using namespace pintle;
using namespace pintle::bpf;

namespace {

// Pins behave as files do, so any directory serves.
struct Folder {
  std::string path;
  Folder() {
    char name[] = "/tmp/pintle-pins-XXXXXX";
    path = ::mkdtemp(name);
  }
  ~Folder() {
    for (const auto* name : {"/a", "/b", "/c"}) (void)remove_pin_folder(path + name);
    (void)::rmdir(path.c_str());
  }
  void touch(const std::string& name) const { REQUIRE(write_file_atomic(path + "/" + name, "", 0600)); }
  [[nodiscard]] bool has(const std::string& name) const { return ::access((path + "/" + name).c_str(), F_OK) == 0; }
};

}  // namespace

TEST_CASE("pending pins vanish unless committed") {
  const Folder folder;
  {
    auto pending = PendingPins::create(folder.path + "/a");
    REQUIRE(pending);
    folder.touch("a/hook");
  }
  CHECK(!folder.has("a"));
  auto pending = PendingPins::create(folder.path + "/a");
  REQUIRE(pending);
  folder.touch("a/hook");
  REQUIRE(pending->commit(folder.path + "/b"));
  CHECK(folder.has("b/hook"));
  CHECK(!folder.has("a"));
}

TEST_CASE("move-assigning pending pins over live ones drops those, and to itself nothing") {
  const Folder folder;
  auto first = PendingPins::create(folder.path + "/a"), second = PendingPins::create(folder.path + "/b");
  REQUIRE(first);
  REQUIRE(second);
  folder.touch("a/hook");
  *first = std::move(*second);
  CHECK(!folder.has("a"));
  CHECK(folder.has("b"));
  auto& same = *first;
  *first = std::move(same);
  CHECK(folder.has("b"));
}

TEST_CASE("an earlier crash's pending folder is taken away first") {
  const Folder folder;
  REQUIRE(make_pin_folder(folder.path + "/a"));
  folder.touch("a/stale");
  const auto pending = PendingPins::create(folder.path + "/a");
  REQUIRE(pending);
  CHECK(list_pins(folder.path + "/a")->empty());
  CHECK(unpin(folder.path + "/absent"));
  CHECK(remove_pin_folder(folder.path + "/absent"));
  CHECK(list_pins(folder.path + "/absent").error().code == Code::kNotFound);
}

TEST_CASE("mapped memory moves over a live mapping and back") {
  const UniqueFd one(::memfd_create("one", MFD_CLOEXEC)), two(::memfd_create("two", MFD_CLOEXEC));
  REQUIRE(::ftruncate(one.get(), 4096) == 0);
  REQUIRE(::ftruncate(two.get(), 4096) == 0);
  auto first = MappedArray<uint64_t>::map(one.get(), 8), second = MappedArray<uint64_t>::map(two.get(), 8);
  REQUIRE(first);
  REQUIRE(second);
  (*second)[3] = 7;
  *first = std::move(*second);
  CHECK((*first)[3] == 7);
  auto& same = *first;
  *first = std::move(same);
  CHECK((*first)[3] == 7);
}

TEST_CASE("a freed slot is taken again last, and slot 0 never") {
  SlotTable table(4);
  bool fresh = false;
  const PodUid a("a"), b("b"), c("c"), d("d");
  CHECK(table.assign(a, fresh) == 1);
  CHECK(fresh);
  CHECK(table.assign(a, fresh) == 1);
  CHECK(!fresh);
  CHECK(table.assign(b, fresh) == 2);
  table.release(a);
  CHECK(table.owner(1) == a);  // late records are still a's
  CHECK(!table.find(a));
  CHECK(table.assign(c, fresh) == 3);
  CHECK(table.assign(d, fresh) == 1);
  CHECK(table.owner(1) == d);
  CHECK(!table.assign(a, fresh));
  CHECK(!table.restore(a, 0));
  CHECK(!table.restore(a, 2));
  CHECK(!table.restore(a, 4));
  table.release(b);
  CHECK(table.restore(a, 2));
  CHECK(table.find(a) == 2);
}

TEST_CASE("uids that can't be pins are refused") {
  CHECK(check_pod_uid(PodUid("0f1e2d3c-4b5a")));
  for (const char* bad : {"", "a.b", "a/b", "..", "tmp_a", "a b"}) {
    INFO(bad);
    CHECK(check_pod_uid(PodUid(bad)).error().code == Code::kInvalid);
  }
  CHECK(!check_pod_uid(PodUid(std::string(129, 'a'))));
}
