// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include <catch2/matchers/catch_matchers_string.hpp>

#include <fmt/format.h>

#include "fakes/policy/fake_policy_tables.h"
#include "policy/policy_engine.h"
#include "world.h"

namespace pintle::policy {
namespace {

using Catch::Matchers::ContainsSubstring;
using model::Enforcement;
using ports::ClusterKind;

class ManualClock final : public Clock {
 public:
  [[nodiscard]] Time now() const override { return Time{} + at_; }
  [[nodiscard]] SteadyTime steady() const override { return SteadyTime{} + at_; }
  void advance(Duration by) { at_ += by; }

 private:
  Duration at_ = std::chrono::hours(1);
};

struct Rig {
  fakes::FakePolicyTables tables;
  ManualClock clock;
  std::vector<std::string> changed;
  std::map<std::string, std::string> problems;
  std::vector<model::IpAddress> node{ip("192.168.1.10")};
  std::unique_ptr<PolicyEngine> engine;

  explicit Rig(EngineOptions options = {}) { restart(std::move(options)); }
  void restart(EngineOptions options = {}) {
    engine = std::make_unique<PolicyEngine>(tables, clock, std::move(options),
                                            EngineOutputs{.plan_changed = [this](const PodUid& uid) { changed.push_back(uid.value()); },
                                                          .problem =
                                                              [this](const PolicyProblem& problem) {
                                                                if (problem.error.empty())
                                                                  problems.erase(problem.origin);
                                                                else
                                                                  problems[problem.origin] = problem.error;
                                                              },
                                                          .node_addresses = [this] { return node; }});
  }
  void list_policies(const std::string& yaml) {
    ports::ClusterSet set{.kind = ClusterKind::kPolicies, .objects = {}, .unreadable = {}};
    if (!yaml.empty())
      for (auto& policy : policies_of(yaml)) set.objects.emplace_back(std::move(policy));
    engine->deliver(std::move(set));
  }
  void upsert_policy(const std::string& yaml) { engine->deliver(ports::ClusterUpsert{policies_of(yaml).at(0)}); }
  void list_rest(std::vector<model::PodView> pods = {}) {
    engine->deliver(ports::ClusterSet{
        ClusterKind::kNamespaces, {model::NamespaceView{"default", {}}, model::NamespaceView{"prod", {{"env", "prod"}}}}, {}});
    ports::ClusterSet set{ClusterKind::kPods, {}, {}};
    for (auto& pod : pods) set.objects.emplace_back(std::move(pod));
    engine->deliver(std::move(set));
    engine->deliver(ports::ClusterSet{ClusterKind::kServices, {}, {}});
    engine->deliver(ports::ClusterSet{ClusterKind::kEndpointSlices, {}, {}});
  }
  void upsert(model::PodView pod) { engine->deliver(ports::ClusterUpsert{std::move(pod)}); }
  std::vector<std::string> take_changed() { return std::exchange(changed, {}); }
};

model::Pod local_pod(const std::string& name, model::StringMap labels = {}, model::StringMap annotations = {}) {
  model::Pod pod;
  pod.metadata.name = name;
  pod.metadata.uid = "uid-" + name;
  pod.metadata.labels = std::move(labels);
  pod.metadata.annotations = std::move(annotations);
  pod.spec.containers.push_back({.name = "c", .image = "i"});
  return pod;
}

const std::string kDenyWeb = "metadata: {name: deny-web}\nspec: {podSelector: {matchLabels: {app: web}}}";
const std::string kFromClient =
    "metadata: {name: from-client}\nspec: {podSelector: {matchLabels: {app: web}}, ingress: [{from: [{podSelector: {matchLabels: {app: "
    "client}}}]}]}";

model::ProgramPlan plan_of(Rig& rig, const model::Pod& pod) {
  const auto plan = rig.engine->plan_for(pod);
  if (!plan) FAIL(plan.error().message());
  return *plan;
}

bool lets_in(Rig& rig, uint32_t id, const char* address) {
  const auto sets = rig.tables.sets();
  REQUIRE(sets.contains(id));
  return allows(sets.at(id).ingress, ip(address), 6, 80);
}

}  // namespace

TEST_CASE("a new pod is held until policies are known, unless it says otherwise") {
  Rig rig;
  const auto held = rig.engine->plan_for(local_pod("web"));
  REQUIRE_FALSE(held);
  CHECK(held.error().code == Code::kUnavailable);
  CHECK_THAT(held.error().message(), ContainsSubstring("held") && ContainsSubstring("pintle.dev/network-policy-failure"));
  CHECK(plan_of(rig, local_pod("eager", {}, {{"pintle.dev/network-policy-failure", "open"}})) == model::default_program_plan());
  CHECK(plan_of(rig, local_pod("off", {}, {{"pintle.dev/network-policy", "off"}})) == model::default_program_plan());
  auto host = local_pod("host");
  host.spec.host_network = true;
  CHECK(plan_of(rig, host) == model::default_program_plan());

  rig.list_policies("");
  CHECK(rig.engine->synced());
  CHECK(rig.take_changed() == std::vector<std::string>{"uid-web"});  // it was refused, and would not be now
  CHECK(plan_of(rig, local_pod("web")) == model::default_program_plan());
}

TEST_CASE("a pod that was known by its cgroup alone comes under its namespace's policies when it gets its names") {
  Rig rig;
  rig.list_policies(kDenyWeb + "\n---\nmetadata: {name: deny-all, namespace: prod}\nspec: {podSelector: {}}");
  rig.list_rest();
  auto pod = local_pod("web");
  pod.metadata.name = pod.metadata.uid;
  pod.metadata.namespace_.clear();
  CHECK(plan_of(rig, pod) == model::default_program_plan());
  auto named = local_pod("web");
  named.metadata.namespace_ = "prod";
  rig.engine->set_pod(named);
  CHECK(rig.take_changed() == std::vector<std::string>{"uid-web"});
  CHECK(plan_of(rig, named).isolate_ingress);
  CHECK(rig.engine->list_policies().at(0).namespace_ == "prod");
  // Asked for with the pod itself, before its source has told the engine.
  auto other = local_pod("other");
  auto nameless = other;
  nameless.metadata.name = nameless.metadata.uid;
  nameless.metadata.namespace_.clear();
  CHECK(plan_of(rig, nameless) == model::default_program_plan());
  other.metadata.namespace_ = "prod";
  CHECK(plan_of(rig, other).isolate_ingress);
}

TEST_CASE("with policies, a pod waits for what they can see too") {
  Rig rig;
  rig.list_policies(kDenyWeb);
  CHECK_FALSE(rig.engine->synced());
  CHECK_FALSE(rig.engine->plan_for(local_pod("web", {{"app", "web"}})));
  rig.list_rest();
  const auto plan = plan_of(rig, local_pod("web", {{"app", "web"}}));
  CHECK(plan.isolate_ingress);
  CHECK_FALSE(plan.isolate_egress);
  CHECK(plan.network == Enforcement::kEnforce);
  CHECK(rig.tables.sets().contains(plan.network_policy));
  CHECK(lets_in(rig, plan.network_policy, "192.168.1.10"));
  CHECK_FALSE(lets_in(rig, plan.network_policy, "10.0.0.1"));
  CHECK(plan_of(rig, local_pod("other")) == model::default_program_plan());
}

TEST_CASE("the first policy of a running cluster leaves pods as they are until all is known") {
  Rig rig;
  rig.list_policies("");
  const auto web = local_pod("web", {{"app", "web"}});
  (void)plan_of(rig, web);
  rig.upsert_policy(kDenyWeb);
  CHECK(rig.take_changed().empty());
  CHECK(plan_of(rig, web) == model::default_program_plan());
  CHECK_FALSE(rig.engine->plan_for(local_pod("new")));
  rig.list_rest();
  CHECK(rig.take_changed() == std::vector<std::string>{"uid-new", "uid-web"});
  CHECK(plan_of(rig, web).isolate_ingress);
  rig.engine->deliver(ports::ClusterGone{ClusterKind::kPolicies, "default", "deny-web"});
  CHECK(rig.take_changed() == std::vector<std::string>{"uid-web"});
  CHECK(plan_of(rig, web) == model::default_program_plan());
  rig.engine->deliver(ports::ClusterUnwatched{});
  CHECK(rig.engine->synced());
}

TEST_CASE("pods under the same policies share rows; an egress-isolated one has its own and may reach itself") {
  Rig rig;
  rig.list_policies(kDenyWeb + "\n---\nmetadata: {name: out}\nspec: {podSelector: {matchLabels: {app: out}}, policyTypes: [Egress]}");
  rig.list_rest();
  const auto a = plan_of(rig, local_pod("a", {{"app", "web"}})), b = plan_of(rig, local_pod("b", {{"app", "web"}}));
  CHECK(a == b);
  const auto c = plan_of(rig, local_pod("c", {{"app", "out"}})), d = plan_of(rig, local_pod("d", {{"app", "out"}}));
  CHECK(c.network_policy != d.network_policy);
  CHECK(c.hooks == model::hooks_for(c));
  CHECK(std::ranges::find(c.hooks, model::Hook::kSendmsg6) != c.hooks.end());
  rig.upsert(pod_view("default", "c", {{"app", "out"}}, "10.1.0.3"));
  CHECK(rig.take_changed().empty());  // rows change, plans do not
  CHECK(allows(rig.tables.sets().at(c.network_policy).egress, ip("10.1.0.3"), 6, 1));
  CHECK_FALSE(allows(rig.tables.sets().at(d.network_policy).egress, ip("10.1.0.3"), 6, 1));

  // Alone on its rows, an ingress-isolated pod is told by its address as well; not when another shares them.
  rig.upsert(pod_view("default", "a", {{"app", "web"}}, "10.1.0.1"));
  CHECK_FALSE(lets_in(rig, a.network_policy, "10.1.0.1"));
  rig.engine->forget(PodUid("uid-b"));
  CHECK(lets_in(rig, a.network_policy, "10.1.0.1"));
}

TEST_CASE("a change recompiles only rows that can see it, and tells only pods whose plan is another") {
  Rig rig;
  rig.list_policies(
      kFromClient +
      "\n---\nmetadata: {name: db}\nspec: {podSelector: {matchLabels: {app: db}}, ingress: [{from: [{podSelector: {matchLabels: "
      "{app: web}}}]}]}");
  rig.list_rest();
  const auto web = local_pod("web", {{"app", "web"}}), db = local_pod("db", {{"app", "db"}});
  const auto web_plan = plan_of(rig, web);
  (void)plan_of(rig, db);
  auto work = rig.engine->work();
  const auto compiles = [&] { return rig.engine->work().compiles - std::exchange(work, rig.engine->work()).compiles; };

  rig.upsert(pod_view("default", "noise", {{"app", "noise"}}, "10.1.0.9"));
  CHECK(compiles() == 0);
  rig.upsert(pod_view("default", "client", {{"app", "client"}}, "10.1.0.5"));
  CHECK(compiles() == 1);
  CHECK(lets_in(rig, web_plan.network_policy, "10.1.0.5"));
  rig.upsert(pod_view("default", "client", {{"app", "client"}}, "10.1.0.5"));
  CHECK(compiles() == 0);
  rig.upsert(pod_view("default", "client", {{"app", "other"}}, "10.1.0.5"));
  CHECK(compiles() == 1);
  CHECK_FALSE(lets_in(rig, web_plan.network_policy, "10.1.0.5"));
  rig.upsert(pod_view("default", "client", {{"app", "client"}}, "10.1.0.6"));
  CHECK(lets_in(rig, web_plan.network_policy, "10.1.0.6"));
  rig.engine->deliver(ports::ClusterGone{ClusterKind::kPods, "default", "client"});
  CHECK_FALSE(lets_in(rig, web_plan.network_policy, "10.1.0.6"));
  CHECK(rig.take_changed().empty());

  rig.upsert_policy(kDenyWeb);
  CHECK(rig.take_changed() == std::vector<std::string>{"uid-web"});
  CHECK(plan_of(rig, web).network_policy != web_plan.network_policy);
  // Labels of a pod of ours: under other policies from now on.
  rig.engine->set_pod(local_pod("web", {{"app", "db"}}));
  CHECK(rig.take_changed() == std::vector<std::string>{"uid-web"});
  CHECK(plan_of(rig, local_pod("web", {{"app", "db"}})) == plan_of(rig, db));
}

TEST_CASE("the node's own addresses are looked at again when a pod of ours gets one") {
  Rig rig;
  rig.list_policies(kDenyWeb);
  rig.list_rest();
  const auto plan = plan_of(rig, local_pod("web", {{"app", "web"}}));
  rig.node.push_back(ip("10.1.0.1"));  // the bridge that the first pod brought
  rig.upsert(pod_view("default", "web", {{"app", "web"}}, "10.1.0.2"));
  CHECK(lets_in(rig, plan.network_policy, "10.1.0.1"));
}

TEST_CASE("an unreadable policy opens nothing") {
  Rig rig;
  rig.list_policies(kFromClient);
  rig.list_rest({pod_view("default", "client", {{"app", "client"}}, "10.1.0.5")});
  const auto web = local_pod("web", {{"app", "web"}});
  const auto plan = plan_of(rig, web);
  const auto bad = [&](const std::string& name) {
    auto closed = policies_of("metadata: {name: " + name + "}\nspec: {podSelector: {}, policyTypes: [Ingress]}").at(0);
    rig.engine->deliver(ports::ClusterUnreadable{ClusterKind::kPolicies, "default", name, "spec.ingress: expected a list", closed});
  };
  SECTION("its last readable version stays") {
    bad("from-client");
    CHECK_THAT(rig.problems.at("networkpolicy:default/from-client"),
               ContainsSubstring("expected a list") && ContainsSubstring("stays in force"));
    CHECK(plan_of(rig, web) == plan);
    CHECK(lets_in(rig, plan.network_policy, "10.1.0.5"));
    CHECK_THAT(rig.engine->list_policies().at(0).problem, ContainsSubstring("expected a list"));
    rig.upsert_policy(kFromClient);
    CHECK(rig.problems.empty());
    CHECK(rig.engine->list_policies().at(0).problem.empty());
  }
  SECTION("one that never could be read is closed") {
    bad("fresh");
    CHECK_THAT(rig.problems.at("networkpolicy:default/fresh"), ContainsSubstring("closed until it can be read"));
    CHECK(plan_of(rig, local_pod("other")).isolate_ingress);
    CHECK_FALSE(lets_in(rig, plan_of(rig, local_pod("other")).network_policy, "10.1.0.5"));
    rig.engine->deliver(ports::ClusterGone{ClusterKind::kPolicies, "default", "fresh"});
    CHECK(rig.problems.empty());
    CHECK(plan_of(rig, local_pod("other")) == model::default_program_plan());
  }
}

TEST_CASE("annotations make the plan; a bad one is refused and the plan in force kept") {
  Rig rig;
  rig.list_policies("");
  const auto plan = plan_of(rig, local_pod("a", {}, {{"pintle.dev/ebpf-trace", "bind,tcp"}, {"pintle.dev/sysctl-writes", "deny"}}));
  CHECK(plan.traces == std::vector{model::Trace::kBind, model::Trace::kTcp});
  CHECK(plan.sysctl_writes == Enforcement::kEnforce);
  rig.engine->set_pod(local_pod("a"));
  CHECK(rig.take_changed() == std::vector<std::string>{"uid-a"});
  CHECK(plan_of(rig, local_pod("a")) == model::default_program_plan());
  const auto bad = local_pod("a", {}, {{"pintle.dev/ebpf-trace", "everything"}});
  rig.engine->set_pod(bad);
  CHECK(rig.take_changed() == std::vector<std::string>{"uid-a"});
  const auto refused = rig.engine->plan_for(bad);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == Code::kInvalid);
  rig.engine->set_pod(bad);
  CHECK(rig.take_changed().empty());
  rig.engine->set_pod(local_pod("a"));
  CHECK(rig.take_changed() == std::vector<std::string>{"uid-a"});
}

