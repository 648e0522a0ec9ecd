// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// One moving line at the foot of a terminal, on standard error, while something is waited for. Off a terminal it is nothing.
// Lines printed meanwhile go through print(), which moves the foot out of the way.
// Thread rule: one thread; an own thread turns the wheel.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <ostream>
#include <string>
#include <thread>

#include "ctl/session.h"

namespace pintle::ctl {

class Progress {
 public:
  explicit Progress(Session& session);
  ~Progress();  // wipes the line
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void say(std::string text);
  void print(const std::function<void(std::ostream&)>& writer);  // to standard output

 private:
  void turn(const std::stop_token& stop);

  Session& session_;
  const bool shown_;
  std::mutex mu_;
  std::condition_variable_any changed_;
  std::string text_;
  size_t frame_ = 0;
  std::jthread wheel_;  // last: uses all of the above
};

}  // namespace pintle::ctl
