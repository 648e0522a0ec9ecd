// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// ports::StateStore in memory, with faults: fail the nth call of an operation, damage a record. Its content can be handed to a
// second instance, as a restart of the agent would. Held to the same contract suite as the real one.
// Thread rule: any thread.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/mutex.h"
#include "ports/state_store.h"

namespace pintle::fakes {

class FakeStateStore final : public ports::StateStore {
 public:
  using Records = std::map<std::pair<std::string, std::string>, std::string>;
  FakeStateStore() = default;
  explicit FakeStateStore(Records records) : records_(std::move(records)) {}

  [[nodiscard]] Status put(const std::string& kind, const std::string& key, const std::string& value) override;
  [[nodiscard]] Result<std::string> get(const std::string& kind, const std::string& key) override;
  [[nodiscard]] Status erase(const std::string& kind, const std::string& key) override;
  [[nodiscard]] Result<std::vector<std::pair<std::string, std::string>>> list(const std::string& kind) override;

  // The nth call from now (1: the next) of "put", "get", "erase" or "list" fails with `error`, once.
  void fail_call(const std::string& operation, int nth, Error error);
  // From now on the record fails its checksum: get says kInvalid, list leaves it out, put mends it.
  void damage(const std::string& kind, const std::string& key);
  [[nodiscard]] Records records() const;
  // "put kind/key", in order; only calls that would have changed the disk.
  [[nodiscard]] std::vector<std::string> writes() const;

 private:
  struct Fault {
    std::string operation;
    int left = 0;
    Error error;
  };
  [[nodiscard]] Status take_fault(const std::string& operation) PINTLE_REQUIRES(mu_);

  mutable Mutex mu_;
  Records records_ PINTLE_GUARDED_BY(mu_);
  std::map<std::pair<std::string, std::string>, bool> damaged_ PINTLE_GUARDED_BY(mu_);
  std::vector<Fault> faults_ PINTLE_GUARDED_BY(mu_);
  std::vector<std::string> writes_ PINTLE_GUARDED_BY(mu_);
};

}  // namespace pintle::fakes
