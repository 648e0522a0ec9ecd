// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Which of the verifier's rules a log complains of, and what the rule asks for in plain words (facts/ebpf 3g "Verifier"). Pure: reads
// the log's text as Linux 5.8 to 6.18 write it; an unknown complaint is kUnknown, and the log's last lines still stand beside it.
#pragma once

#include <string>
#include <string_view>

namespace pintle::bpf {

enum class VerifierRule {
  kNone,  // the log holds no complaint
  kUninitialised,
  kNullCheck,
  kStack,
  kContext,
  kHelper,
  kGplHelper,
  kLeak,
  kReturnRange,
  kUnreachable,
  kOpcode,
  kStaleMap,
  kLoop,
  kTooComplex,
  kBounds,
  kArgument,
  kUnknown
};

struct VerifierComplaint {
  VerifierRule rule = VerifierRule::kNone;
  std::string lines;      // the log's last three, without its statistics, joined by "; "
  std::string_view text;  // what the rule asks for; empty for kNone and kUnknown
};

[[nodiscard]] VerifierComplaint read_verifier_log(std::string_view log);

}  // namespace pintle::bpf
