// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "bpf/verifier_rules.h"

#include <catch2/catch_test_macros.hpp>

using pintle::bpf::read_verifier_log;
using pintle::bpf::VerifierRule;

TEST_CASE("facts 3g, verifier: each rule is known by its words") {
  struct Row {
    const char* line;
    VerifierRule rule;
  };
  const Row rows[] = {
      {"R0 !read_ok", VerifierRule::kUninitialised},
      {"R0 invalid mem access 'map_value_or_null'", VerifierRule::kNullCheck},
      {"invalid write to stack R10 off=-516 size=4", VerifierRule::kStack},
      {"combined stack size of 2 calls is 576. Too large", VerifierRule::kStack},
      {"invalid bpf_context access off=8 size=4", VerifierRule::kContext},
      {"unknown func bpf_override_return#58", VerifierRule::kHelper},
      {"program of this type cannot use helper bpf_sys_bpf#166", VerifierRule::kHelper},
      {"invalid func unknown#100000", VerifierRule::kHelper},
      {"cannot call GPL-restricted function from non-GPL compatible program", VerifierRule::kGplHelper},
      {"Unreleased reference id=2 alloc_insn=4", VerifierRule::kLeak},
      {"BPF_EXIT instruction in main prog would lead to reference leak", VerifierRule::kLeak},
      {"At program exit the register R0 has smin=7 smax=7 should have been in [0, 1]", VerifierRule::kReturnRange},
      {"unreachable insn 2", VerifierRule::kUnreachable},
      {"unknown opcode ff", VerifierRule::kOpcode},
      {"fd 42 is not pointing to valid bpf_map", VerifierRule::kStaleMap},
      {"infinite loop detected at insn 1", VerifierRule::kLoop},
      {"back-edge from insn 5 to 3", VerifierRule::kLoop},
      {"BPF program is too large. Processed 1000001 insn", VerifierRule::kTooComplex},
      {"invalid access to map value, value_size=8 off=64 size=4", VerifierRule::kBounds},
      {"R1 type=scalar expected=map_ptr", VerifierRule::kArgument},
      {"R1 invalid mem access 'scalar'", VerifierRule::kArgument},
      {"something that no kernel says yet", VerifierRule::kUnknown},
  };
  for (const auto& row : rows) {
    INFO(row.line);
    const auto found = read_verifier_log(std::string("0: (95) exit\n") + row.line + "\nprocessed 1 insns (limit 1000000)\n");
    CHECK(found.rule == row.rule);
    CHECK(found.lines.ends_with(row.line));
    CHECK(found.text.empty() == (row.rule == VerifierRule::kUnknown));
  }
}

TEST_CASE("a log of statistics alone holds no complaint") {
  CHECK(read_verifier_log("").rule == VerifierRule::kNone);
  CHECK(read_verifier_log("processed 2 insns (limit 1000000)\nverification time 4 usec\nstack depth 0\n\n").rule == VerifierRule::kNone);
  CHECK(read_verifier_log(std::string_view("R0 !read_ok\n\0garbage", 20)).lines == "R0 !read_ok");
}
