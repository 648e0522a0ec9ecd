// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Puts the objects of a manifest into the API the agent is connected to: creates what is missing, merges what is there.
// One bad document never stops the others. Thread rule: any thread; calls block on the API.
#pragma once

#include <stop_token>
#include <string>

#include "base/result.h"
#include "kube/api_connection.h"
#include "ports/agent_view.h"

namespace pintle::app {

class Applier {
 public:
  // REQUIRES: `connection` outlives this.
  explicit Applier(kube::ApiConnection& connection) : connection_(connection) {}

  [[nodiscard]] ports::ApplyReply apply(const std::string& manifest, const std::string& origin, bool dry_run, std::stop_token stop);
  [[nodiscard]] Status delete_pod(const std::string& namespace_, const std::string& name, std::optional<int64_t> grace_seconds,
                                  std::stop_token stop);
  // kInvalid: a kind that is not served.
  [[nodiscard]] Result<std::string> list_json(const std::string& kind, const std::string& namespace_, std::stop_token stop);

 private:
  kube::ApiConnection& connection_;
};

}  // namespace pintle::app
