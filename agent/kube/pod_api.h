// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// What the agent writes about pods (ports::PodApi) and reads of the objects they refer to (ports::ObjectReader).
// Thread rule: any thread; requests share the connection that is given and wait for one another there.
// Errors as the ports have them; each names verb and object.
#pragma once

#include "kube/api_connection.h"
#include "ports/object_reader.h"
#include "ports/pod_api.h"

namespace pintle::kube {

class KubePodApi final : public ports::PodApi {
 public:
  // Contract: `connection` outlives this.
  explicit KubePodApi(ApiConnection& connection) : connection_(connection) {}
  [[nodiscard]] Result<model::Pod> patch_status(const model::Pod& last_known, const model::PodStatus& status,
                                                std::stop_token stop) override;
  [[nodiscard]] Status delete_pod(const model::Pod& pod, std::stop_token stop) override;
  [[nodiscard]] Result<model::Pod> create_pod(const model::Pod& pod, std::stop_token stop) override;

 private:
  [[nodiscard]] Error told_apart(const model::Pod& pod, Error refused, std::stop_token stop);
  ApiConnection& connection_;
};

class KubeObjectReader final : public ports::ObjectReader {
 public:
  // `deadline`: zero: the connection's.
  explicit KubeObjectReader(ApiConnection& connection, Duration deadline = {}) : connection_(connection), deadline_(deadline) {}
  [[nodiscard]] Result<model::ConfigMap> get_config_map(const std::string& namespace_, const std::string& name,
                                                        std::stop_token stop) override;
  [[nodiscard]] Result<model::Secret> get_secret(const std::string& namespace_, const std::string& name, std::stop_token stop) override;
  [[nodiscard]] Result<ports::IssuedToken> request_token(const ports::TokenRequest& request, std::stop_token stop) override;

 private:
  ApiConnection& connection_;
  const Duration deadline_;
};

}  // namespace pintle::kube
