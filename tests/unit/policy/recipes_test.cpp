// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
// Network policies as people use them, each with the flows that it must let through and must not. Every flow is asked of the compiled
// rows and of the plain evaluation.
#include <fmt/format.h>

#include "world.h"

namespace pintle::policy {
namespace {

struct Case {
  const char* flow;  // "in default/web 80", "out 10.0.0.1 53/udp", "out default/api 9090"
  bool allowed;
};
struct Recipe {
  const char* name;
  const char* policies;
  const char* pod;
  std::vector<Case> cases;
};

Flow parse_flow(const World& world, const std::string& text) {
  const auto first = text.find(' '), second = text.find(' ', first + 1);
  const std::string peer = text.substr(first + 1, second - first - 1), port = text.substr(second + 1);
  Flow flow{.ingress = text.starts_with("in"), .peer = {}};
  flow.peer = world.pods.contains(peer) ? world.pods.at(peer).ips.front() : ip(peer);
  flow.port = static_cast<uint16_t>(std::stoi(port));
  if (port.ends_with("/udp")) flow.protocol = 17;
  if (port.ends_with("/sctp")) flow.protocol = 132;
  if (port.ends_with("/icmp")) flow.protocol = 1;
  return flow;
}

const Recipe kRecipes[] = {
    {"a policy of another namespace or other labels does not touch a pod",
     "metadata: {name: other, namespace: prod}\nspec: {podSelector: {}}\n---\nmetadata: {name: db}\nspec: {podSelector: {matchLabels: "
     "{app: db}}}",
     "default/web",
     {{"in default/client 80", true}, {"out 8.8.8.8 53/udp", true}}},
    {"deny all ingress to one app",
     "metadata: {name: deny}\nspec: {podSelector: {matchLabels: {app: web}}, ingress: []}",
     "default/web",
     {{"in default/client 80", false},
      {"in 8.8.8.8 80", false},
      {"in default/client 0/icmp", false},
      {"out 8.8.8.8 443", true},
      {"in 192.168.1.10 8080", true},
      {"in 10.244.0.1 8080", true},
      {"in 127.0.0.1 8080", true},
      {"in default/web 8080", true}}},
    {"only some pods of the same namespace may come in",
     "metadata: {name: limit}\nspec: {podSelector: {matchLabels: {app: api}}, ingress: [{from: [{podSelector: {matchLabels: {app: "
     "web}}}]}]}",
     "default/api",
     {{"in default/web 1", true}, {"in default/web 0/icmp", true}, {"in prod/web 1", false}, {"in default/client 1", false}}},
    {"an empty rule lets everyone in, beside a policy that denies",
     "metadata: {name: deny}\nspec: {podSelector: {}}\n---\nmetadata: {name: all}\nspec: {podSelector: {matchLabels: {app: web}}, ingress: "
     "[{}]}",
     "default/web",
     {{"in default/client 80", true}, {"in 8.8.8.8 1/udp", true}, {"in 2001:db8::1 80", true}, {"in dev/web 0/icmp", true}}},
    {"an empty `from` is everyone",
     "metadata: {name: all}\nspec: {podSelector: {}, ingress: [{from: [], ports: [{port: 80}]}]}",
     "default/web",
     {{"in 8.8.8.8 80", true}, {"in 8.8.8.8 81", false}, {"in 8.8.8.8 80/udp", false}}},
    {"deny from other namespaces: an empty pod selector is every pod of one's own",
     "metadata: {name: own}\nspec: {podSelector: {}, ingress: [{from: [{podSelector: {}}]}]}",
     "default/db",
     {{"in default/client 1", true}, {"in prod/web 1", false}, {"in 8.8.8.8 1", false}}},
    {"allow from all namespaces: pods, but nobody from outside",
     "metadata: {name: pods}\nspec: {podSelector: {}, ingress: [{from: [{namespaceSelector: {}}]}]}",
     "default/web",
     {{"in prod/web 1", true}, {"in default/client 1", true}, {"in 10.244.1.99 1", false}}},
    {"allow from a namespace by its label",
     "metadata: {name: prod}\nspec: {podSelector: {matchLabels: {app: web}}, ingress: [{from: [{namespaceSelector: {matchLabels: {env: "
     "prod}}}]}]}",
     "default/web",
     {{"in prod/web 1", true}, {"in prod/monitor 1", true}, {"in dev/web 1", false}, {"in default/client 1", false}}},
    {"a namespace is found by its name too",
     "metadata: {name: by-name}\nspec: {podSelector: {}, ingress: [{from: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: "
     "dev}}}]}]}",
     "default/web",
     {{"in dev/web 1", true}, {"in prod/web 1", false}}},
    {"both selectors in one peer are AND",
     "metadata: {name: both}\nspec: {podSelector: {}, ingress: [{from: [{namespaceSelector: {matchLabels: {team: ops}}, podSelector: "
     "{matchLabels: {type: monitoring}}}]}]}",
     "default/web",
     {{"in prod/monitor 1", true}, {"in prod/web 1", false}, {"in default/client 1", false}}},
    {"two peers are OR",
     "metadata: {name: either}\nspec: {podSelector: {}, ingress: [{from: [{namespaceSelector: {matchLabels: {team: ops}}}, {podSelector: "
     "{matchLabels: {app: db}}}]}]}",
     "default/web",
     {{"in prod/web 1", true}, {"in default/db 1", true}, {"in default/client 1", false}}},
    {"only one port of an app",
     "metadata: {name: port}\nspec: {podSelector: {matchLabels: {app: api}}, ingress: [{ports: [{port: 9100}], from: [{podSelector: "
     "{matchLabels: {tier: front}}}]}]}",
     "default/api",
     {{"in default/web 9100", true}, {"in default/web 9101", false}, {"in default/web 9100/udp", false}, {"in default/db 9100", false}}},
    {"multiple selectors: rules add up",
     "metadata: {name: more}\nspec: {podSelector: {matchLabels: {app: db}}, ingress: [{from: [{podSelector: {matchLabels: {app: web}}}], "
     "ports: "
     "[{port: 1}]}, {from: [{podSelector: {matchLabels: {app: web}}}, {podSelector: {matchLabels: {app: api}}}], ports: [{port: 2}]}]}",
     "default/db",
     {{"in default/web 1", true}, {"in default/web 2", true}, {"in default/api 1", false}, {"in default/api 2", true}}},
    {"policies of one pod add up",
     "metadata: {name: a}\nspec: {podSelector: {}, ingress: [{from: [{podSelector: {matchLabels: {app: web}}}], ports: [{port: "
     "1}]}]}\n---\n"
     "metadata: {name: b}\nspec: {podSelector: {matchLabels: {app: db}}, ingress: [{from: [{ipBlock: {cidr: 10.244.0.0/24}}], ports: "
     "[{port: 2}]}]}",
     "default/db",
     {{"in default/web 1", true},
      {"in default/web 2", true},
      {"in default/api 1", false},
      {"in default/api 2", true},
      {"in prod/web 2", false}}},
    {"a range of ports, and a protocol without a port",
     "metadata: {name: range}\nspec: {podSelector: {}, ingress: [{ports: [{port: 3000, endPort: 3010}, {protocol: SCTP}, {protocol: UDP, "
     "port: 53}]}]}",
     "default/web",
     {{"in 8.8.8.8 2999", false},
      {"in 8.8.8.8 3000", true},
      {"in 8.8.8.8 3010", true},
      {"in 8.8.8.8 3011", false},
      {"in 8.8.8.8 7/sctp", true},
      {"in 8.8.8.8 53/udp", true},
      {"in 8.8.8.8 53", false},
      {"in 8.8.8.8 0/icmp", false}}},
    {"a named port of ingress is the selected pod's",
     "metadata: {name: named}\nspec: {podSelector: {}, ingress: [{ports: [{port: http}]}]}",
     "default/api",
     {{"in default/web 9090", true}, {"in default/web 8080", false}}},
    {"a named port that the pod has not opens nothing",
     "metadata: {name: named}\nspec: {podSelector: {}, ingress: [{ports: [{port: http}]}]}",
     "default/db",
     {{"in default/web 9090", false}, {"in default/web 80", false}}},
    {"a named port of egress is the other pod's, each its own",
     "metadata: {name: named}\nspec: {podSelector: {}, policyTypes: [Egress], egress: [{to: [{podSelector: {}}, {namespaceSelector: "
     "{matchLabels: {env: "
     "prod}}}], ports: [{port: http}]}]}",
     "default/client",
     {{"out default/web 8080", true},
      {"out default/api 9090", true},
      {"out default/api 8080", false},
      {"out prod/web 80", true},
      {"out default/db 8080", false}}},
    {"a named port of egress to everyone: pods that have it, and no address else",
     "metadata: {name: named}\nspec: {podSelector: {}, policyTypes: [Egress], egress: [{ports: [{port: http}]}]}",
     "default/client",
     {{"out default/web 8080", true}, {"out 8.8.8.8 8080", false}, {"out default/api 8080", false}}},
    {"deny egress but DNS",
     "metadata: {name: dns}\nspec: {podSelector: {matchLabels: {app: web}}, policyTypes: [Egress], egress: [{ports: [{port: 53, protocol: "
     "UDP}, "
     "{port: 53, protocol: TCP}]}]}",
     "default/web",
     {{"out 8.8.8.8 53", true},
      {"out 8.8.8.8 53/udp", true},
      {"out 8.8.8.8 443", false},
      {"in 8.8.8.8 80", true},
      {"out default/web 8080", true}}},
    {"egress rules without policyTypes isolate both ways",
     "metadata: {name: eg}\nspec: {podSelector: {}, egress: [{}]}",
     "default/web",
     {{"out 8.8.8.8 443", true}, {"in default/client 80", false}}},
    {"policyTypes Egress alone: rules for ingress are ignored",
     "metadata: {name: eg}\nspec: {podSelector: {}, policyTypes: [Egress], ingress: [{}]}",
     "default/web",
     {{"in default/client 80", true}, {"out default/client 80", false}}},
    {"deny external egress: pods of any namespace only; the node is not let out to",
     "metadata: {name: inside}\nspec: {podSelector: {}, policyTypes: [Egress], egress: [{to: [{namespaceSelector: {}}]}]}",
     "default/web",
     {{"out prod/web 80", true}, {"out 8.8.8.8 80", false}, {"out 192.168.1.10 80", false}}},
    {"a block with exceptions, and a wider block of another policy that has none",
     "metadata: {name: a}\nspec: {podSelector: {}, policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 0.0.0.0/0, except: [10.0.0.0/8, "
     "169.254.169.254/32]}}], ports: [{port: 443}]}]}\n---\n"
     "metadata: {name: b}\nspec: {podSelector: {}, policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 10.1.0.0/16, except: "
     "[10.1.2.0/24]}}]}]}",
     "default/web",
     {{"out 8.8.8.8 443", true},
      {"out 8.8.8.8 80", false},
      {"out 10.2.0.1 443", false},
      {"out 169.254.169.254 443", false},
      {"out 10.1.9.9 80", true},
      {"out 10.1.2.3 443", false},
      {"out 2001:db8::1 443", false}}},
    {"a block simply matches addresses, pods' too",
     "metadata: {name: b}\nspec: {podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 10.244.1.0/24}}]}]}",
     "default/web",
     {{"in prod/web 1", true}, {"in default/client 1", true}, {"in default/api 1", false}}},
    {"all of IPv6 is not IPv4",
     "metadata: {name: six}\nspec: {podSelector: {}, policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: '::/0', except: "
     "['2001:db8::/32']}}]}]}",
     "default/web",
     {{"out 2606::1 1", true}, {"out 2001:db8::9 1", false}, {"out 8.8.8.8 1", false}}},
    {"expressions: In, NotIn, Exists, DoesNotExist",
     "metadata: {name: x}\nspec: {podSelector: {matchExpressions: [{key: app, operator: In, values: [web, api]}, {key: app, operator: "
     "Exists}]}, "
     "ingress: [{from: [{podSelector: {matchExpressions: [{key: tier, operator: NotIn, values: [back]}, {key: app, operator: "
     "DoesNotExist}]}}]}]}",
     "default/web",
     {{"in default/client 1", true}, {"in default/db 1", false}, {"in default/web 1", true}}},
    {"deny everything",
     "metadata: {name: none}\nspec: {podSelector: {}, policyTypes: [Ingress, Egress]}",
     "default/web",
     {{"in default/api 1", false}, {"out default/api 1", false}, {"out 127.0.0.1 9", true}, {"in ::1 9", true}}},
};

}  // namespace

TEST_CASE("recipes of network policies let through what they say") {
  const World world;
  for (const auto& recipe : kRecipes) {
    const auto policies = policies_of(recipe.policies);
    const auto subject = world.subject(recipe.pod, policies);
    const auto compiled = compile(subject, world.cluster, node_addresses());
    for (const auto& one : recipe.cases) {
      const auto flow = parse_flow(world, one.flow);
      const auto opinion = evaluate(subject, world.cluster, node_addresses(), flow);
      INFO(recipe.name << ": " << recipe.pod << " " << one.flow << ": " << opinion.reason);
      CHECK(passes(compiled, flow) == one.allowed);
      CHECK(opinion.allowed == one.allowed);
    }
  }
}

TEST_CASE("a cluster IP is open when one ready endpoint behind it is") {
  World world;
  world.add_service("default", "api", "10.96.0.5", 80, 9090, {"10.244.0.11"});
  world.add_service("default", "mixed", "10.96.0.6", 80, 9090, {"10.244.0.12", "10.244.0.11"});
  world.add_service("default", "db", "10.96.0.7", 80, 5432, {"10.244.0.12"});
  world.add_service("default", "idle", "10.96.0.8", 80, 9090, {});
  const auto policies = policies_of(
      "metadata: {name: a}\nspec: {podSelector: {}, policyTypes: [Egress], egress: [{to: [{podSelector: {matchLabels: {app: api}}}], "
      "ports: [{port: "
      "9090}]}]}");
  const auto subject = world.subject("default/client", policies);
  const auto compiled = compile(subject, world.cluster, node_addresses());
  const auto out = [&](const char* address, uint16_t port) {
    const Flow flow{.ingress = false, .peer = ip(address), .protocol = 6, .port = port};
    CHECK(evaluate(subject, world.cluster, node_addresses(), flow).allowed == passes(compiled, flow));
    return passes(compiled, flow);
  };
  CHECK(out("10.96.0.5", 80));
  CHECK(out("10.244.0.11", 9090));
  CHECK_FALSE(out("10.96.0.5", 9090));
  CHECK(out("10.96.0.6", 80));
  CHECK_FALSE(out("10.96.0.7", 80));
  CHECK_FALSE(out("10.96.0.8", 80));
  const auto told =
      evaluate(subject, world.cluster, node_addresses(), {.ingress = false, .peer = ip("10.96.0.5"), .protocol = 6, .port = 80});
  CHECK(told.reason == "it is service 'default/api', and to 10.244.0.11:9090 behind it: policy 'default/a' rule 1 allows it");
}

TEST_CASE("reasons name the policy and the rule") {
  const World world;
  const auto policies = policies_of(
      "metadata: {name: deny-all}\nspec: {podSelector: {}}\n---\nmetadata: {name: db}\nspec: {podSelector: {matchLabels: {app: db}}, "
      "ingress: "
      "[{ports: [{port: 1}]}, {ports: [{port: 2}]}]}");
  const auto subject = world.subject("default/db", policies);
  const auto reason = [&](const char* peer, uint16_t port) {
    return evaluate(subject, world.cluster, node_addresses(), {.ingress = true, .peer = ip(peer), .protocol = 6, .port = port}).reason;
  };
  CHECK(reason("8.8.8.8", 2) == "policy 'default/db' rule 2 allows it");
  CHECK(reason("8.8.8.8", 3) == "its ingress is isolated by 'default/deny-all', 'default/db', and no rule matches");
  CHECK(reason("192.168.1.10", 3) == "its own node always reaches it");
}

TEST_CASE("rows are few: what a prefix around says already is left out, classes are shared") {
  World world;
  for (int i = 0; i < 200; ++i) world.add(pod_view("default", fmt::format("w{}", i), {{"app", "web"}}, fmt::format("10.244.7.{}", i + 1)));
  SECTION("everyone is open: no row for pods") {
    const auto policies = policies_of("metadata: {name: a}\nspec: {podSelector: {}, ingress: [{}, {from: [{podSelector: {}}]}]}");
    const auto compiled = compile(world.subject("default/db", policies), world.cluster, node_addresses());
    CHECK(compiled.rows.ingress.peers.size() == 1);
    CHECK(compiled.rows.ingress.classes == std::vector<std::vector<model::PortRange>>{{model::PortRange{}}});
  }
  SECTION("two hundred pods alike: one class") {
    const auto policies = policies_of(
        "metadata: {name: a}\nspec: {podSelector: {}, ingress: [{from: [{podSelector: {matchLabels: {app: web}}}], ports: [{port: 1}]}]}");
    const auto compiled = compile(world.subject("default/db", policies), world.cluster, node_addresses());
    CHECK(compiled.rows.ingress.classes.size() == 2);  // that one, and the node's
    CHECK(compiled.rows.ingress.peers.size() == 201 + 5);
  }
}

TEST_CASE("own addresses get into rows that were shared") {
  const World world;
  const auto policies = policies_of("metadata: {name: none}\nspec: {podSelector: {}, policyTypes: [Ingress, Egress]}");
  auto subject = world.subject("default/web", policies);
  const auto alone = compile(subject, world.cluster, node_addresses());
  const auto own = std::exchange(subject.own, {});
  auto shared = compile(subject, world.cluster, node_addresses());
  CHECK_FALSE(allows(shared.rows.egress, own.front(), 6, 1));
  open_to(shared.rows.ingress, own);
  open_to(shared.rows.egress, own);
  CHECK(shared == alone);
  open_to(shared.rows.egress, own);
  CHECK(shared == alone);
}

}  // namespace pintle::policy
