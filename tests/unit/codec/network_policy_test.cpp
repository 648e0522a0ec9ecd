// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "codec/network_policy.h"

namespace pintle::codec {
namespace {

using Catch::Matchers::ContainsSubstring;

std::string policy(const std::string& spec) {
  return R"({"apiVersion":"networking.k8s.io/v1","kind":"NetworkPolicy","metadata":{"name":"p","namespace":"s","uid":"u"},"spec":)" + spec +
         "}";
}

}  // namespace

TEST_CASE("policyTypes are defaulted as the API does") {
  struct Row {
    const char* spec;
    bool ingress, egress;
  };
  for (const auto& row :
       {Row{R"({"podSelector":{}})", true, false}, Row{R"({"podSelector":{},"egress":[]})", true, false},
        Row{R"({"podSelector":{},"egress":[{}]})", true, true}, Row{R"({"podSelector":{},"policyTypes":["Egress"]})", false, true},
        Row{R"({"podSelector":{},"policyTypes":["Ingress"],"egress":[{}]})", true, false},
        Row{R"({"podSelector":{},"policyTypes":[],"ingress":[{}]})", true, false}}) {
    INFO(row.spec);
    const auto read = decode_network_policy(policy(row.spec));
    REQUIRE(read);
    CHECK(read->isolates_ingress == row.ingress);
    CHECK(read->isolates_egress == row.egress);
    CHECK(read->full_name() == "s/p");
  }
}

TEST_CASE("a policy is read whole") {
  const auto read =
      decode_network_policy(policy(R"({"podSelector":{"matchLabels":{"a":"b"},"matchExpressions":[{"key":"k","operator":"NotIn",
    "values":["v"]}]},"ingress":[{"from":[{"podSelector":{}},{"ipBlock":{"cidr":"10.0.0.0/8","except":["10.1.0.0/16"]}}],
    "ports":[{"port":80},{"protocol":"UDP","port":"dns"},{"port":1,"endPort":5},{"protocol":"SCTP"}]}]})"));
  REQUIRE(read);
  CHECK(read->pods.match_labels.at("a") == "b");
  CHECK(read->pods.match_expressions.at(0).op == model::LabelRequirement::Op::kNotIn);
  const auto& rule = read->ingress.at(0);
  CHECK(rule.peers.at(0).pods);
  CHECK_FALSE(rule.peers.at(0).namespaces);
  CHECK(to_string(rule.peers.at(1).block->except.at(0)) == "10.1.0.0/16");
  CHECK(std::get<int32_t>(rule.ports.at(0).port) == 80);
  CHECK(rule.ports.at(0).protocol == 6);
  CHECK(std::get<std::string>(rule.ports.at(1).port) == "dns");
  CHECK(rule.ports.at(2).end_port == 5);
  CHECK(rule.ports.at(3).protocol == 132);
}

TEST_CASE("what would be misread is refused, by field") {
  struct Row {
    const char *spec, *error;
  };
  for (const auto& row :
       {Row{R"({"podSelector":{},"ingress":[{"from":[{}]}]})", "spec.ingress[0].from[0]: needs podSelector, namespaceSelector or ipBlock"},
        Row{R"({"podSelector":{},"ingress":[{"from":[{"nodeSelector":{}}]}]})",
            "needs podSelector, namespaceSelector or ipBlock (and 1 more)"},
        Row{R"({"podSelector":{},"ingress":[{"from":[{"ipBlock":{"cidr":"10.0.0.0/8"},"podSelector":{}}]}]})", "may not stand beside"},
        Row{R"({"podSelector":{},"ingress":[{"from":[{"ipBlock":{"cidr":"10.0.0.0/40"}}]}]})", "'10.0.0.0/40' is not a range"},
        Row{R"({"podSelector":{},"ingress":[{"from":[{"ipBlock":{"cidr":"10.0.0.1"}}]}]})", "is not a range"},
        Row{R"({"podSelector":{},"ingress":[{"from":[{"ipBlock":{"cidr":"10.0.0.0/8","except":["11.0.0.0/16"]}}]}]})", "within cidr"},
        Row{R"({"podSelector":{},"ingress":[{"ports":[{"port":70000}]}]})", "70000 is not a port"},
        Row{R"({"podSelector":{},"ingress":[{"ports":[{"port":"http","endPort":9}]}]})", "needs a port that is a number"},
        Row{R"({"podSelector":{},"ingress":[{"ports":[{"port":10,"endPort":9}]}]})", "9 is below port 10"},
        Row{R"({"podSelector":{},"ingress":[{"ports":[{"protocol":"ICMP"}]}]})", "'ICMP' is not one of TCP, UDP, SCTP"},
        Row{R"({"podSelector":{"matchExpressions":[{"key":"k","operator":"In"}]}})", "need at least one"},
        Row{R"({"podSelector":{"matchExpressions":[{"key":"k","operator":"Has","values":[]}]}})", "'Has' is not one of"},
        Row{R"({"podSelector":{"matchExpressions":[{"key":"k"}]}})", "operator: is required"},
        Row{R"({"podSelector":{},"policyTypes":["Both"]})", "'Both' is not one of Ingress, Egress"},
        Row{R"({"podSelector":{},"ingres":[]})", "did you mean 'ingress'"}}) {
    INFO(row.spec);
    const auto read = decode_network_policy(policy(row.spec));
    REQUIRE_FALSE(read);
    CHECK_THAT(read.error().message(), ContainsSubstring(row.error));
  }
}

