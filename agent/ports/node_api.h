// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// The seam to the API for the node object and its lease (facts section 7). Thread rule: any thread.
// Errors: kNotFound, kAlreadyExists, kUnavailable, kGone (conflict: read again), kCancelled.
#pragma once

#include <stop_token>

#include "base/result.h"
#include "model/node.h"

namespace pintle::ports {

class NodeApi {
 public:
  virtual ~NodeApi() = default;
  [[nodiscard]] virtual Result<model::Node> get_node(const std::string& name, std::stop_token stop) = 0;
  [[nodiscard]] virtual Result<model::Node> create_node(const model::Node& node, std::stop_token stop) = 0;
  // Strategic-merge patch of labels and annotations only.
  [[nodiscard]] virtual Result<model::Node> patch_node_metadata(const model::Node& node, std::stop_token stop) = 0;
  // Only the difference to `last_known`.
  [[nodiscard]] virtual Result<model::Node> patch_node_status(const model::Node& last_known, const model::NodeStatus& status,
                                                              std::stop_token stop) = 0;
};

class LeaseApi {
 public:
  virtual ~LeaseApi() = default;
  [[nodiscard]] virtual Result<model::Lease> get_lease(const std::string& name, std::stop_token stop) = 0;
  [[nodiscard]] virtual Result<model::Lease> create_lease(const model::Lease& lease, std::stop_token stop) = 0;
  [[nodiscard]] virtual Result<model::Lease> update_lease(const model::Lease& lease, std::stop_token stop) = 0;
};

}  // namespace pintle::ports