TEST_CASE("audit and off per pod, and off for the node") {
  Rig rig;
  rig.list_policies(kDenyWeb);
  rig.list_rest();
  CHECK(plan_of(rig, local_pod("a", {{"app", "web"}}, {{"pintle.dev/network-policy", "audit"}})).network == Enforcement::kAudit);
  CHECK(plan_of(rig, local_pod("b", {{"app", "web"}}, {{"pintle.dev/network-policy", "off"}})) == model::default_program_plan());

  EngineOptions options;
  options.defaults.network_policy = Enforcement::kOff;
  Rig off(options);
  CHECK(plan_of(off, local_pod("a", {{"app", "web"}})) == model::default_program_plan());
  const auto wish = off.engine->plan_for(local_pod("b", {}, {{"pintle.dev/network-policy", "enforce"}}));
  REQUIRE_FALSE(wish);
  CHECK_THAT(wish.error().message(), ContainsSubstring("off on this node"));
}

TEST_CASE("ids are the same after a restart, and what no plan names is dropped when all pods have told theirs") {
  Rig rig;
  const auto all = [&] {
    rig.list_policies(kDenyWeb + "\n---\nmetadata: {name: out}\nspec: {podSelector: {matchLabels: {app: out}}, policyTypes: [Egress]}");
    rig.list_rest();
  };
  const auto web = local_pod("web", {{"app", "web"}}), out = local_pod("out", {{"app", "out"}});
  all();
  const auto before = plan_of(rig, web), before_out = plan_of(rig, out);
  rig.tables.put(77, {});  // of an even earlier run
  rig.restart();
  rig.engine->set_pod(web);
  rig.engine->set_pod(out);
  all();
  rig.engine->set_pods_ready();
  CHECK(rig.tables.sets().size() == 3);  // pinned programs may still name them
  CHECK(plan_of(rig, web) == before);
  CHECK(rig.tables.sets().contains(77));
  CHECK(plan_of(rig, out) == before_out);
  CHECK_FALSE(rig.tables.sets().contains(77));
  CHECK(rig.tables.sets().size() == 2);

  // A pod leaves: its rows go after a while, as soon as anything happens.
  rig.engine->forget(PodUid("uid-web"));
  CHECK(rig.tables.sets().size() == 2);
  rig.clock.advance(std::chrono::minutes(1));
  rig.engine->set_pod(out);
  CHECK(rig.tables.sets().size() == 1);
}

