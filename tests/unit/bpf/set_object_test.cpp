// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "bpf/set_object.h"

#include <cstdlib>
#include <cstring>
#include <filesystem>

#include <sys/stat.h>

#include <catch2/catch_test_macros.hpp>

#include "base/unique_fd.h"
#include "bpf/layout.h"
#include "model/ebpf.h"
#include "set/set_abi.h"

using namespace pintle;
using namespace pintle::bpf;

namespace {

std::vector<std::byte> builtin_bytes() {
  const auto builtin = SetObject::builtin();
  return {builtin.elf().begin(), builtin.elf().end()};
}

std::string as_text(std::span<const std::byte> bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

struct Folder {
  std::string path;
  Folder() {
    char name[] = "/tmp/pintle-sets-XXXXXX";
    path = ::mkdtemp(name);
  }
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
  }
  void put(const std::string& name, const std::string& content, unsigned mode = 0644) const {
    std::filesystem::create_directories(path + "/" + name);
    const std::string file = path + "/" + name + "/pintle_cgroup.bpf.o";
    REQUIRE(write_file_atomic(file, content, mode));
    REQUIRE(::chmod(file.c_str(), mode) == 0);
  }
};

}  // namespace

TEST_CASE("the set compiled in says who it is, and its ABI is the schema's") {
  const auto builtin = SetObject::builtin();
  CHECK(builtin.name() == "builtin");
  CHECK(builtin.version() == PINTLE_VERSION);
  CHECK(builtin.id() != 0);
  CHECK(kSchema == "v" + std::to_string(PINTLE_SET_ABI));
}

TEST_CASE("a set is found by its name") {
  const Folder folder;
  folder.put("mine", as_text(SetObject::builtin().elf()));
  const auto found = SetObject::find(folder.path, "mine");
  REQUIRE(found);
  CHECK(found->name() == "mine");
  CHECK(found->version() == PINTLE_VERSION);
  CHECK(found->id() == SetObject::builtin().id());
  CHECK(SetObject::find(folder.path, "builtin")->name() == "builtin");
  CHECK(SetObject::find("", "builtin"));
}

TEST_CASE("what is not found or no set is told with object and fix") {
  const Folder folder;
  folder.put("a", as_text(SetObject::builtin().elf()));
  folder.put("text", "not an object");
  folder.put("open", as_text(SetObject::builtin().elf()), 0666);
  auto bytes = builtin_bytes();
  auto* words = const_cast<std::byte*>(find_elf_section(bytes, PINTLE_SET_SECTION).data());
  std::memset(words, 0, 4);
  folder.put("wordless", as_text(bytes));
  bytes = builtin_bytes();
  words = const_cast<std::byte*>(find_elf_section(bytes, PINTLE_SET_SECTION).data());
  const uint32_t other = 77;
  std::memcpy(words + 4, &other, sizeof other);
  folder.put("other", as_text(bytes));
  struct Row {
    const char *name, *text;
    Code code;
  };
  for (const auto& row : {Row{"absent", "there are 'builtin', 'a', 'open', 'other', 'text', 'wordless'", Code::kNotFound},
                          Row{"text", "no BPF object", Code::kInvalid}, Row{"open", "chmod go-w", Code::kInvalid},
                          Row{"wordless", "no section 'pintle.set'", Code::kInvalid}, Row{"other", "is of ABI 77", Code::kInvalid},
                          Row{"../a", "a name is letters", Code::kInvalid}, Row{"", "a name is letters", Code::kInvalid}}) {
    const auto found = SetObject::find(folder.path, row.name);
    REQUIRE_FALSE(found);
    INFO(found.error().message());
    CHECK(found.error().code == row.code);
    CHECK(found.error().message().find(row.text) != std::string::npos);
    CHECK(found.error().message().find(std::string("'") + row.name + "'") != std::string::npos);
  }
  CHECK(SetObject::find("", "a").error().message().find("pintle.ebpf.setsFolder") != std::string::npos);
}

TEST_CASE("an ELF file cut short anywhere has no section rather than a wrong one") {
  const auto whole = builtin_bytes();
  CHECK(find_elf_section(whole, ".nonesuch").empty());
  CHECK(find_elf_section(whole, PINTLE_SET_SECTION).size() == sizeof(pintle_set_words));
  for (size_t size = 0; size < whole.size(); size += 97) {
    const auto section = find_elf_section(std::span(whole).first(size), PINTLE_SET_SECTION);
    CHECK((section.empty() || section.size() == sizeof(pintle_set_words)));
  }
}

TEST_CASE("names of sets") {
  for (const auto* good : {"builtin", "next", "v1.2", "a", "2026-11-30_a"}) CHECK(model::check_set_name(good));
  for (const auto* bad : {"", ".", "..", "-a", "a-", "a/b", "a b", "\xc3\xa4"}) CHECK_FALSE(model::check_set_name(bad));
  CHECK(model::check_set_name(std::string(63, 'a')));
  CHECK_FALSE(model::check_set_name(std::string(64, 'a')));
}
