// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// What a fake is told to get wrong, and the log of what it was asked to do. A fake calls next() first in every operation,
// by the port's function name, and returns the Error it gets. Deterministic: no clock, no randomness.
// Thread rule: one thread (a fake that is called from several guards it by itself).
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"

namespace pintle::fakes {

class FaultPlan {
 public:
  // The nth call of `op` from now on (1: the very next one) fails with `error`; 0: every call, until clear().
  void fail(std::string op, int nth, Error error) { faults_.emplace_back(std::move(op), nth, std::move(error)); }
  void clear() { faults_.clear(); }

  // Records the call as "op" or "op object". The Error it is to fail with, if any.
  [[nodiscard]] std::optional<Error> next(const std::string& op, const std::string& object = {}) {
    calls_.push_back(object.empty() ? op : op + " " + object);
    std::optional<Error> due;
    for (auto& fault : faults_) {
      if (fault.op != op) continue;
      const bool hit = fault.every || --fault.left == 0;
      if (!hit) continue;
      if (!due) due = fault.error;
      fault.spent = !fault.every;
    }
    std::erase_if(faults_, [](const Fault& fault) { return fault.spent; });
    return due;
  }

  [[nodiscard]] const std::vector<std::string>& calls() const { return calls_; }
  // Calls of one operation, whatever the object.
  [[nodiscard]] int count(const std::string& op) const {
    return static_cast<int>(std::count_if(calls_.begin(), calls_.end(), [&](const std::string& call) {
      return call == op || (call.size() > op.size() && call.compare(0, op.size(), op) == 0 && call[op.size()] == ' ');
    }));
  }
  void forget_calls() { calls_.clear(); }

 private:
  struct Fault {
    Fault(std::string name, int nth, Error what) : op(std::move(name)), left(nth), every(nth == 0), error(std::move(what)) {}
    std::string op;
    int left;
    bool every;
    Error error;
    bool spent = false;
  };
  std::vector<Fault> faults_;
  std::vector<std::string> calls_;
};

}  // namespace pintle::fakes