TEST_CASE("two keys of one hash get ids of their own") {
  Rig rig({.defaults = {}, .hash = [](std::string_view text) { return text.ends_with("#1") ? 9U : 5U; }});
  rig.list_policies(kDenyWeb + "\n---\nmetadata: {name: db}\nspec: {podSelector: {matchLabels: {app: db}}}");
  rig.list_rest();
  const auto web = plan_of(rig, local_pod("web", {{"app", "web"}})), db = plan_of(rig, local_pod("db", {{"app", "db"}}));
  CHECK(web.network_policy == 5);
  CHECK(db.network_policy == 9);
  CHECK(stable_hash("in default\ndefault/deny-web") == 0xa6006a46U);
}

TEST_CASE("full tables: what was in force stays, a new pod is held or starts without, as it says") {
  Rig rig;
  rig.list_policies(kFromClient);
  rig.list_rest();
  const auto web = local_pod("web", {{"app", "web"}});
  const auto plan = plan_of(rig, web);
  rig.tables.set_room(8);
  for (int i = 1; i < 10; ++i) rig.upsert(pod_view("default", fmt::format("c{}", i), {{"app", "client"}}, fmt::format("10.1.0.{}", i)));
  CHECK(plan_of(rig, web) == plan);
  CHECK(lets_in(rig, plan.network_policy, "10.1.0.1"));
  CHECK_FALSE(lets_in(rig, plan.network_policy, "10.1.0.9"));
  CHECK_THAT(rig.problems.at("networkpolicy-rows:default/web"), ContainsSubstring("rows "));
  rig.upsert_policy(
      "metadata: {name: all}\nspec: {podSelector: {matchLabels: {app: other}}, ingress: [{from: [{podSelector: {matchLabels: {app: "
      "client}}}]}]}");
  const auto held = rig.engine->plan_for(local_pod("other", {{"app", "other"}}));
  REQUIRE_FALSE(held);
  CHECK(held.error().code == Code::kUnavailable);
  CHECK_FALSE(plan_of(rig, local_pod("open", {{"app", "other"}}, {{"pintle.dev/network-policy-failure", "open"}})).isolate_ingress);
  rig.tables.set_room(1000);
  CHECK(plan_of(rig, web) == plan);
  CHECK(lets_in(rig, plan.network_policy, "10.1.0.9"));
  CHECK_FALSE(rig.problems.contains("networkpolicy-rows:default/web"));
}

