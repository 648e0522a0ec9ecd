// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "standalone/network_rules.h"

#include <fmt/format.h>

#include "codec/network_policy.h"

namespace pintle::standalone {
namespace {

void fill(Json& object, const char* key, Json value) {
  if (find(object, key) == nullptr) object[key] = std::move(value);
}

// A port without a protocol is one of TCP.
void default_protocols(Json& holder, const char* key) {
  const auto ports = holder.find(key);
  if (ports == holder.end() || !ports->is_array()) return;
  for (auto& port : *ports)
    if (port.is_object()) fill(port, "protocol", "TCP");
}

void default_policy(Json& policy) {
  Json& spec = mapping(policy, "spec");
  fill(spec, "podSelector", Json::object());
  for (const char* way : {"ingress", "egress"})
    if (const auto rules = spec.find(way); rules != spec.end() && rules->is_array())
      for (auto& rule : *rules)
        if (rule.is_object()) default_protocols(rule, "ports");
  if (!list_at(spec, "policyTypes").empty()) return;
  spec["policyTypes"] = Json::array({"Ingress"});
  if (!list_at(spec, "egress").empty()) spec["policyTypes"].push_back("Egress");
}

void default_service(Json& service) {
  Json& spec = mapping(service, "spec");
  fill(spec, "type", "ClusterIP");
  fill(spec, "sessionAffinity", "None");
  default_protocols(spec, "ports");
  if (const auto ports = spec.find("ports"); ports != spec.end() && ports->is_array())
    for (auto& port : *ports)
      if (port.is_object() && find(port, "port") != nullptr) fill(port, "targetPort", port["port"]);
  if (const std::string address = text_at(spec, "clusterIP"); !address.empty()) fill(spec, "clusterIPs", Json::array({address}));
  fill(service, "status", {{"loadBalancer", Json::object()}});
}

template <typename T>
ApiResult<void> refused(const ResourceType& type, const Json& object, bool strict, const Result<T>& read) {
  if (read) return {};
  const std::string& text = read.error().message();
  const std::string name = text_at(object, "metadata", "name");
  if (text.find("unknown field") != std::string::npos) {
    if (!strict) return {};
    return bad_request(fmt::format("{} \"{}\": strict decoding error: {}", type.kind, name, text));
  }
  const size_t colon = text.find(": ");
  return invalid(type, name, {{text.substr(0, colon), "FieldValueInvalid", colon == std::string::npos ? text : text.substr(colon + 2)}});
}

}  // namespace

ApiResult<void> check_network_object(const ResourceType& type, Json& object, bool strict) {
  if (&type == &resources::kNetworkPolicies) {
    default_policy(object);
    return refused(type, object, strict, codec::decode_network_policy(dump(object)));
  }
  if (&type == &resources::kServices) {
    default_service(object);
    return refused(type, object, strict, codec::decode_service_view(dump(object)));
  }
  if (&type == &resources::kEndpointSlices) {
    default_protocols(object, "ports");
    return refused(type, object, strict, codec::decode_endpoint_slice_view(dump(object)));
  }
  return {};
}

}  // namespace pintle::standalone
