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

void ProgramSetKeeper::set_label(std::optional<std::string> label) {
  {
    const MutexLock lock(mu_);
    if (label_.has_value() && *label_ == label) return;
    label_.emplace(std::move(label));
    kicked_ = true;
  }
  changed_.notify_all();
}

std::optional<std::string> ProgramSetKeeper::wanted() {
  if (!options_.by_label) return options_.configured;
  const MutexLock lock(mu_);
  return label_ ? std::optional(label_->value_or(options_.configured)) : std::nullopt;
}

void ProgramSetKeeper::look() {
  const auto name = wanted();
  if (!name) {
    if (std::exchange(first_, false)) options_.told(last_);
    return;
  }
  (void)attacher_.use_program_set(*name);  // told by program_set()
  auto now = attacher_.program_set();
  if (!std::exchange(first_, false) && now == last_) return;
  last_ = std::move(now);
  options_.told(last_);
}

void ProgramSetKeeper::run(const std::stop_token& stop) {
  (void)::pthread_setname_np(::pthread_self(), "sets");
  while (!stop.stop_requested()) {
    look();
    const MutexLock lock(mu_);
    (void)changed_.wait_for(mu_, stop, options_.period, [this]() PINTLE_REQUIRES(mu_) { return kicked_; });
    kicked_ = false;
  }
}

}  // namespace pintle::reconcile