TEST_CASE("flows are explained") {
  Rig rig;
  rig.list_policies(kFromClient + "\n---\nmetadata: {name: out}\nspec: {podSelector: {matchLabels: {app: client}}, policyTypes: [Egress]}");
  rig.list_rest({pod_view("default", "web", {{"app", "web"}}, "10.1.0.1"), pod_view("default", "client", {{"app", "client"}}, "10.1.0.2"),
                 pod_view("prod", "far", {}, "10.1.9.9")});
  (void)plan_of(rig, local_pod("web", {{"app", "web"}}));
  (void)plan_of(rig, local_pod("client", {{"app", "client"}}));
  const auto answer = rig.engine->test_flow({.from = "default/client", .to = "default/web", .protocol = 6, .port = 80});
  REQUIRE(answer);
  CHECK_FALSE(answer->allowed);
  CHECK(answer->ingress.allowed);
  CHECK(answer->ingress.reason == "policy 'default/from-client' rule 1 allows it");
  CHECK(answer->egress.reason == "its egress is isolated by 'default/out', and no rule matches");
  const auto far = rig.engine->test_flow({.from = "prod/far", .to = "10.1.0.1", .protocol = 6, .port = 80});
  REQUIRE(far);
  CHECK_FALSE(far->egress.decided_here);
  CHECK_FALSE(far->allowed);
  const auto unknown = rig.engine->test_flow({.from = "default/nobody", .to = "10.1.0.1", .protocol = 6, .port = 80});
  REQUIRE_FALSE(unknown);
  CHECK(unknown.error().code == Code::kNotFound);
  CHECK_THAT(unknown.error().message(), ContainsSubstring("default/nobody") && ContainsSubstring("another node's network"));

  const auto rows = rig.engine->list_policies();
  REQUIRE(rows.size() == 2);
  CHECK(rows.at(0).name == "client");
  CHECK(rows.at(0).egress_policies == std::vector<std::string>{"out"});
  CHECK(rows.at(1).ingress_policies == std::vector<std::string>{"from-client"});
  CHECK(rows.at(1).rows == rig.tables.sets().at(rows.at(1).rows_id));
}

