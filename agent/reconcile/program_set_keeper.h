// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Keeps the program set in force that the node's label asks for, or without one the configuration: looks when told of another label and
// each 10 s, has the attacher put another set in force, and tells what became of it. A label that is not known yet changes nothing. A set
// that failed is tried again when its file has changed, or when something else was wanted in between; the attacher knows
// (ports/program_attacher.h). Thread rule: one thread of its own, on which everything is called; set_label() from any, look() from a
// test's.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <thread>

#include "base/mutex.h"
#include "base/time.h"
#include "ports/program_attacher.h"

namespace pintle::reconcile {

struct ProgramSetKeeperOptions {
  std::string configured{model::kBuiltinSet};
  bool by_label = false;  // the node's label goes over it: nothing is done until set_label() was called
  // At the first look if something was amiss with the start already, and after every change.
  std::function<void(const model::ProgramSetStatus&)> told;
  Duration period = std::chrono::seconds(10);
};

class ProgramSetKeeper {
 public:
  // REQUIRES: `attacher` outlives this.
  ProgramSetKeeper(ports::ProgramAttacher& attacher, ProgramSetKeeperOptions options)
      : attacher_(attacher), options_(std::move(options)), last_(attacher.program_set()) {
    first_ = last_.attempt != model::ProgramSetStatus::Attempt::kNone || !last_.leftovers.empty();
  }
  ~ProgramSetKeeper() { stop(); }

  void start();
  void stop();  // idempotent
  // The label's value; nullopt: the node has none.
  void set_label(std::optional<std::string> label);
  void look();

 private:
  void run(const std::stop_token& stop);
  // nullopt: not known yet.
  [[nodiscard]] std::optional<std::string> wanted();

  ports::ProgramAttacher& attacher_;
  const ProgramSetKeeperOptions options_;
  // own thread
  model::ProgramSetStatus last_;
  bool first_ = false;
  Mutex mu_;
  ConditionVariable changed_;
  std::optional<std::optional<std::string>> label_ PINTLE_GUARDED_BY(mu_);  // outer: known
  bool kicked_ PINTLE_GUARDED_BY(mu_) = false;
  std::jthread thread_;
};

}  // namespace pintle::reconcile
