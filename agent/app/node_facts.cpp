// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "app/node_facts.h"

#include <sstream>

#include "base/unique_fd.h"
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

// Row 18.7: comments, the last search line wins, trailing dots trimmed.
model::ResolvedDns read_resolv_conf(const std::string& path) {
  model::ResolvedDns dns;
  if (path.empty()) return {.servers = {"127.0.0.1"}, .searches = {"."}};  // row 18.2
  const auto text = read_file(path);
  if (!text) return dns;
  std::istringstream lines(*text);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line.substr(0, line.find_first_of("#;")));
    std::string key;
    words >> key;
    std::vector<std::string> values;
    for (std::string word; words >> word;) values.push_back(word);
    if (key == "nameserver" && !values.empty()) dns.servers.push_back(values.front());
    if (key == "options") dns.options.insert(dns.options.end(), values.begin(), values.end());
    if (key == "search") {
      dns.searches.clear();
      for (auto value : values) {
        while (value.size() > 1 && value.back() == '.') value.pop_back();
        dns.searches.push_back(value);
      }
    }
  }
  return dns;
}

}  // namespace

std::vector<std::string> node_addresses(const config::AgentConfig& config) {
  if (!config.pintle.node_ip.empty()) return split(config.pintle.node_ip, ',');
  auto found = node::default_route_addresses("/");
  return found.empty() ? std::vector<std::string>{"127.0.0.1"} : found;
}

node::NodeSettings node_settings(const config::AgentConfig& config, const std::vector<std::string>& addresses) {
  node::NodeSettings settings;
  settings.name = config.pintle.node_name;
  settings.labels = config.pintle.node_labels;
  settings.taints = config.register_with_taints;
  settings.addresses = addresses;
  settings.kubelet_port = 0;  // the node's HTTPS API is not built: no endpoint is published
  settings.max_pods = config.max_pods;
  settings.system_reserved = config.system_reserved;
  settings.kube_reserved = config.kube_reserved;
  return settings;
}

lifecycle::NodeFacts node_facts(const config::AgentConfig& config, const std::vector<std::string>& addresses, const node::NodeSettings& settings,
                                const node::MachineInfo& machine) {
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
  facts.cluster_dns = config.cluster_dns;
  if (!config.cluster_domain.empty()) facts.cluster_domain = config.cluster_domain;
  facts.host_dns = read_resolv_conf(config.resolv_conf);
  return facts;
}

}  // namespace pintle::app