TEST_CASE("a flow of a pod in the node's network is that of the node's address") {
  Rig rig;
  rig.list_policies(kFromClient + "\n---\nmetadata: {name: out}\nspec: {podSelector: {matchLabels: {app: client}}, policyTypes: [Egress]}");
  rig.list_rest({pod_view("default", "web", {{"app", "web"}}, "10.1.0.1"), pod_view("default", "client", {{"app", "client"}}, "10.1.0.2")});
  (void)plan_of(rig, local_pod("web", {{"app", "web"}}));
  (void)plan_of(rig, local_pod("client", {{"app", "client"}}));
  auto host = local_pod("host");
  host.spec.host_network = true;
  rig.engine->set_pod(host);
  const auto into = rig.engine->test_flow({.from = "default/host", .to = "default/web", .protocol = 6, .port = 80});
  REQUIRE(into);
  CHECK(into->ingress.reason == "its own node always reaches it");
  CHECK(into->allowed);
  const auto out = rig.engine->test_flow({.from = "default/client", .to = "default/host", .protocol = 6, .port = 80});
  REQUIRE(out);
  CHECK_FALSE(out->egress.allowed);
  CHECK_THAT(out->egress.reason, ContainsSubstring("isolated by 'default/out'"));
  host.status.pod_ips = {"192.168.1.77"};  // as its status has it, should the node's own not be known by that
  rig.engine->set_pod(host);
  const auto other_side = rig.engine->test_flow({.from = "default/host", .to = "default/web", .protocol = 6, .port = 80});
  REQUIRE(other_side);
  CHECK(other_side->ingress.reason == "its ingress is isolated by 'default/from-client', and no rule matches");
}

