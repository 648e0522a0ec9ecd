// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "model/network_policy.h"

#include <algorithm>

#include <netinet/in.h>

namespace pintle::model {
namespace {

bool meets(const LabelRequirement& requirement, const StringMap& labels) {
  using enum LabelRequirement::Op;
  const auto found = labels.find(requirement.key);
  const bool is_listed = found != labels.end() && std::ranges::find(requirement.values, found->second) != requirement.values.end();
  switch (requirement.op) {
    case kIn: return is_listed;
    case kNotIn: return !is_listed;  // also without the label
    case kExists: return found != labels.end();
    case kDoesNotExist: return found == labels.end();
  }
  return false;
}

}  // namespace

bool LabelSelector::matches(const StringMap& labels) const {
  const auto has = [&](const auto& pair) {
    const auto found = labels.find(pair.first);
    return found != labels.end() && found->second == pair.second;
  };
  return std::ranges::all_of(match_labels, has) &&
         std::ranges::all_of(match_expressions, [&](const auto& requirement) { return meets(requirement, labels); });
}

uint8_t ip_protocol(Protocol protocol) {
  switch (protocol) {
    case Protocol::kTcp: return IPPROTO_TCP;
    case Protocol::kUdp: return IPPROTO_UDP;
    case Protocol::kSctp: return IPPROTO_SCTP;
  }
  return IPPROTO_TCP;
}

std::string protocol_name(uint8_t protocol) {
  switch (protocol) {
    case IPPROTO_TCP: return "tcp";
    case IPPROTO_UDP: return "udp";
    case IPPROTO_SCTP: return "sctp";
    default: return std::to_string(protocol);
  }
}

std::vector<NamedPort> named_ports(const PodSpec& spec) {
  std::vector<NamedPort> out;
  const auto add = [&](const Container& container) {
    for (const auto& port : container.ports)
      if (!port.name.empty()) out.push_back({port.name, ip_protocol(port.protocol), static_cast<uint16_t>(port.container_port)});
  };
  for (const auto& container : spec.containers) add(container);
  for (const auto& container : spec.init_containers)
    if (container.restart_policy == RestartPolicy::kAlways) add(container);
  std::ranges::sort(out);
  return out;
}

}  // namespace pintle::model
