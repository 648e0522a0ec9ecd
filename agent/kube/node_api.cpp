// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "kube/node_api.h"

#include <fmt/format.h>

#include "codec/objects.h"

namespace pintle::kube {
namespace {

constexpr std::string_view kNodes = "/api/v1/nodes";
constexpr std::string_view kLeases = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases";

std::string path_of(std::string_view collection, const std::string& name) { return fmt::format("{}/{}", collection, percent_encode(name)); }

Result<model::Node> node_of(Result<std::string> body, std::string_view verb, const std::string& name) {
  const auto context = [&] { return fmt::format("{} node '{}'", verb, name); };
  if (!body) return std::unexpected(with_context(std::move(body).error(), context()));
  auto node = codec::decode_node(*body, {.origin = "api"});
  if (!node) return std::unexpected(with_context(std::move(node).error(), context()));
  return node;
}

Result<model::Lease> lease_of(Result<std::string> body, std::string_view verb, const std::string& name) {
  const auto context = [&] { return fmt::format("{} lease '{}'", verb, name); };
  if (!body) return std::unexpected(with_context(std::move(body).error(), context()));
  auto lease = codec::decode_lease(*body, {.origin = "api"});
  if (!lease) return std::unexpected(with_context(std::move(lease).error(), context()));
  return lease;
}

}  // namespace

Result<model::Node> KubeNodeApi::get_node(const std::string& name, std::stop_token stop) {
  return node_of(connection_.request({.path = path_of(kNodes, name)}, std::move(stop)), "get", name);
}

Result<model::Node> KubeNodeApi::create_node(const model::Node& node, std::stop_token stop) {
  return node_of(connection_.request({.method = "POST", .path = std::string(kNodes), .body = codec::encode_node(node)}, std::move(stop)),
                 "create", node.metadata.name);
}

Result<model::Node> KubeNodeApi::patch_node_metadata(const model::Node& node, std::stop_token stop) {
  return node_of(connection_.request({.method = "PATCH",
                                      .path = path_of(kNodes, node.metadata.name),
                                      .body = codec::node_metadata_patch(node),
                                      .content_type = std::string(kStrategicMergePatch)},
                                     std::move(stop)),
                 "patch", node.metadata.name);
}

Result<model::Node> KubeNodeApi::patch_node_status(const model::Node& last_known, const model::NodeStatus& status, std::stop_token stop) {
  const std::string patch = codec::node_status_patch(last_known, status);
  if (patch == "{}") return last_known;
  return node_of(connection_.request({.method = "PATCH",
                                      .path = path_of(kNodes, last_known.metadata.name) + "/status",
                                      .body = patch,
                                      .content_type = std::string(kStrategicMergePatch)},
                                     std::move(stop)),
                 "patch status of", last_known.metadata.name);
}

Result<model::Lease> KubeLeaseApi::get_lease(const std::string& name, std::stop_token stop) {
  return lease_of(connection_.request({.path = path_of(kLeases, name)}, std::move(stop)), "get", name);
}

Result<model::Lease> KubeLeaseApi::create_lease(const model::Lease& lease, std::stop_token stop) {
  return lease_of(
      connection_.request({.method = "POST", .path = std::string(kLeases), .body = codec::encode_lease(lease)}, std::move(stop)), "create",
      lease.metadata.name);
}

Result<model::Lease> KubeLeaseApi::update_lease(const model::Lease& lease, std::stop_token stop) {
  return lease_of(connection_.request({.method = "PUT", .path = path_of(kLeases, lease.metadata.name), .body = codec::encode_lease(lease)},
                                      std::move(stop)),
                  "update", lease.metadata.name);
}

}  // namespace pintle::kube
