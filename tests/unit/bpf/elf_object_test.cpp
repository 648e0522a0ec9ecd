// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "bpf/elf_object.h"

#include <algorithm>
#include <cstring>
#include <random>
#include <set>

#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>

#include <catch2/catch_test_macros.hpp>

#include "bpf/object.h"
#include "bpf/program_set.h"
#include "bpf/set_object.h"
#include "skeleton/kubepods.skel.h"
#include "skeleton/lifecycle.skel.h"

using namespace pintle;
using namespace pintle::bpf;

namespace {

std::span<const std::byte> bytes_of(const void* elf, size_t size) { return {static_cast<const std::byte*>(elf), size}; }

std::span<const std::byte> lifecycle_bytes() {
  size_t size = 0;
  const void* elf = pintle_lifecycle__elf_bytes(&size);
  return bytes_of(elf, size);
}

uint32_t first_word(const ElfRecords& records, uint32_t number) {
  uint32_t word = 0;
  std::memcpy(&word, records.bytes.data() + static_cast<size_t>(number) * records.size, sizeof word);
  return word;
}

bool is_call(const bpf_insn& instruction) { return instruction.code == (BPF_JMP | BPF_CALL) && instruction.src_reg == BPF_PSEUDO_CALL; }

// Whatever came out, it is within its own bounds.
void check_bounds(const ElfObject& object) {
  for (const auto& program : object.programs()) {
    for (const auto& use : program.map_uses) {
      REQUIRE(use.instruction + 1 < program.instructions.size());
      REQUIRE(use.map < object.maps().size());
    }
    for (size_t i = 0; i < program.instructions.size(); ++i) {
      if (!is_call(program.instructions[i])) continue;
      const auto target = static_cast<int64_t>(i) + program.instructions[i].imm + 1;
      REQUIRE(target >= 0);
      REQUIRE(target < static_cast<int64_t>(program.instructions.size()));
    }
    for (const auto* records : {&program.functions, &program.lines, &program.relocations})
      REQUIRE(records->bytes.size() == static_cast<size_t>(records->count) * records->size);
  }
}

}  // namespace

TEST_CASE("the set compiled in has a program of the right kind for every hook") {
  const auto object = ElfObject::parse(SetObject::builtin().elf());
  REQUIRE(object);
  check_bounds(*object);
  CHECK(object->programs().size() == model::kHookCount - 1);  // one program for packets of both directions
  CHECK(object->license() == "Dual BSD/GPL");
  const auto opened = BpfObject::open(SetObject::builtin().elf(), "builtin");
  REQUIRE(opened);
  for (const auto hook : model::kAllHooks) {
    const auto wanted = program_in(*opened, hook);
    const auto found = std::ranges::find(object->programs(), std::string_view(wanted.name), &ElfProgram::name);
    INFO(wanted.name);
    REQUIRE(found != object->programs().end());
    CHECK(found->type == program_type_of(hook));
    CHECK(found->attach_type == wanted.attach_type);
    CHECK(found->relocations.count == 0);
    CHECK(!found->map_uses.empty());
  }
}

TEST_CASE("maps are those that libbpf reads") {
  const auto elf = SetObject::builtin().elf();
  const auto object = ElfObject::parse(elf);
  REQUIRE(object);
  bpf_object* judge = bpf_object__open_mem(elf.data(), elf.size(), nullptr);
  REQUIRE(judge != nullptr);
  size_t count = 0;
  bpf_map* map = nullptr;
  bpf_object__for_each_map(map, judge) {
    const auto found = std::ranges::find(object->maps(), std::string_view(bpf_map__name(map)), &ElfMap::name);
    INFO(bpf_map__name(map));
    REQUIRE(found != object->maps().end());
    CHECK(found->type == static_cast<uint32_t>(bpf_map__type(map)));
    CHECK(found->key_size == bpf_map__key_size(map));
    CHECK(found->value_size == bpf_map__value_size(map));
    CHECK(found->max_entries == bpf_map__max_entries(map));
    CHECK(found->flags == bpf_map__map_flags(map));
    CHECK(found->key_type == bpf_map__btf_key_type_id(map));
    CHECK(found->value_type == bpf_map__btf_value_type_id(map));
    ++count;
  }
  CHECK(count == object->maps().size());
  bpf_object__close(judge);
}

TEST_CASE("a called function follows once, begins with its own record, and lines and relocations move along") {
  for (const auto elf : {SetObject::builtin().elf(), lifecycle_bytes()}) {
    const auto object = ElfObject::parse(elf);
    REQUIRE(object);
    check_bounds(*object);
    for (const auto& program : object->programs()) {
      INFO(program.name);
      std::set<uint32_t> begins;
      for (uint32_t i = 0; i < program.functions.count; ++i) begins.insert(first_word(program.functions, i));
      CHECK(begins.size() == program.functions.count);
      CHECK(*begins.begin() == 0);
      for (size_t i = 0; i < program.instructions.size(); ++i)
        if (is_call(program.instructions[i])) CHECK(begins.contains(static_cast<uint32_t>(i + 1) + program.instructions[i].imm));
      for (uint32_t i = 1; i < program.lines.count; ++i) CHECK(first_word(program.lines, i - 1) < first_word(program.lines, i));
      for (const auto begin : begins) CHECK(program.instructions[begin - (begin == 0 ? 0 : 1)].code != 0);
      for (uint32_t i = 0; i < program.relocations.count; ++i)
        CHECK(first_word(program.relocations, i) / sizeof(bpf_insn) < program.instructions.size());
    }
  }
}

TEST_CASE("tracepoint programs name their tracepoint, and leave relocations to the kernel") {
  const auto object = ElfObject::parse(lifecycle_bytes());
  REQUIRE(object);
  std::set<std::string> targets;
  for (const auto& program : object->programs()) {
    CHECK(program.type == BPF_PROG_TYPE_RAW_TRACEPOINT);
    targets.insert(program.target);
  }
  CHECK(targets == std::set<std::string>{"sched_process_exec", "sched_process_exit", "mark_victim", "cgroup_rmdir"});
  CHECK(std::ranges::any_of(object->programs(), [](const ElfProgram& program) { return program.relocations.count != 0; }));
}

TEST_CASE("what only libbpf loads is left to it") {
  size_t size = 0;
  const void* elf = pintle_kubepods__elf_bytes(&size);
  const auto object = ElfObject::parse(bytes_of(elf, size));
  REQUIRE(!object);
  CHECK(object.error().code == Code::kUnsupported);
  CHECK(object.error().context.find(".rodata") != std::string::npos);
}

TEST_CASE("a file cut off or damaged is refused, or read within its bounds") {
  const auto elf = SetObject::builtin().elf();
  for (size_t size = 0; size < elf.size(); size += 97) {
    const std::vector<std::byte> part(elf.begin(), elf.begin() + static_cast<ptrdiff_t>(size));
    const auto object = ElfObject::parse(part);
    REQUIRE(!object);
    CHECK(!object.error().context.empty());
  }
  std::mt19937 random(7);  // NOLINT(cert-msc51-cpp): the same damage each time
  int refused = 0;
  for (int round = 0; round < 2000; ++round) {
    std::vector<std::byte> bytes(elf.begin(), elf.end());
    for (int flips = 0; flips < 4; ++flips) bytes[random() % bytes.size()] ^= static_cast<std::byte>(1U << random() % 8);
    const auto object = ElfObject::parse(bytes);
    if (object)
      check_bounds(*object);
    else
      ++refused;
  }
  CHECK(refused > 0);
}
