// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include <algorithm>
#include <map>

#include <catch2/catch_test_macros.hpp>

#include "lifecycle/service_env.h"
#include "model/pod.h"

using namespace pintle;
using namespace pintle::lifecycle;

namespace {

using Ports = std::vector<model::ServiceView::Port>;
constexpr uint8_t kTcp = 6, kUdp = 17;

model::ServiceView service(const char* space, const char* name, const char* address, Ports ports) {
  model::ServiceView out{.namespace_ = space, .name = name, .cluster_ips = {}, .ports = std::move(ports)};
  if (const auto ip = model::parse_ip(address)) out.cluster_ips.push_back(*ip);
  return out;
}

const std::vector<model::ServiceView> kServices{
    service("default", "kubernetes", "10.96.0.1", {{"https", kTcp, 443}}),
    service("default", "other", "10.96.0.2", {{"", kTcp, 80}}),
    service("shop", "redis-primary", "10.96.0.11", {{"client", kTcp, 6379}, {"gossip-v2", kUdp, 7946}}),
    service("shop", "six", "fd00::6", {{"", kTcp, 53}}),
    service("shop", "headless", "None", {{"", kTcp, 80}}),
    service("shop", "portless", "10.96.0.12", {}),
};

std::vector<std::string> names(const EnvList& env) {
  std::vector<std::string> out;
  for (const auto& [name, value] : env) out.push_back(name);
  return out;
}

}  // namespace

TEST_CASE("row 13.3: a namespace's services and the API server are told as variables") {
  CHECK(service_env(kServices, "shop", true) == EnvList{{"KUBERNETES_SERVICE_HOST", "10.96.0.1"},
                                                        {"KUBERNETES_SERVICE_PORT", "443"},
                                                        {"KUBERNETES_SERVICE_PORT_HTTPS", "443"},
                                                        {"KUBERNETES_PORT", "tcp://10.96.0.1:443"},
                                                        {"KUBERNETES_PORT_443_TCP", "tcp://10.96.0.1:443"},
                                                        {"KUBERNETES_PORT_443_TCP_PROTO", "tcp"},
                                                        {"KUBERNETES_PORT_443_TCP_PORT", "443"},
                                                        {"KUBERNETES_PORT_443_TCP_ADDR", "10.96.0.1"},
                                                        {"PORTLESS_SERVICE_HOST", "10.96.0.12"},
                                                        {"REDIS_PRIMARY_SERVICE_HOST", "10.96.0.11"},
                                                        {"REDIS_PRIMARY_SERVICE_PORT", "6379"},
                                                        {"REDIS_PRIMARY_SERVICE_PORT_CLIENT", "6379"},
                                                        {"REDIS_PRIMARY_SERVICE_PORT_GOSSIP_V2", "7946"},
                                                        {"REDIS_PRIMARY_PORT", "tcp://10.96.0.11:6379"},
                                                        {"REDIS_PRIMARY_PORT_6379_TCP", "tcp://10.96.0.11:6379"},
                                                        {"REDIS_PRIMARY_PORT_6379_TCP_PROTO", "tcp"},
                                                        {"REDIS_PRIMARY_PORT_6379_TCP_PORT", "6379"},
                                                        {"REDIS_PRIMARY_PORT_6379_TCP_ADDR", "10.96.0.11"},
                                                        {"REDIS_PRIMARY_PORT_7946_UDP", "udp://10.96.0.11:7946"},
                                                        {"REDIS_PRIMARY_PORT_7946_UDP_PROTO", "udp"},
                                                        {"REDIS_PRIMARY_PORT_7946_UDP_PORT", "7946"},
                                                        {"REDIS_PRIMARY_PORT_7946_UDP_ADDR", "10.96.0.11"},
                                                        {"SIX_SERVICE_HOST", "fd00::6"},
                                                        {"SIX_SERVICE_PORT", "53"},
                                                        {"SIX_PORT", "tcp://[fd00::6]:53"},
                                                        {"SIX_PORT_53_TCP", "tcp://[fd00::6]:53"},
                                                        {"SIX_PORT_53_TCP_PROTO", "tcp"},
                                                        {"SIX_PORT_53_TCP_PORT", "53"},
                                                        {"SIX_PORT_53_TCP_ADDR", "fd00::6"}});
}

TEST_CASE("row 13.3: without links only the API server is told; a namespace's own 'kubernetes' goes over it") {
  const auto master_only = service_env(kServices, "shop", false);
  CHECK(master_only.size() == 8);
  CHECK(master_only.front().first == "KUBERNETES_SERVICE_HOST");
  CHECK(names(service_env(kServices, "empty", true)) == names(master_only));
  CHECK(service_env({}, "shop", true).empty());

  auto services = kServices;
  services.push_back(service("shop", "kubernetes", "10.96.7.7", {{"", kTcp, 1}}));
  CHECK(service_env(services, "shop", true).front().second == "10.96.7.7");
  CHECK(service_env(services, "shop", false).front().second == "10.96.0.1");
  std::ranges::reverse(services);
  CHECK(service_env(services, "shop", true).front().second == "10.96.7.7");
}

TEST_CASE("rows 13.1 and 13.2: services fill what the spec leaves out, and $(NAME) sees them") {
  model::Pod pod;
  model::Container container;
  container.env = {{.name = "URL", .value = "http://$(REDIS_PRIMARY_SERVICE_HOST):$(REDIS_PRIMARY_SERVICE_PORT)", .value_from = {}},
                   {.name = "KUBERNETES_PORT", .value = "mine", .value_from = {}}};
  const auto env =
      resolve_env(pod, container, {.fields = {}, .config_map = {}, .secret = {}, .services = service_env(kServices, "shop", true)});
  REQUIRE(env);
  const std::map<std::string, std::string> by_name(env->begin(), env->end());
  CHECK(by_name.size() == env->size());
  CHECK(by_name.at("URL") == "http://10.96.0.11:6379");
  CHECK(by_name.at("KUBERNETES_PORT") == "mine");
  CHECK(by_name.at("KUBERNETES_SERVICE_HOST") == "10.96.0.1");
}
