// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Objects as they are loaded without libbpf, with libbpf as the judge.
#include "bpf/program_loader.h"

#include <map>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <catch2/catch_test_macros.hpp>

#include "bpf/kernel_object.h"
#include "bpf/object.h"
#include "bpf/set_object.h"
#include "kernel_fixture.h"
#include "skeleton/lifecycle.skel.h"

using namespace pintle;
using namespace pintle::bpf;
using namespace pintle::kernel_test;

namespace {

std::string tag_of(int fd) {
  const auto info = program_info(fd);
  REQUIRE(info);
  return info->tag;
}

// Shapes that the agent sets when it loads the set.
constexpr uint32_t kSlots = 64, kRing = 65536;

std::map<std::string, std::string> tags_by_libbpf(std::span<const std::byte> elf) {
  std::map<std::string, std::string> tags;
  bpf_object* object = bpf_object__open_mem(elf.data(), elf.size(), nullptr);
  REQUIRE(object != nullptr);
  for (const char* ring : {"urgent_events", "bulk_events"})
    REQUIRE(bpf_map__set_max_entries(bpf_object__find_map_by_name(object, ring), kRing) == 0);
  REQUIRE(bpf_map__set_max_entries(bpf_object__find_map_by_name(object, "pod_slots"), kSlots) == 0);
  REQUIRE(bpf_object__load(object) == 0);
  bpf_program* program = nullptr;
  bpf_object__for_each_program(program, object) tags[bpf_program__name(program)] = tag_of(bpf_program__fd(program));
  bpf_object__close(object);
  return tags;
}

BpfObject open_sized(std::span<const std::byte> elf) {
  auto object = BpfObject::open(elf, "test");
  REQUIRE(object);
  for (const char* ring : {"urgent_events", "bulk_events"}) REQUIRE(object->set_max_entries(ring, kRing));
  REQUIRE(object->set_max_entries("pod_slots", kSlots));
  return *std::move(object);
}

std::span<const std::byte> lifecycle_bytes() {
  size_t size = 0;
  const void* elf = pintle_lifecycle__elf_bytes(&size);
  return {static_cast<const std::byte*>(elf), size};
}

// The set compiled in, with an instruction of one program that no verifier lets pass.
std::vector<std::byte> spoilt(const std::string& section) {
  const auto elf = SetObject::builtin().elf();
  std::vector<std::byte> bytes(elf.begin(), elf.end());
  const auto code = find_elf_section(elf, section);
  REQUIRE(!code.empty());
  const bpf_insn read_r9{BPF_ALU64 | BPF_MOV | BPF_X, 0, 9, 0, 0};  // r0 = r9, which nobody has written
  std::memcpy(bytes.data() + (code.data() - elf.data()), &read_r9, sizeof read_r9);
  return bytes;
}

}  // namespace

TEST_CASE("both objects load together, and are the programs that libbpf makes of the same file") {
  (void)require_kernel();
  const auto expected = tags_by_libbpf(SetObject::builtin().elf());
  REQUIRE(expected.size() == model::kHookCount - 1);  // one for packets of both directions
  auto set = open_sized(SetObject::builtin().elf());
  auto lifecycle = open_sized(lifecycle_bytes());
  ProgramLoader loader;
  const auto lifecycle_begun = lifecycle.begin(loader);
  REQUIRE(set.begin(loader));
  REQUIRE(set.finish(loader));
  for (const auto& [name, tag] : expected) {
    const auto fd = set.program_fd(name);
    INFO(name);
    REQUIRE(fd);
    CHECK(tag_of(fd->get()) == tag);
  }
  REQUIRE(lifecycle_begun);
  if (const auto finished = lifecycle.finish(loader); !finished) {
    INFO(finished.error().message());
    REQUIRE((!kernel_has_btf() || kernel_version() < KernelVersion{5, 17}));
    SKIP("this kernel does not relocate tracepoint programs");
  }
  CHECK(lifecycle.program_fd("lifecycle_exit"));
}

TEST_CASE("a program that is refused is named with the verifier's words, whoever loads it") {
  (void)require_kernel();
  const auto bytes = spoilt("cgroup/connect4");
  auto object = open_sized(bytes);
  {
    ProgramLoader loader;
    REQUIRE(object.begin(loader));
    const auto finished = object.finish(loader);
    REQUIRE(!finished);
    CHECK(finished.error().sys_errno == EACCES);
    CHECK(finished.error().message().find("connect_connect4") != std::string::npos);
    CHECK(finished.error().message().find("R9 !read_ok") != std::string::npos);
  }
  auto again = open_sized(bytes);
  ProgramLoader loader;
  const auto loaded = again.load(loader);  // libbpf has the last word
  REQUIRE(!loaded);
  CHECK(loaded.error().message().find("R9 !read_ok") != std::string::npos);
}

TEST_CASE("a loader may go before what it began is loaded") {
  (void)require_kernel();
  auto set = open_sized(SetObject::builtin().elf());
  {
    ProgramLoader loader;
    REQUIRE(set.begin(loader));
  }
  CHECK(!set.program_fd("connect_connect4"));
  CHECK(set.map_fd("pod_slots"));
}

TEST_CASE("a map that the kernel refuses is named, and what was begun on the others comes to its end") {
  (void)require_kernel();
  auto set = open_sized(SetObject::builtin().elf());
  REQUIRE(set.set_max_entries("denied_sockopts", 0));  // of the maps made last: programs are under way by then
  ProgramLoader loader;
  const auto begun = set.begin(loader);
  REQUIRE(!begun);
  CHECK(begun.error().sys_errno == EINVAL);
  CHECK(begun.error().message().find("denied_sockopts") != std::string::npos);
  CHECK(!set.program_fd("bind_bind4"));

  auto other = open_sized(SetObject::builtin().elf());  // the loader goes on
  REQUIRE(other.begin(loader));
  REQUIRE(other.finish(loader));
  CHECK(other.program_fd("sockopt_set"));
}

TEST_CASE("a loader that was dismissed leaves the work to those who wait") {
  (void)require_kernel();
  auto set = open_sized(SetObject::builtin().elf());
  ProgramLoader loader;
  loader.dismiss();
  REQUIRE(set.begin(loader));
  REQUIRE(set.finish(loader));
  CHECK(set.program_fd("connect_connect4"));
}
