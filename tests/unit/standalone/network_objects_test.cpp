// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
// What the endpoint does to network policies, services and endpoint slices.
#include <catch2/catch_test_macros.hpp>

#include "standalone/discovery.h"
#include "standalone/network_rules.h"
#include "standalone/patch.h"
#include "standalone/table.h"

namespace pintle::standalone {
namespace {

Json policy(const char* spec) {
  return {{"kind", "NetworkPolicy"}, {"apiVersion", "networking.k8s.io/v1"}, {"metadata", {{"name", "p"}}}, {"spec", Json::parse(spec)}};
}

}  // namespace

TEST_CASE("policies are defaulted and checked") {
  const auto& type = resources::kNetworkPolicies;
  auto both = policy(R"({"egress":[{"ports":[{"port":53}]}]})");
  REQUIRE(check_network_object(type, both, true));
  CHECK(both["spec"]["policyTypes"] == Json::array({"Ingress", "Egress"}));
  CHECK(both["spec"]["podSelector"] == Json::object());
  CHECK(both["spec"]["egress"][0]["ports"][0]["protocol"] == "TCP");
  auto given = policy(R"({"podSelector":{},"policyTypes":["Egress"]})");
  REQUIRE(check_network_object(type, given, true));
  CHECK(given["spec"]["policyTypes"] == Json::array({"Egress"}));

  auto bad = policy(R"({"podSelector":{},"ingress":[{"from":[{"ipBlock":{"cidr":"10.0.0.0/99"}}]}]})");
  const auto refused = check_network_object(type, bad, false);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == 422);
  REQUIRE(refused.error().causes.size() == 1);
  CHECK(refused.error().causes.front().field == "spec.ingress[0].from[0].ipBlock.cidr");
  auto unknown = policy(R"({"podSelector":{},"ingres":[]})");
  CHECK(check_network_object(type, unknown, false));
  const auto strict = check_network_object(type, unknown, true);
  REQUIRE_FALSE(strict);
  CHECK(strict.error().code == 400);
}

TEST_CASE("services get no address of their own accord") {
  Json service = {{"metadata", {{"name", "s"}}}, {"spec", {{"ports", {{{"port", 80}}}}}}};
  REQUIRE(check_network_object(resources::kServices, service, true));
  CHECK(service["spec"]["type"] == "ClusterIP");
  CHECK(service["spec"]["ports"][0]["protocol"] == "TCP");
  CHECK(service["spec"]["ports"][0]["targetPort"] == 80);
  CHECK_FALSE(service["spec"].contains("clusterIP"));
  service["spec"]["clusterIP"] = "10.96.0.9";
  REQUIRE(check_network_object(resources::kServices, service, true));
  CHECK(service["spec"]["clusterIPs"] == Json::array({"10.96.0.9"}));
  service["spec"]["ports"][0]["port"] = 99999;
  CHECK_FALSE(check_network_object(resources::kServices, service, true));
}

TEST_CASE("discovery names every group") {
  const auto document = [](const std::string& path) {
    const auto found = discovery_document(path, "", "127.0.0.1:1");
    REQUIRE(found);
    return Json::parse(found->body);
  };
  CHECK(document("/apis")["groups"].size() == 3);
  CHECK(document("/apis/networking.k8s.io")["preferredVersion"]["groupVersion"] == "networking.k8s.io/v1");
  const auto netpol = document("/apis/networking.k8s.io/v1")["resources"];
  REQUIRE(netpol.size() == 1);
  CHECK(netpol[0]["shortNames"] == Json::array({"netpol"}));
  CHECK(document("/apis/discovery.k8s.io/v1")["resources"][0]["kind"] == "EndpointSlice");
  CHECK(document("/openapi/v3")["paths"].contains("apis/networking.k8s.io/v1"));
  CHECK(document("/openapi/v3/apis/networking.k8s.io/v1")["paths"].contains(
      "/apis/networking.k8s.io/v1/namespaces/{namespace}/networkpolicies"));
  CHECK_FALSE(discovery_document("/apis/apps", "", ""));
}

TEST_CASE("tables show what people look for") {
  const auto cells = [](const ResourceType& type, const char* text) {
    const TableStyle style;
    const auto row = make_row(type, style, Json::parse(text), Time{} + std::chrono::hours(24));
    const auto columns = make_table(type, style, true)["columnDefinitions"];
    CHECK(columns.size() == row["cells"].size());
    return row["cells"];
  };
  CHECK(cells(resources::kNetworkPolicies,
              R"({"metadata":{"name":"p","creationTimestamp":"1970-01-01T00:00:00Z"},"spec":{"podSelector":{"matchLabels":{"app":"web"},
    "matchExpressions":[{"key":"tier","operator":"NotIn","values":["a","b"]},{"key":"x","operator":"DoesNotExist"}]}}})") ==
        Json::array({"p", "app=web,tier notin (a,b),!x", "24h"}));
  CHECK(cells(resources::kNetworkPolicies, R"({"metadata":{"name":"p"},"spec":{"podSelector":{}}})")[1] == "<none>");
  const auto service =
      cells(resources::kServices,
            R"({"metadata":{"name":"s"},"spec":{"type":"NodePort","clusterIP":"10.96.0.1","ports":[{"port":80,"nodePort":30080,
    "protocol":"TCP"},{"port":53,"protocol":"UDP"}],"selector":{"app":"web"}}})");
  CHECK(service[2] == "10.96.0.1");
  CHECK(service[4] == "80:30080/TCP,53/UDP");
  CHECK(service[6] == "app=web");
  const auto slice = cells(resources::kEndpointSlices,
                           R"({"metadata":{"name":"s"},"addressType":"IPv4","ports":[{"port":80}],"endpoints":[{"addresses":["1.1.1.1"]},
    {"addresses":["1.1.1.2"]},{"addresses":["1.1.1.3"]},{"addresses":["1.1.1.4"]}]})");
  CHECK(slice[3] == "1.1.1.1,1.1.1.2,1.1.1.3 + 1 more...");
}

TEST_CASE("ports of a service are merged by port, those of a container by containerPort") {
  const Json service = Json::parse(R"({"spec":{"ports":[{"port":80,"name":"w"},{"port":81}]}})");
  const auto merged = apply_patch(service, "application/strategic-merge-patch+json",
                                  Json::parse(R"({"spec":{"ports":[{"port":80,"name":"x"},{"port":81,"$patch":"delete"}]}})"));
  REQUIRE(merged);
  CHECK((*merged)["spec"]["ports"] == Json::parse(R"([{"port":80,"name":"x"}])"));
}

}  // namespace pintle::standalone
