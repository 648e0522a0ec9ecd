// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "reconcile/program_set_keeper.h"

#include <utility>

#include <pthread.h>

namespace pintle::reconcile {

void ProgramSetKeeper::start() {
  thread_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
}

void ProgramSetKeeper::stop() {
  thread_.request_stop();
  if (thread_.joinable()) thread_.join();
}

void ProgramSetKeeper::look(std::stop_token stop) {
  std::optional<std::string> label;
  if (options_.label) {
    auto read = options_.label(std::move(stop));
    if (!read) {
      if (std::exchange(first_, false)) options_.told(last_);
      return;
    }
    label = *std::move(read);
  }
  (void)attacher_.use_program_set(label.value_or(options_.configured));  // told by program_set()
  auto now = attacher_.program_set();
  if (!std::exchange(first_, false) && now == last_) return;
  last_ = std::move(now);
  options_.told(last_);
}

void ProgramSetKeeper::run(const std::stop_token& stop) {
  (void)::pthread_setname_np(::pthread_self(), "sets");
  while (!stop.stop_requested()) {
    look(stop);
    const MutexLock lock(mu_);
    (void)never_.wait_for(mu_, stop, options_.period, [&] { return stop.stop_requested(); });
  }
}

}  // namespace pintle::reconcile
