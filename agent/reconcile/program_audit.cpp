// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "reconcile/program_audit.h"

#include <algorithm>

#include <fmt/format.h>
#include <pthread.h>

namespace pintle::reconcile {
namespace {

bool in_force(const model::HookStatus& hook) {
  return hook.state == model::HookState::kAttached || hook.state == model::HookState::kAdopted;
}

}  // namespace

std::string died_hooks(const model::AttachReport& told, const Result<model::AttachReport>& now) {
  // No eBPF here (any more), or not readable now: nothing is known to be dead.
  if (!now && now.error().code != Code::kNotFound) return {};
  std::string died;
  for (const auto& hook : told.hooks) {
    if (!in_force(hook)) continue;
    const model::HookStatus* found = nullptr;
    if (now)
      for (const auto& one : now->hooks)
        if (one.hook == hook.hook) found = &one;
    if (found != nullptr && in_force(*found)) continue;
    if (!died.empty()) died += "; ";
    died += found != nullptr && !found->error.empty() ? found->error : fmt::format("hook '{}': it is not attached", to_string(hook.hook));
  }
  return died;
}

void ProgramAudit::start() {
  thread_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
}

void ProgramAudit::stop() {
  thread_.request_stop();
  if (thread_.joinable()) thread_.join();
}

void ProgramAudit::look() {
  for (const auto& told : options_.reports())
    if (const auto died = died_hooks(told, attacher_.inspect(told.uid)); !died.empty()) options_.died(told.uid, died);
}

void ProgramAudit::run(const std::stop_token& stop) {
  (void)::pthread_setname_np(::pthread_self(), "audit");
  for (;;) {
    {
      MutexLock lock(mu_);
      if (never_.wait_for(mu_, stop, options_.period, [&] { return stop.stop_requested(); })) return;
    }
    if (stop.stop_requested()) return;
    look();
  }
}

}  // namespace pintle::reconcile
