// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "lifecycle/dns.h"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace pintle::lifecycle {
namespace {

using model::DnsPolicy;
using model::ResolvedDns;
using Strings = std::vector<std::string>;

constexpr size_t kMaxFile = 10 * 1024 * 1024, kMaxServers = 3, kMaxSearches = 32, kMaxSearchLine = 2048, kMaxSearch = 253;

void append_new(Strings& list, const Strings& more) {
  for (const auto& item : more)
    if (std::find(list.begin(), list.end(), item) == list.end()) list.push_back(item);
}

Strings words(std::string_view line) {
  Strings out;
  size_t at = 0;
  while (at < line.size()) {
    const size_t from = line.find_first_not_of(" \t\r", at);
    if (from == std::string_view::npos) break;
    const size_t to = std::min(line.find_first_of(" \t\r", from), line.size());
    out.emplace_back(line.substr(from, to - from));
    at = to;
  }
  return out;
}

std::string option_name(const std::string& option) { return option.substr(0, option.find(':')); }

// Row 18.4: by name, the pod's over those before.
void merge_options(Strings& options, const std::vector<model::DnsOption>& more) {
  for (const auto& option : more) {
    const std::string text = option.value && !option.value->empty() ? option.name + ":" + *option.value : option.name;
    const auto known = std::find_if(options.begin(), options.end(), [&](const auto& o) { return option_name(o) == option.name; });
    if (known != options.end())
      *known = text;
    else
      options.push_back(text);
  }
}

// Row 18.5.
void apply_limits(PodDns& result) {
  auto& dns = result.dns;
  if (dns.servers.size() > kMaxServers) {
    dns.servers.resize(kMaxServers);
    result.notes.push_back(
        {"DNSConfigForming", fmt::format("Nameserver limits were exceeded, some nameservers have been omitted, the applied "
                                         "nameserver line is: {}",
                                         fmt::join(dns.servers, " "))});
  }
  const size_t asked = dns.searches.size();
  std::erase_if(dns.searches, [](const auto& search) { return search.size() > kMaxSearch; });
  if (dns.searches.size() > kMaxSearches) dns.searches.resize(kMaxSearches);
  const auto length = [&] {
    size_t sum = dns.searches.empty() ? 0 : dns.searches.size() - 1;
    for (const auto& search : dns.searches) sum += search.size();
    return sum;
  };
  while (length() > kMaxSearchLine) dns.searches.pop_back();
  if (dns.searches.size() < asked)
    result.notes.push_back(
        {"DNSConfigForming", fmt::format("Search Line limits were exceeded, some search paths have been omitted, the applied "
                                         "search line is: {}",
                                         fmt::join(dns.searches, " "))});
}

ResolvedDns of_host(const NodeFacts& node) {
  if (!node.host_dns.servers.empty() || !node.host_dns.searches.empty() || !node.host_dns.options.empty()) return node.host_dns;
  const bool v6 = !node.host_ips.empty() && node.host_ips.front().find(':') != std::string::npos;
  return {{v6 ? "::1" : "127.0.0.1"}, {"."}, {}};
}

ResolvedDns of_cluster(const model::Pod& pod, const NodeFacts& node) {
  ResolvedDns dns{node.cluster_dns, {}, {"ndots:5"}};
  if (!node.cluster_domain.empty())
    dns.searches = {fmt::format("{}.svc.{}", pod.metadata.namespace_, node.cluster_domain), "svc." + node.cluster_domain,
                    node.cluster_domain};
  append_new(dns.searches, node.host_dns.searches);
  return dns;
}

}  // namespace

Result<ResolvedDns> parse_resolv_conf(std::string_view text) {
  if (text.size() > kMaxFile) return fail(Code::kInvalid, "resolv.conf is larger than 10 MiB");
  ResolvedDns dns;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    auto fields = words(text.substr(0, std::min(end, text.substr(0, end).find('#'))));
    text.remove_prefix(std::min(end + 1, text.size()));
    if (fields.empty() || fields[0].starts_with(';')) continue;
    const std::string key = fields[0];
    fields.erase(fields.begin());
    if (key == "nameserver" && !fields.empty()) dns.servers.push_back(fields[0]);
    if (key == "search") {
      dns.searches.clear();
      for (auto& search : fields) {
        if (search.size() > 1 && search.ends_with('.')) search.pop_back();
        append_new(dns.searches, {search});
      }
    }
    if (key == "options") append_new(dns.options, fields);
  }
  return dns;
}