TEST_CASE("a policy that can't be read is closed, for the pods it is known to mean") {
  const auto selected =
      closed_policy(policy(R"({"podSelector":{"matchLabels":{"a":"b"}},"policyTypes":["Ingress"],"ingress":[{"from":[{}]}]})"));
  CHECK(selected.full_name() == "s/p");
  CHECK(selected.pods.match_labels.at("a") == "b");
  CHECK(selected.isolates_ingress);
  CHECK_FALSE(selected.isolates_egress);
  CHECK(selected.ingress.empty());
  const auto all = closed_policy(policy(R"({"podSelector":{"matchLabels":7},"policyTypes":["Egres"]})"));
  CHECK(all.pods == model::LabelSelector{});
  CHECK(all.isolates_ingress);
  CHECK(all.isolates_egress);
}

TEST_CASE("views keep what policies can see") {
  const auto pod = decode_pod_view(
      R"({"metadata":{"name":"p","namespace":"s","uid":"u","labels":{"a":"b"},"managedFields":[1]},"spec":{"hostNetwork":true,
    "containers":[{"name":"c","image":"i","ports":[{"name":"http","containerPort":80},{"containerPort":81},{"name":"dns","containerPort":53,"protocol":"UDP"}]}],
    "initContainers":[{"name":"i","ports":[{"name":"no","containerPort":1}]},{"name":"s","restartPolicy":"Always","ports":[{"name":"side","containerPort":2}]}]},
    "status":{"phase":"Failed","podIP":"10.0.0.1","podIPs":[{"ip":"10.0.0.1"},{"ip":"fd00::1"}]}})");
  REQUIRE(pod);
  CHECK(pod->ports == std::vector<model::NamedPort>{{"dns", 17, 53}, {"http", 6, 80}, {"side", 6, 2}});
  CHECK(pod->ips.size() == 2);
  CHECK(pod->host_network);
  CHECK(pod->terminal);

  const auto service = decode_service_view(
      R"({"metadata":{"name":"n","namespace":"s"},"spec":{"clusterIP":"10.96.0.1","clusterIPs":["10.96.0.1","fd00::1"],"ports":[{"name":"w","port":80,"targetPort":"http"}]}})");
  REQUIRE(service);
  CHECK(service->cluster_ips.size() == 2);
  CHECK(service->ports.at(0) == model::ServiceView::Port{"w", 6, 80});
  const auto headless = decode_service_view(R"({"metadata":{"name":"n"},"spec":{"clusterIP":"None"}})");
  REQUIRE(headless);
  CHECK(headless->cluster_ips.empty());

  const auto slice = decode_endpoint_slice_view(
      R"({"metadata":{"name":"x","namespace":"s","labels":{"kubernetes.io/service-name":"n"}},"addressType":"IPv4",
    "ports":[{"name":"w","port":8080}],"endpoints":[{"addresses":["10.0.0.1"],"conditions":{"ready":true}},{"addresses":["10.0.0.2"],"conditions":{"ready":false}},
    {"addresses":["10.0.0.3"]}]})");
  REQUIRE(slice);
  CHECK(slice->service == "n");
  REQUIRE(slice->ready.size() == 2);
  CHECK(to_string(slice->ready.at(1)) == "10.0.0.3");

  const auto space = decode_namespace_view(R"({"metadata":{"name":"n","labels":{"x":"y"}},"status":{"phase":"Active"}})");
  REQUIRE(space);
  CHECK(space->labels.at("x") == "y");
}

}  // namespace pintle::codec
