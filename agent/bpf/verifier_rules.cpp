// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "bpf/verifier_rules.h"

#include <array>
#include <vector>

namespace pintle::bpf {
namespace {

struct Pattern {
  std::string_view words;
  VerifierRule rule;
  std::string_view text;
};

constexpr std::string_view kInitialise = "a register is read before it is set: set it on every path, R0 (the program's answer) before exit";
constexpr std::string_view kNull = "a helper may answer NULL: compare its result with 0 before using it";
constexpr std::string_view kStackText = "a stack access is out of its 512 bytes or reads what was never written: use a map for more";
constexpr std::string_view kHelperText = "this program type may not call that helper, or this kernel doesn't have it";
constexpr std::string_view kLeakText = "a reserved record or a reference must be submitted, discarded or released on every path";
constexpr std::string_view kBoundsText = "an access may lie outside of its memory: check the bounds first";
constexpr std::string_view kOpcodeText = "that is no instruction of this kernel: build for an older -mcpu";

// The first that is found wins, so narrower ones stand first.
constexpr std::array kPatterns = {
    Pattern{"!read_ok", VerifierRule::kUninitialised, kInitialise},
    Pattern{"_or_null'", VerifierRule::kNullCheck, kNull},
    Pattern{"cannot call GPL-restricted function", VerifierRule::kGplHelper,
            "that helper is for GPL-compatible programs only: declare the licence \"GPL\" or do without"},
    Pattern{"reference leak", VerifierRule::kLeak, kLeakText},
    Pattern{"Unreleased reference", VerifierRule::kLeak, kLeakText},
    Pattern{"should have been in", VerifierRule::kReturnRange,
            "the answer is out of what this hook allows: 0 refuses, 1 allows, nothing else"},
    Pattern{"unreachable insn", VerifierRule::kUnreachable, "instructions that no path reaches: remove them"},
    Pattern{"invalid bpf_context access", VerifierRule::kContext,
            "that field of the context is not there for this hook, or not in that size or direction"},
    Pattern{"program of this type cannot use helper", VerifierRule::kHelper, kHelperText},
    Pattern{"unknown func", VerifierRule::kHelper, kHelperText},
    Pattern{"invalid func", VerifierRule::kHelper, kHelperText},
    Pattern{"not pointing to valid bpf_map", VerifierRule::kStaleMap,
            "a map's descriptor in the program is no map: it was closed or given over"},
    Pattern{"unknown opcode", VerifierRule::kOpcode, kOpcodeText},
    Pattern{"invalid BPF_", VerifierRule::kOpcode, kOpcodeText},
    Pattern{"uses reserved fields", VerifierRule::kOpcode, kOpcodeText},
    Pattern{"invalid stack", VerifierRule::kStack, kStackText},
    Pattern{"invalid write to stack", VerifierRule::kStack, kStackText},
    Pattern{"invalid read from stack", VerifierRule::kStack, kStackText},
    Pattern{"invalid indirect read from stack", VerifierRule::kStack, kStackText},
    Pattern{"invalid indirect access to stack", VerifierRule::kStack, kStackText},
    Pattern{"stack depth of", VerifierRule::kStack, kStackText},
    Pattern{"stack size of", VerifierRule::kStack, kStackText},
    Pattern{"program is too large", VerifierRule::kTooComplex, "the verifier gave up after a million steps: fewer branches, shorter loops"},
    Pattern{"too complex", VerifierRule::kTooComplex, "the verifier gave up: fewer branches, shorter loops"},
    Pattern{"infinite loop", VerifierRule::kLoop, "a loop must have an end that the verifier can see"},
    Pattern{"back-edge", VerifierRule::kLoop, "this kernel knows no loops: unroll them"},
    Pattern{"invalid access to", VerifierRule::kBounds, kBoundsText},
    Pattern{"outside of the", VerifierRule::kBounds, kBoundsText},
    Pattern{"min value is", VerifierRule::kBounds, kBoundsText},
    Pattern{"invalid mem access", VerifierRule::kArgument, "a value is used as a pointer that is none"},
    Pattern{"expected=", VerifierRule::kArgument, "a helper is given an argument of another kind than it takes"},
};

bool is_statistics(std::string_view line) {
  return line.empty() || line.starts_with("processed ") || line.starts_with("verification time ") || line.starts_with("stack depth ");
}

std::vector<std::string_view> lines_of(std::string_view log) {
  std::vector<std::string_view> lines;
  while (!log.empty()) {
    const auto end = log.find('\n');
    if (const auto line = log.substr(0, end); !is_statistics(line)) lines.push_back(line);
    log = end == std::string_view::npos ? std::string_view() : log.substr(end + 1);
  }
  return lines;
}

}  // namespace

VerifierComplaint read_verifier_log(std::string_view log) {
  log = log.substr(0, log.find('\0'));
  const auto lines = lines_of(log);
  if (lines.empty()) return {};
  VerifierComplaint out{VerifierRule::kUnknown, {}, {}};
  const size_t first = lines.size() < 3 ? 0 : lines.size() - 3;
  for (size_t i = first; i < lines.size(); ++i) out.lines.append(i == first ? "" : "; ").append(lines[i]);
  // The complaint is the last thing said but for a hint or two; earlier lines are instructions.
  for (size_t i = lines.size(); i-- > first;)
    for (const auto& pattern : kPatterns)
      if (lines[i].find(pattern.words) != std::string_view::npos) {
        out.rule = pattern.rule;
        out.text = pattern.text;
        return out;
      }
  return out;
}

}  // namespace pintle::bpf
