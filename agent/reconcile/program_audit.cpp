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

void ProgramAudit::look() { look_at(options_.reports()); }

void ProgramAudit::look_at(const std::vector<model::AttachReport>& told) {
  for (const auto& one : told)
    if (const auto died = died_hooks(one, attacher_.inspect(one.uid)); !died.empty()) options_.died(one.uid, died);
}

void ProgramAudit::suspect(const PodUid& uid) {
  {
    const MutexLock lock(mu_);
    suspects_.insert(uid);
  }
  changed_.notify_all();
}

void ProgramAudit::run(const std::stop_token& stop) {
  (void)::pthread_setname_np(::pthread_self(), "audit");
  SteadyTime due = clock_.steady() + options_.period;
  for (;;) {
    std::set<PodUid> suspects;
    {
      MutexLock lock(mu_);
      (void)changed_.wait_for(mu_, stop, std::max(due - clock_.steady(), Duration::zero()),
                              [this]() PINTLE_REQUIRES(mu_) { return !suspects_.empty(); });
      suspects.swap(suspects_);
    }
    if (stop.stop_requested()) return;
    if (suspects.empty()) {
      look();
      due = clock_.steady() + options_.period;
      continue;
    }
    auto told = options_.reports();
    std::erase_if(told, [&](const auto& one) { return !suspects.contains(one.uid); });
    look_at(told);
  }
}

}  // namespace pintle::reconcile
