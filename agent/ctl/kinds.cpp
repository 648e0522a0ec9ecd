// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "ctl/kinds.h"

#include <algorithm>

#include <fmt/format.h>

namespace pintle::ctl {
namespace {

struct Known {
  const char* plural;
  const char* singular;
  const char* brief;
  bool namespaced;
};
constexpr Known kKnown[] = {{"pods", "pod", "po", true},
                            {"nodes", "node", "no", false},
                            {"events", "event", "ev", true},
                            {"configmaps", "configmap", "cm", true},
                            {"secrets", "secret", "secret", true},
                            {"persistentvolumeclaims", "persistentvolumeclaim", "pvc", true},
                            {"persistentvolumes", "persistentvolume", "pv", false},
                            {"serviceaccounts", "serviceaccount", "sa", true},
                            {"services", "service", "svc", true},
                            {"leases", "lease", "lease", true},
                            {"networkpolicies", "networkpolicy", "netpol", true},
                            {"endpointslices", "endpointslice", "endpointslice", true},
                            {"namespaces", "namespace", "ns", false}};

}  // namespace

Kind parse_kind(const std::string& word) {
  std::string lower = word;
  std::ranges::transform(lower, lower.begin(), [](char c) { return static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c); });
  for (const auto& known : kKnown)
    if (lower == known.plural || lower == known.singular || lower == known.brief) return {known.plural, known.singular, known.namespaced};
  return {lower, lower.size() > 1 && lower.back() == 's' ? lower.substr(0, lower.size() - 1) : lower, true};
}

std::vector<std::string> known_kinds() {
  std::vector<std::string> names;
  for (const auto& known : kKnown) names.emplace_back(known.plural);
  return names;
}

Result<Target> parse_target(const std::vector<std::string>& words) {
  if (words.empty()) return fail(Code::kInvalid, "what to show is missing; for example: pods, pod/web, nodes, events");
  Target target;
  if (words.front().find('/') == std::string::npos) {
    target.kind = parse_kind(words.front());
    target.names.assign(words.begin() + 1, words.end());
    for (const auto& name : target.names)
      if (name.empty() || name.find('/') != std::string::npos)
        return fail(Code::kInvalid, fmt::format("'{}' is not a name; write either KIND NAME or KIND/NAME", name));
    return target;
  }
  for (const auto& word : words) {
    const size_t slash = word.find('/');
    if (slash == std::string::npos || slash == 0 || slash + 1 == word.size() || word.find('/', slash + 1) != std::string::npos)
      return fail(Code::kInvalid, fmt::format("'{}' is not KIND/NAME", word));
    auto kind = parse_kind(word.substr(0, slash));
    if (!target.names.empty() && kind.plural != target.kind.plural)
      return fail(Code::kInvalid, fmt::format("'{}': one call shows one kind, and {} were asked for first", word, target.kind.plural));
    target.kind = std::move(kind);
    target.names.push_back(word.substr(slash + 1));
  }
  return target;
}

}  // namespace pintle::ctl
