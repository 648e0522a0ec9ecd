// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Node and lease of one name in memory, with faults by turn and a log of calls. Thread rule: any thread.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "ports/node_api.h"

namespace pintle::node {

class FakeNodeApi final : public ports::NodeApi, public ports::LeaseApi {
 public:
  std::optional<model::Node> node;  // before start, or under look()
  std::optional<model::Lease> lease;

  void fail_next(Code code, int times = 1) {
    const std::lock_guard lock(mu_);
    for (int i = 0; i < times; ++i) faults_.push_back(code);
  }
  template <typename T>
  T look(const std::function<T(FakeNodeApi&)>& at) {
    const std::lock_guard lock(mu_);
    return at(*this);
  }
  bool wait(const std::function<bool(FakeNodeApi&)>& done) {
    std::unique_lock lock(mu_);
    return changed_.wait_for(lock, std::chrono::seconds(10), [&] { return done(*this); });
  }
  std::vector<std::string> calls;  // under look() and wait()

  Result<model::Node> get_node(const std::string&, std::stop_token) override {
    return act<model::Node>("get node", [&]() -> Result<model::Node> { return node ? Result<model::Node>(*node) : absent(); });
  }
  Result<model::Node> create_node(const model::Node& wanted, std::stop_token) override {
    return act<model::Node>("create node", [&]() -> Result<model::Node> {
      if (node) return fail(Code::kAlreadyExists, "exists");
      node = wanted;
      node->metadata.uid = "node-uid";
      return *node;
    });
  }
  Result<model::Node> patch_node_metadata(const model::Node& wanted, std::stop_token) override {
    return act<model::Node>("patch metadata", [&]() -> Result<model::Node> {
      if (!node) return absent();
      node->metadata.labels = wanted.metadata.labels;
      node->metadata.annotations = wanted.metadata.annotations;
      return *node;
    });
  }
  Result<model::Node> patch_node_status(const model::Node&, const model::NodeStatus& status, std::stop_token) override {
    return act<model::Node>("patch status", [&]() -> Result<model::Node> {
      if (!node) return absent();
      node->status = status;
      return *node;
    });
  }
  Result<model::Lease> get_lease(const std::string&, std::stop_token) override {
    return act<model::Lease>("get lease", [&]() -> Result<model::Lease> { return lease ? Result<model::Lease>(*lease) : absent(); });
  }
  Result<model::Lease> create_lease(const model::Lease& wanted, std::stop_token) override {
    return act<model::Lease>("create lease", [&]() -> Result<model::Lease> {
      if (lease) return fail(Code::kAlreadyExists, "exists");
      return store(wanted);
    });
  }
  Result<model::Lease> update_lease(const model::Lease& wanted, std::stop_token) override {
    return act<model::Lease>("update lease", [&]() -> Result<model::Lease> {
      if (!lease) return absent();
      if (lease->metadata.resource_version != wanted.metadata.resource_version) return fail(Code::kGone, "conflict");
      return store(wanted);
    });
  }

 private:
  static std::unexpected<Error> absent() { return fail(Code::kNotFound, "not found"); }
  Result<model::Lease> store(const model::Lease& wanted) {
    lease = wanted;
    lease->metadata.resource_version = std::to_string(++version_);
    return *lease;
  }
  template <typename T>
  Result<T> act(const char* name, const std::function<Result<T>()>& body) {
    const std::lock_guard lock(mu_);
    calls.emplace_back(name);
    changed_.notify_all();
    if (!faults_.empty()) {
      const Code code = faults_.front();
      faults_.pop_front();
      return fail(code, "made to fail");
    }
    return body();
  }
  std::mutex mu_;
  std::condition_variable changed_;
  std::deque<Code> faults_;
  int version_ = 0;
};

}  // namespace pintle::node
