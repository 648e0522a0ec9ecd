// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// A BPF program of an operator and the pods it is meant for (pintle.dev/v1alpha1, kind PodProgram; docs/programs.md). Where it comes
// from and what became of it are ports/pod_programs.h's. Plain values.
#pragma once

#include <string>
#include <vector>

#include "model/ebpf.h"
#include "model/network_policy.h"

namespace pintle::model {

inline constexpr std::string_view kPodProgramApiVersion = "pintle.dev/v1alpha1";
inline constexpr std::string_view kPodProgramKind = "PodProgram";
inline constexpr std::string_view kPodProgramLabel = "pintle.dev/pod-program";  // "true" on a ConfigMap: it holds programs

struct PodProgram {
  std::string name;     // a DNS label; one program of the node has it
  std::string object;   // a file beside this one, or a key of the ConfigMap's binaryData
  std::string program;  // the function's name in it
  ProgramHook hook = ProgramHook::kIngress;
  std::vector<std::string> namespaces;  // empty: all
  LabelSelector pods;
  ProgramOrder order = ProgramOrder::kAny;
  bool required = false;
  bool operator==(const PodProgram&) const = default;

  [[nodiscard]] bool selects(const std::string& namespace_, const StringMap& labels) const;
};

// "namespaces shop,test; app=web; tier in (a,b)", "every pod".
[[nodiscard]] std::string describe_selector(const PodProgram& program);

}  // namespace pintle::model