TEST_CASE("a full node in a large cluster: a change costs what it touches") {
  Rig rig;
  std::string yaml;
  std::vector<model::PodView> pods;
  for (int space = 0; space < 20; ++space) {
    yaml +=
        fmt::format("{}metadata: {{name: own, namespace: s{}}}\nspec: {{podSelector: {{}}, ingress: [{{from: [{{podSelector: {{}}}}]}}]}}",
                    space == 0 ? "" : "\n---\n", space);
    for (int i = 0; i < 250; ++i)
      pods.push_back(pod_view(fmt::format("s{}", space), fmt::format("p{}", i), {{"app", fmt::format("a{}", i % 10)}},
                              fmt::format("10.{}.{}.{}", space, i / 200, i % 200)));
  }
  rig.list_policies(yaml);
  rig.list_rest(std::move(pods));
  for (int i = 0; i < 110; ++i) {
    auto pod = local_pod(fmt::format("p{}", i % 11));
    pod.metadata.namespace_ = fmt::format("s{}", i / 11);
    pod.metadata.uid = fmt::format("u{}", i);
    (void)plan_of(rig, pod);
  }
  CHECK(rig.tables.sets().size() == 10);  // one for each namespace that has pods here
  const auto before = rig.engine->work();
  for (int i = 0; i < 100; ++i) rig.upsert(pod_view("s3", "new", {{"app", "a1"}}, fmt::format("10.3.9.{}", i)));
  for (int i = 0; i < 100; ++i) rig.upsert(pod_view("s15", "new", {{"app", "a1"}}, fmt::format("10.15.9.{}", i)));
  const auto after = rig.engine->work();
  CHECK(after.compiles - before.compiles == 100);
  CHECK(after.pushes - before.pushes == 100);
}

}  // namespace pintle::policy
