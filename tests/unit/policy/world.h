// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// A small cluster that the policy tests share, and policies from YAML as people write them.
#pragma once

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <deque>
#include <string>

#include "codec/manifest.h"
#include "codec/network_policy.h"
#include "policy/compile.h"
#include "policy/evaluate.h"

namespace pintle::policy {

inline model::IpAddress ip(std::string_view text) {
  const auto address = model::parse_ip(text);
  REQUIRE(address);
  return *address;
}

// The documents of `yaml`; kind and apiVersion are added.
inline std::vector<model::NetworkPolicy> policies_of(const std::string& yaml) {
  std::vector<model::NetworkPolicy> out;
  std::string text = "---\n" + yaml;
  for (size_t at = text.find("---\n"); at != std::string::npos; at = text.find("---\n", at + 4))
    text.insert(at + 4, "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\n");
  const auto manifest = codec::parse_manifest(text, "test");
  for (const auto& error : manifest.errors) FAIL(error.message());
  for (const auto& object : manifest.objects) {
    auto policy = codec::decode_network_policy(object.json);
    if (!policy) FAIL(policy.error().message());
    out.push_back(*std::move(policy));
  }
  return out;
}

inline model::PodView pod_view(const std::string& space, const std::string& name, model::StringMap labels, const std::string& address,
                               std::vector<model::NamedPort> ports = {}) {
  return {.namespace_ = space,
          .name = name,
          .uid = space + "." + name,
          .labels = std::move(labels),
          .ips = {ip(address)},
          .ports = std::move(ports)};
}

inline const std::vector<model::IpAddress>& node_addresses() {
  static const std::vector<model::IpAddress> addresses{ip("192.168.1.10"), ip("10.244.0.1")};
  return addresses;
}

// default: web, api, db, client; prod (env=prod): web, monitor; dev (env=dev): web.
struct World {
  Cluster cluster;
  std::map<std::string, model::PodView> pods;
  World() {
    cluster.set_namespace({"default", {}});
    cluster.set_namespace({"prod", {{"env", "prod"}, {"team", "ops"}}});
    cluster.set_namespace({"dev", {{"env", "dev"}}});
    add(pod_view("default", "web", {{"app", "web"}, {"tier", "front"}}, "10.244.0.10", {{"http", 6, 8080}}));
    add(pod_view("default", "api", {{"app", "api"}, {"tier", "back"}}, "10.244.0.11", {{"http", 6, 9090}, {"metrics", 6, 9100}}));
    add(pod_view("default", "db", {{"app", "db"}, {"tier", "back"}}, "10.244.0.12"));
    add(pod_view("default", "client", {}, "10.244.1.13"));
    add(pod_view("prod", "web", {{"app", "web"}}, "10.244.1.20", {{"http", 6, 80}}));
    add(pod_view("prod", "monitor", {{"type", "monitoring"}}, "10.244.1.21"));
    add(pod_view("dev", "web", {{"app", "web"}}, "10.244.1.30"));
  }
  void add(const model::PodView& pod) {
    pods[pod.namespace_ + "/" + pod.name] = pod;
    cluster.set_pod(pod);
  }
  void add_service(const std::string& space, const std::string& name, const std::string& address, uint16_t port, uint16_t target,
                   const std::vector<std::string>& ready) {
    cluster.set_service({space, name, {ip(address)}, {{"p", 6, port}}});
    model::EndpointSliceView slice{space, name + "-x", name, {}, {{"p", 6, target}}};
    for (const auto& text : ready) slice.ready.push_back(ip(text));
    cluster.set_slice(slice);
  }
  // The pod as subject to those of `policies` that select it.
  [[nodiscard]] Subject subject(const std::string& pod, const std::vector<model::NetworkPolicy>& policies) const {
    const auto& view = pods.at(pod);
    Subject out{.namespace_ = view.namespace_, .policies = {}, .ports = view.ports, .own = view.ips};
    for (const auto& policy : policies)
      if (selects(policy, view.namespace_, view.labels)) out.policies.push_back(&policy);
    return out;
  }
};

// What the programs would say of a flow.
inline bool passes(const Compiled& compiled, const Flow& flow) {
  if (!(flow.ingress ? compiled.isolate_ingress : compiled.isolate_egress)) return true;
  return allows(flow.ingress ? compiled.rows.ingress : compiled.rows.egress, flow.peer, flow.protocol, flow.port);
}

}  // namespace pintle::policy
