// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
// Compiled rows agree with the plain evaluation, over random clusters, policies and addresses.
#include <random>

#include <fmt/format.h>

#include "world.h"

namespace pintle::policy {
namespace {

class Dice {
 public:
  explicit Dice(uint32_t seed) : engine_(seed) {}
  int below(int limit) { return std::uniform_int_distribution<int>(0, limit - 1)(engine_); }
  bool one_in(int n) { return below(n) == 0; }
  template <typename List>
  const auto& of(const List& list) {
    return list[static_cast<size_t>(below(static_cast<int>(std::size(list))))];
  }

 private:
  std::mt19937 engine_;
};

constexpr const char* kSpaces[] = {"a", "b", "c"};
constexpr const char* kKeys[] = {"k", "l"};
constexpr const char* kValues[] = {"x", "y", "z"};
constexpr const char* kNames[] = {"http", "dns"};
constexpr uint8_t kProtocols[] = {6, 17, 132};
constexpr uint16_t kPorts[] = {1, 53, 80, 81, 82, 443, 65535};
// Few addresses, close to one another, so that prefixes nest and touch.
constexpr const char* kBlocks[] = {"0.0.0.0/0",   "10.0.0.0/8",   "10.0.0.0/24", "10.0.0.0/28", "10.0.0.4/30",  "10.0.0.5/32",
                                   "10.0.0.8/29", "10.96.0.0/16", "::/0",        "fd00::/8",    "fd00::10/124", "fd00::12/128"};

model::IpAddress random_address(Dice& dice) {
  if (dice.one_in(4)) return ip(fmt::format("fd00::{:x}", dice.below(40)));
  if (dice.one_in(8)) return ip(fmt::format("10.96.0.{}", dice.below(4)));
  if (dice.one_in(12)) return ip(fmt::format("172.16.0.{}", dice.below(4)));
  return ip(fmt::format("10.0.{}.{}", dice.below(2), dice.below(20)));
}

model::StringMap random_labels(Dice& dice) {
  model::StringMap labels;
  for (const char* key : kKeys)
    if (!dice.one_in(3)) labels[key] = dice.of(kValues);
  return labels;
}

model::LabelSelector random_selector(Dice& dice) {
  model::LabelSelector selector;
  if (dice.one_in(3)) return selector;
  if (dice.one_in(2)) selector.match_labels[dice.of(kKeys)] = dice.of(kValues);
  if (dice.one_in(2)) {
    using enum model::LabelRequirement::Op;
    constexpr model::LabelRequirement::Op kOps[] = {kIn, kNotIn, kExists, kDoesNotExist};
    model::LabelRequirement requirement{.key = dice.of(kKeys), .op = dice.of(kOps), .values = {}};
    if (requirement.op == kIn || requirement.op == kNotIn) requirement.values = {dice.of(kValues), dice.of(kValues)};
    selector.match_expressions.push_back(requirement);
  }
  return selector;
}

model::NetworkPolicyPort random_port(Dice& dice) {
  model::NetworkPolicyPort port{.protocol = dice.of(kProtocols), .port = {}, .end_port = {}};
  if (dice.one_in(4)) return port;
  if (dice.one_in(3)) {
    port.port = std::string(dice.of(kNames));
    return port;
  }
  const int32_t number = dice.of(kPorts);
  port.port = number;
  if (dice.one_in(3)) port.end_port = std::min(65535, number + dice.below(400));
  return port;
}

model::NetworkPolicyPeer random_peer(Dice& dice) {
  model::NetworkPolicyPeer peer;
  if (dice.one_in(2)) {
    peer.block.emplace().cidr = *model::parse_prefix(dice.of(kBlocks));
    for (const char* text : kBlocks) {
      const auto inner = *model::parse_prefix(text);
      if (dice.one_in(4) && peer.block->cidr.contains(inner) && inner.length > peer.block->cidr.length) peer.block->except.push_back(inner);
    }
    return peer;
  }
  const int kind = dice.below(3);
  if (kind != 1) peer.pods = random_selector(dice);
  if (kind != 0) peer.namespaces = random_selector(dice);
  return peer;
}

std::vector<model::NetworkPolicyRule> random_rules(Dice& dice) {
  std::vector<model::NetworkPolicyRule> rules(static_cast<size_t>(dice.below(3)));
  for (auto& rule : rules) {
    for (int i = dice.below(4); i > 0; --i) rule.peers.push_back(random_peer(dice));
    for (int i = dice.below(3); i > 0; --i) rule.ports.push_back(random_port(dice));
  }
  return rules;
}

struct History {
  Cluster cluster;
  std::vector<model::NetworkPolicy> policies;
  std::vector<model::PodView> pods;

