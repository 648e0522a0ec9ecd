// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "reconcile/program_audit.h"

#include <algorithm>

#include <fmt/format.h>
#include <pthread.h>

namespace pintle::reconcile {
namespace {

void add(std::string& died, const std::string& error, const std::string& what) {
  if (!died.empty()) died += "; ";
  died += error.empty() ? what + ": it is not attached" : error;
}

void add_programs(std::string& died, const model::AttachReport& told, const Result<model::AttachReport>& now) {
  for (const auto& program : told.programs) {
    if (!in_force(program.state)) continue;
    const model::PodProgramStatus* found = nullptr;
    if (now)
      for (const auto& one : now->programs)
        if (one.name == program.name) found = &one;
    // Removed meanwhile, with its link: the pod's next plan is without it.
    if (now && found == nullptr) continue;
    if (found == nullptr || !in_force(found->state))
      add(died, found != nullptr ? found->error : std::string(), fmt::format("program '{}'", program.name));
  }
}

}  // namespace

std::string died_hooks(const model::AttachReport& told, const Result<model::AttachReport>& now) {
  // No eBPF here (any more), or not readable now: nothing is known to be dead.
  if (!now && now.error().code != Code::kNotFound) return {};
  std::string died;
  for (const auto& hook : told.hooks) {
    if (!in_force(hook.state)) continue;
    const model::HookStatus* found = nullptr;
    if (now)
      for (const auto& one : now->hooks)
        if (one.hook == hook.hook) found = &one;
    if (found != nullptr && in_force(found->state)) continue;
    add(died, found != nullptr ? found->error : std::string(), fmt::format("hook '{}'", to_string(hook.hook)));
  }
  add_programs(died, told, now);
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
