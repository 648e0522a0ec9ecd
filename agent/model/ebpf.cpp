// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "model/ebpf.h"

namespace pintle::model {

std::string_view to_string(Hook hook) {
  switch (hook) {
    case Hook::kIngress: return "ingress";
    case Hook::kEgress: return "egress";
    case Hook::kConnect4: return "connect4";
    case Hook::kConnect6: return "connect6";
  }
  return "";
}

std::string_view to_string(EbpfPolicy policy) {
  switch (policy) {
    case EbpfPolicy::kRequired: return "required";
    case EbpfPolicy::kBestEffort: return "best-effort";
    case EbpfPolicy::kOff: return "off";
  }
  return "";
}

std::optional<EbpfPolicy> parse_ebpf_policy(std::string_view text) {
  for (const auto policy : {EbpfPolicy::kRequired, EbpfPolicy::kBestEffort, EbpfPolicy::kOff})
    if (text == to_string(policy)) return policy;
  return std::nullopt;
}

std::string_view to_string(HookState state) {
  switch (state) {
    case HookState::kAttached: return "Attached";
    case HookState::kAdopted: return "Adopted";
    case HookState::kDead: return "Dead";
    case HookState::kRefused: return "Refused";
    case HookState::kOff: return "Off";
  }
  return "";
}

std::string_view to_string(ProgramEventKind kind) {
  switch (kind) {
    case ProgramEventKind::kConnect: return "connect";
    case ProgramEventKind::kExec: return "exec";
    case ProgramEventKind::kExit: return "exit";
  }
  return "";
}

}  // namespace pintle::model