  explicit History(Dice& dice) {
    for (const char* space : kSpaces) cluster.set_namespace({space, random_labels(dice)});
    for (int i = 0; i < 12; ++i) {
      model::PodView pod{
          .namespace_ = dice.of(kSpaces), .name = fmt::format("p{}", i), .uid = fmt::format("u{}", i), .labels = random_labels(dice)};
      pod.ips.push_back(random_address(dice));
      if (dice.one_in(3)) pod.ips.push_back(random_address(dice));
      for (const char* name : kNames)
        if (dice.one_in(2)) pod.ports.push_back({name, dice.of(kProtocols), dice.of(kPorts)});
      pods.push_back(pod);
      cluster.set_pod(pod);
    }
    for (int i = 0; i < 3; ++i) {
      const std::string name = fmt::format("s{}", i), space = dice.of(kSpaces);
      cluster.set_service({space, name, {ip(fmt::format("10.96.0.{}", i))}, {{"", 6, dice.of(kPorts)}}});
      model::EndpointSliceView slice{space, name + "-1", name, {}, {{"", 6, dice.of(kPorts)}}};
      for (int n = dice.below(3); n > 0; --n) slice.ready.push_back(random_address(dice));
      cluster.set_slice(slice);
    }
    for (int i = dice.below(5); i > 0; --i) {
      model::NetworkPolicy policy{.namespace_ = dice.of(kSpaces), .name = fmt::format("n{}", i), .uid = "", .pods = random_selector(dice)};
      policy.isolates_ingress = !dice.one_in(3);
      policy.isolates_egress = !dice.one_in(3);
      policy.ingress = random_rules(dice);
      policy.egress = random_rules(dice);
      policies.push_back(policy);
    }
  }
};

}  // namespace

TEST_CASE("compiled rows say what a plain reading of the policies says") {
  const std::vector<model::IpAddress> node{ip("172.16.0.1"), ip("10.0.0.1")};
  int allowed = 0, refused = 0;
  for (uint32_t seed = 1; seed <= 400; ++seed) {
    Dice dice(seed);
    const History history(dice);
    for (const auto& pod : history.pods) {
      Subject subject{.namespace_ = pod.namespace_, .policies = {}, .ports = pod.ports, .own = pod.ips};
      for (const auto& policy : history.policies)
        if (selects(policy, pod.namespace_, pod.labels)) subject.policies.push_back(&policy);
      if (subject.policies.empty()) continue;
      const auto compiled = compile(subject, history.cluster, node);
      for (int i = 0; i < 40; ++i) {
        const Flow flow{.ingress = dice.one_in(2), .peer = random_address(dice), .protocol = dice.of(kProtocols), .port = dice.of(kPorts)};
        const auto opinion = evaluate(subject, history.cluster, node, flow);
        const bool passed = passes(compiled, flow);
        ++(passed ? allowed : refused);
        if (passed == opinion.allowed) continue;
        FAIL_CHECK(fmt::format("seed {} pod {} {} {} {}/{}: rows say {}, policies say {} ({})", seed, pod.name,
                               flow.ingress ? "from" : "to", to_string(flow.peer), flow.port, flow.protocol, passed, opinion.allowed,
                               opinion.reason));
      }
    }
  }
  // The dice are worth something only if both answers are common.
  CHECK(allowed > 5000);
  CHECK(refused > 5000);
}

TEST_CASE("rows keep their promises: sorted, unlike prefixes and classes, ranges without overlap") {
  for (uint32_t seed = 1; seed <= 100; ++seed) {
    Dice dice(seed);
    const History history(dice);
    for (const auto& pod : history.pods) {
      Subject subject{.namespace_ = pod.namespace_, .policies = {}, .ports = pod.ports, .own = pod.ips};
      for (const auto& policy : history.policies) subject.policies.push_back(&policy);
      const auto compiled = compile(subject, history.cluster, {});
      CHECK(compiled == compile(subject, history.cluster, {}));
      for (const auto* direction : {&compiled.rows.ingress, &compiled.rows.egress}) {
        for (size_t i = 1; i < direction->peers.size(); ++i) CHECK(direction->peers[i - 1].prefix < direction->peers[i].prefix);
        for (const auto& row : direction->peers) CHECK(row.class_index < direction->classes.size());
        auto classes = direction->classes;
        std::ranges::sort(classes);
        CHECK(std::ranges::adjacent_find(classes) == classes.end());
        for (const auto& ports : classes)
          for (size_t i = 1; i < ports.size(); ++i)
            CHECK((ports[i - 1].protocol < ports[i].protocol || ports[i - 1].last + 1 < ports[i].first));
      }
    }
  }
}

}  // namespace pintle::policy