PodDns resolve_dns(const model::Pod& pod, const NodeFacts& node) {
  PodDns result;
  DnsPolicy policy = pod.spec.dns_policy;
  if (policy == DnsPolicy::kClusterFirst && pod.spec.host_network) policy = DnsPolicy::kDefault;
  const bool cluster = policy == DnsPolicy::kClusterFirst || policy == DnsPolicy::kClusterFirstWithHostNet;
  if (cluster && node.cluster_dns.empty()) {
    if (node.has_cluster)
      result.notes.push_back({"MissingClusterDNS",
                              fmt::format("pod: \"{}_{}({})\". kubelet does not have ClusterDNS IP configured and cannot create Pod using "
                                          "\"{}\" policy. Falling back to \"Default\" policy.",
                                          pod.metadata.name, pod.metadata.namespace_, pod.metadata.uid, to_string(pod.spec.dns_policy))});
    policy = DnsPolicy::kDefault;
  }
  if (policy == DnsPolicy::kDefault)
    result.dns = of_host(node);
  else if (policy != DnsPolicy::kNone)
    result.dns = of_cluster(pod, node);
  if (const auto& config = pod.spec.dns_config) {
    append_new(result.dns.servers, config->nameservers);
    append_new(result.dns.searches, config->searches);
    merge_options(result.dns.options, config->options);
  }
  apply_limits(result);
  return result;
}

PodHostname pod_hostname(const model::Pod& pod, const NodeFacts& node) {
  PodHostname result;
  result.name = pod.spec.hostname.empty() ? pod.metadata.name : pod.spec.hostname;
  if (result.name.size() > 63) {
    result.name.resize(63);
    while (!result.name.empty() && (result.name.back() == '-' || result.name.back() == '.')) result.name.pop_back();
  }
  if (!pod.spec.subdomain.empty())
    result.domain = fmt::format("{}.{}.svc.{}", pod.spec.subdomain, pod.metadata.namespace_, node.cluster_domain);
  return result;
}

Result<std::string> kernel_hostname(const model::Pod& pod, const NodeFacts& node) {
  if (pod.spec.host_network) return std::string();
  const auto host = pod_hostname(pod, node);
  if (!pod.spec.set_hostname_as_fqdn || host.domain.empty()) return host.name;
  const std::string full = host.name + "." + host.domain;
  if (full.size() > 64)
    return fail(Code::kInvalid,
                fmt::format("failed to construct FQDN from Pod hostname and cluster domain, FQDN {} is too long (64 characters is "
                            "the max, {} characters requested)",
                            full, full.size()));
  return full;
}

std::string hosts_file(const model::Pod& pod, const std::vector<std::string>& ips, const NodeFacts& node, std::string_view host_file) {
  std::string text;
  if (pod.spec.host_network) {
    text = "# Kubernetes-managed hosts file (host network).\n";
    text += host_file;
  } else {
    text =
        "# Kubernetes-managed hosts file.\n"
        "127.0.0.1\tlocalhost\n"
        "::1\tlocalhost ip6-localhost ip6-loopback\n"
        "fe00::0\tip6-localnet\n"
        "fe00::0\tip6-mcastprefix\n"
        "fe00::1\tip6-allnodes\n"
        "fe00::2\tip6-allrouters\n";
    const auto host = pod_hostname(pod, node);
    for (const auto& ip : ips)
      text += host.domain.empty() ? fmt::format("{}\t{}\n", ip, host.name)
                                  : fmt::format("{}\t{}.{}\t{}\n", ip, host.name, host.domain, host.name);
  }
  if (pod.spec.host_aliases.empty()) return text;
  text += "\n# Entries added by HostAliases.\n";
  for (const auto& alias : pod.spec.host_aliases) text += fmt::format("{}\t{}\n", alias.ip, fmt::join(alias.hostnames, "\t"));
  return text;
}

}  // namespace pintle::lifecycle
