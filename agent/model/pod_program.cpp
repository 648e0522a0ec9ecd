// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "model/pod_program.h"

#include <algorithm>

namespace pintle::model {
namespace {

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const auto& word : words) text.append(text.empty() ? "" : ",").append(word);
  return text;
}

std::string describe(const LabelRequirement& wanted) {
  switch (wanted.op) {
    case LabelRequirement::Op::kIn: return wanted.key + " in (" + joined(wanted.values) + ")";
    case LabelRequirement::Op::kNotIn: return wanted.key + " notin (" + joined(wanted.values) + ")";
    case LabelRequirement::Op::kExists: return wanted.key;
    case LabelRequirement::Op::kDoesNotExist: return "!" + wanted.key;
  }
  return {};
}

}  // namespace

bool PodProgram::selects(const std::string& namespace_, const StringMap& labels) const {
  return (namespaces.empty() || std::ranges::find(namespaces, namespace_) != namespaces.end()) && pods.matches(labels);
}

std::string describe_selector(const PodProgram& program) {
  std::string text;
  const auto add = [&text](const std::string& part) { text.append(text.empty() ? "" : "; ").append(part); };
  if (!program.namespaces.empty()) add((program.namespaces.size() == 1 ? "namespace " : "namespaces ") + joined(program.namespaces));
  for (const auto& [key, value] : program.pods.match_labels) add(key + "=" + value);
  for (const auto& wanted : program.pods.match_expressions) add(describe(wanted));
  return text.empty() ? "every pod" : text;
}

}  // namespace pintle::model
