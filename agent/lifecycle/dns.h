// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Names: a pod's resolver, hostname and /etc/hosts (facts rows 18.1–18.9). Pure; reading the host's files is the caller's.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "lifecycle/decide.h"
#include "model/runtime.h"

namespace pintle::lifecycle {

// Row 18.7. kInvalid: larger than 10 MiB.
[[nodiscard]] Result<model::ResolvedDns> parse_resolv_conf(std::string_view text);

struct DnsNote {  // a Warning event
  std::string reason, message;
};
struct PodDns {
  model::ResolvedDns dns;
  std::vector<DnsNote> notes;
};
[[nodiscard]] PodDns resolve_dns(const model::Pod& pod, const NodeFacts& node);

struct PodHostname {
  std::string name;    // spec.hostname or the pod's name, at most 63 bytes
  std::string domain;  // "sub.ns.svc.cluster.local" or empty
};
[[nodiscard]] PodHostname pod_hostname(const model::Pod& pod, const NodeFacts& node);
// What the kernel's hostname becomes; empty with hostNetwork. kInvalid: setHostnameAsFQDN with more than 64 bytes.
[[nodiscard]] Result<std::string> kernel_hostname(const model::Pod& pod, const NodeFacts& node);

// The content of the pod's /etc/hosts. `host_file`: that of the node, used with hostNetwork only.
[[nodiscard]] std::string hosts_file(const model::Pod& pod, const std::vector<std::string>& ips, const NodeFacts& node,
                                     std::string_view host_file = {});

}  // namespace pintle::lifecycle
