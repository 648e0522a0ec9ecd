// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "app/node_facts.h"

#include <algorithm>
#include <memory>
#include <sstream>

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <unistd.h>

#include "base/log.h"
#include "base/unique_fd.h"
#include "lifecycle/dns.h"
#include "node/machine_info.h"

namespace pintle::app {
namespace {

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> parts;
  std::istringstream stream(text);
  for (std::string part; std::getline(stream, part, separator);)
    if (!part.empty()) parts.push_back(part);
  return parts;
}

model::ResolvedDns host_dns(const std::string& path) {
  if (path.empty()) return {.servers = {"127.0.0.1"}, .searches = {"."}};  // row 18.2
  const auto text = read_file(path);
  const auto dns = text ? lifecycle::parse_resolv_conf(*text) : Result<model::ResolvedDns>(std::unexpected(text.error()));
  if (dns) return *dns;
  PINTLE_LOG(kWarning, "config", "resolvConf '{}': {}; pods with dnsPolicy Default get no DNS", path, dns.error().message());
  return {};
}

// Row 16.10: of the masked paths only those that exist on this machine.
std::vector<std::string> thermal_paths() {
  std::vector<std::string> paths;
  for (int cpu = 0;; ++cpu) {
    const std::string folder = "/sys/devices/system/cpu/cpu" + std::to_string(cpu);
    if (::access(folder.c_str(), F_OK) != 0) return paths;
    const std::string path = folder + "/thermal_throttle";
    if (::access(path.c_str(), F_OK) == 0) paths.push_back(path);
  }
}

}  // namespace

std::vector<std::string> node_addresses(const config::AgentConfig& config) {
  if (!config.pintle.node_ip.empty()) return split(config.pintle.node_ip, ',');
  auto found = node::default_route_addresses("/");
  return found.empty() ? std::vector<std::string>{"127.0.0.1"} : found;
}

std::vector<model::IpAddress> interface_addresses() {
  std::vector<model::IpAddress> out;
  ifaddrs* raw = nullptr;
  if (::getifaddrs(&raw) != 0) return out;
  const std::unique_ptr<ifaddrs, decltype(&::freeifaddrs)> list(raw, ::freeifaddrs);
  for (const ifaddrs* entry = raw; entry != nullptr; entry = entry->ifa_next) {
    if (entry->ifa_addr == nullptr || (entry->ifa_flags & IFF_LOOPBACK) != 0) continue;
    char text[INET6_ADDRSTRLEN] = {};
    const void* bytes = nullptr;
    if (entry->ifa_addr->sa_family == AF_INET) bytes = &reinterpret_cast<const sockaddr_in*>(entry->ifa_addr)->sin_addr;
    if (entry->ifa_addr->sa_family == AF_INET6) bytes = &reinterpret_cast<const sockaddr_in6*>(entry->ifa_addr)->sin6_addr;
    if (bytes == nullptr || ::inet_ntop(entry->ifa_addr->sa_family, bytes, text, sizeof(text)) == nullptr) continue;
    const auto address = model::parse_ip(text);
    if (address && std::ranges::find(out, *address) == out.end()) out.push_back(*address);
  }
  return out;
}

// fib_trie: "|-- 10.0.0.1", and below it "/32 host LOCAL" if it is the machine's own. if_inet6: 32 digits, index, length, scope, …
std::vector<model::IpAddress> node_addresses_of(const std::string& folder) {
  std::vector<model::IpAddress> out;
  const auto add = [&](const std::string& text) {
    const auto address = model::parse_ip(text);
    if (address && std::ranges::find(out, *address) == out.end()) out.push_back(*address);
  };
  std::istringstream trie(read_file(folder + "/fib_trie").value_or(std::string()));
  std::string leaf;
  for (std::string line; std::getline(trie, line);) {
    if (const size_t at = line.find("|-- "); at != std::string::npos) leaf = line.substr(at + 4);
    if (line.find("/32 host LOCAL") != std::string::npos && !leaf.starts_with("127.")) add(leaf);
  }
  std::istringstream six(read_file(folder + "/if_inet6").value_or(std::string()));
  for (std::string line; std::getline(six, line);) {
    std::istringstream words(line);
    std::string digits, index, length, scope;
    if (!(words >> digits >> index >> length >> scope) || digits.size() != 32 || scope == "10") continue;  // 10: of the loopback
    std::string text;
    for (size_t i = 0; i < digits.size(); i += 4) text += (i == 0 ? "" : ":") + digits.substr(i, 4);
    add(text);
  }
  return out;
}

node::NodeSettings node_settings(const config::AgentConfig& config, const std::vector<std::string>& addresses,
                                 const node::MachineInfo& machine) {
  node::NodeSettings settings;
  settings.name = config.pintle.node_name;
  settings.labels = config.pintle.node_labels;
  settings.taints = config.register_with_taints;
  settings.addresses = addresses;
  settings.kubelet_port = 0;  // the node's HTTPS API is not built: no endpoint is published
  settings.max_pods = config.max_pods;
  settings.system_reserved = config.system_reserved;
  settings.kube_reserved = config.kube_reserved;
  // Hard eviction thresholds are not allocatable (row 7.7).
  settings.eviction_memory_bytes = 0;
  settings.eviction_storage_fraction = 0;
  if (const auto memory = config.eviction_hard.find("memory.available"); memory != config.eviction_hard.end())
    settings.eviction_memory_bytes = memory->second.quantity
                                         ? static_cast<uint64_t>(memory->second.quantity->value())
                                         : static_cast<uint64_t>(static_cast<double>(machine.memory_bytes) * memory->second.percent / 100);
  if (const auto storage = config.eviction_hard.find("nodefs.available"); storage != config.eviction_hard.end()) {
    if (storage->second.quantity)
      settings.eviction_storage_bytes = static_cast<uint64_t>(storage->second.quantity->value());
    else
      settings.eviction_storage_fraction = static_cast<float>(storage->second.percent / 100);
  }
  return settings;
}

lifecycle::NodeFacts node_facts(const config::AgentConfig& config, const std::vector<std::string>& addresses,
                                const node::NodeSettings& settings, const node::MachineInfo& machine) {
  lifecycle::NodeFacts facts;
  facts.node_name = config.pintle.node_name;
  facts.host_ips = addresses;
  facts.ebpf_default = config.pintle.ebpf.policy;
  facts.allocatable = node::allocatable_of(settings, machine);
  const auto node = node::node_to_register(settings, machine, {}, kNoTime);
  facts.labels = node.metadata.labels;
  facts.taints = node.taints;
  facts.max_restart_backoff = config.max_container_restart_period;
  facts.log_root = config.pod_logs_dir;
  facts.seccomp_root = config.pintle.root_dir + "/seccomp";
  facts.has_cluster = config.pintle.mode != config::Mode::kStandalone;
  facts.cluster_dns = config.cluster_dns;
  if (!config.cluster_domain.empty()) facts.cluster_domain = config.cluster_domain;
  facts.host_dns = host_dns(config.resolv_conf);
  facts.memory_capacity_bytes = static_cast<int64_t>(machine.memory_bytes);
  facts.extra_masked_paths = thermal_paths();
  return facts;
}

}  // namespace pintle::app
