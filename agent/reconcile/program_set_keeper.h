// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Keeps the program set in force that the node's label asks for, or without one the configuration: looks each 10 s, has the attacher put
// another one in force, and tells what became of it. A label that can't be read changes nothing. A set that failed is tried again when its
// file has changed, or when something else was wanted in between; the attacher knows (ports/program_attacher.h).
// Thread rule: one thread of its own, on which everything is called; look() also from a test's.
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
  // The label's value; nullopt: the node has none. May block for as long as a request may. Null: no label counts here.
  std::function<Result<std::optional<std::string>>(std::stop_token stop)> label;
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
  void look(std::stop_token stop = {});

 private:
  void run(const std::stop_token& stop);

  ports::ProgramAttacher& attacher_;
  const ProgramSetKeeperOptions options_;
  // own thread
  model::ProgramSetStatus last_;
  bool first_ = false;
  Mutex mu_;
  ConditionVariable never_;
  std::jthread thread_;
};

}  // namespace pintle::reconcile
