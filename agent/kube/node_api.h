// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// The node object and its lease at the API server (facts section 7). The lease gets a connection that nothing else uses.
// Thread rule and errors: ports/node_api.h.
#pragma once

#include "kube/api_connection.h"
#include "ports/node_api.h"

namespace pintle::kube {

class KubeNodeApi final : public ports::NodeApi {
 public:
  // Contract: `connection` outlives this.
  explicit KubeNodeApi(ApiConnection& connection) : connection_(connection) {}
  [[nodiscard]] Result<model::Node> get_node(const std::string& name, std::stop_token stop) override;
  [[nodiscard]] Result<model::Node> create_node(const model::Node& node, std::stop_token stop) override;
  [[nodiscard]] Result<model::Node> patch_node_metadata(const model::Node& node, std::stop_token stop) override;
  [[nodiscard]] Result<model::Node> patch_node_status(const model::Node& last_known, const model::NodeStatus& status,
                                                      std::stop_token stop) override;

 private:
  ApiConnection& connection_;
};

// Leases of kube-node-lease.
class KubeLeaseApi final : public ports::LeaseApi {
 public:
  explicit KubeLeaseApi(ApiConnection& connection) : connection_(connection) {}
  [[nodiscard]] Result<model::Lease> get_lease(const std::string& name, std::stop_token stop) override;
  [[nodiscard]] Result<model::Lease> create_lease(const model::Lease& lease, std::stop_token stop) override;
  [[nodiscard]] Result<model::Lease> update_lease(const model::Lease& lease, std::stop_token stop) override;

 private:
  ApiConnection& connection_;
};

}  // namespace pintle::kube
