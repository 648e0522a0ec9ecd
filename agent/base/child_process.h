// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Runs another program to its end: some bytes in, what it writes out, and an end to it when its time is over or we are asked to stop.
// It gets a process group of its own, no signal blocked or ignored, and no descriptor but the three (all of ours are close-on-exec).
// Thread rule: any thread; blocks until the program has ended. Who of its children lives on is killed with it.
#pragma once

#include <chrono>
#include <stop_token>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/time.h"

namespace pintle {

struct ChildRun {
  static constexpr size_t kMostInput = size_t{32} << 10U;  // what a pipe takes without a reader

  std::string path;                      // absolute
  std::vector<std::string> args;         // behind its name
  std::vector<std::string> environment;  // "NAME=value": over our own
  std::string input;                     // REQUIRES: at most kMostInput
  Duration timeout = std::chrono::minutes(1);
  size_t most_output = size_t{1} << 20U;  // more of it ends the program
};
struct ChildOutput {
  std::string out, err;  // of the second the beginning
};

// kNotFound and the like: it can't be started. kUnavailable: it failed (exit code or signal, and the last line it wrote to stderr), took
// too long or wrote too much. kCancelled. What it wrote to stdout is in no error.
[[nodiscard]] Result<ChildOutput> run_child(const ChildRun& run, const Clock& clock, const std::stop_token& stop);

}  // namespace pintle
