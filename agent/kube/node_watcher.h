// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// The agent's own node as others write it, over a ListWatch: one request that stays open, instead of one each few seconds. A node that is
// not there, or goes, is not told: what was last told of it stays. Not for writing (node_api.h). Thread rule: as ListWatch; outputs are
// called on its thread. start() once; stop() from another thread than theirs.
#pragma once

#include <functional>
#include <string>

#include "kube/list_watch.h"
#include "model/node.h"

namespace pintle::kube {

struct NodeWatcherOptions {
  std::string node_name;
  BackoffPolicy backoff{std::chrono::milliseconds(800), std::chrono::seconds(10)};
};

class NodeWatcher final : private WatchedKind {
 public:
  struct Outputs {
    std::function<void(const model::Node&)> node;                  // as it is, then each version
    std::function<void(const std::string& error)> trouble;         // it can't be read now; empty: it can again
    std::function<void(const std::string& error)> forbidden = {};  // the account may not read it; trouble() is called as well
  };
  // REQUIRES: `clock` and what the outputs use outlive this.
  NodeWatcher(Kubeconfig config, const Clock& clock, const NodeWatcherOptions& options, Outputs outputs);
  ~NodeWatcher() override;

  [[nodiscard]] Status start();
  void stop();
  [[nodiscard]] WatchCounts counts() const { return watch_.counts(); }

 private:
  void list_begins() override {}
  [[nodiscard]] Result<ListHead> page(const std::string& body) override;
  void list_ends() override {}
  void changed(std::string_view object_json, bool deleted) override;
  void trouble(Trouble trouble, const std::string& error) override;
  void forbidden(const std::string& error) override;
  void take(std::string_view json);

  const std::string name_;
  const Outputs outputs_;
  // own thread
  std::string api_error_, unreadable_;
  std::string told_;  // the trouble last told
  ListWatch watch_;
};

}  // namespace pintle::kube
