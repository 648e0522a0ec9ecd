// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "lifecycle/restart.h"

#include <algorithm>

namespace pintle::lifecycle {
namespace {

struct Entry {
  Duration delay{};
  Time raised{};
};

std::optional<Entry> entry_of(const ContainerMemory& memory, const model::ObservedContainer& exited, Duration max) {
  if (memory.restart_wait) return Entry{memory.restart_wait->delay, memory.restart_wait->last_failure};
  if (exited.attempt == 0) return std::nullopt;
  const Duration initial = std::min(kRestartInitial, max);
  const auto doublings = std::min<uint32_t>(exited.attempt - 1, 16);
  return Entry{std::min(initial * (int64_t{1} << doublings), max), exited.created_at};
}

bool expired(const Entry& entry, const model::ObservedContainer& exited) { return exited.finished_at - entry.raised > kRestartReset; }

}  // namespace

bool wants_restart(model::RestartPolicy policy, int32_t exit_code) {
  return policy == model::RestartPolicy::kAlways || (policy == model::RestartPolicy::kOnFailure && exit_code != 0);
}

std::optional<RestartDelay> restart_delay(const ContainerMemory& memory, const model::ObservedContainer& exited, Duration max, Time now) {
  if (!memory.last_exit.empty() && memory.last_exit == exited.id) return std::nullopt;  // this exit has been waited for
  const auto entry = entry_of(memory, exited, max);
  if (!entry || expired(*entry, exited)) return std::nullopt;
  // A clock set back must not make the wait longer than the entry.
  const Time until = std::min(exited.finished_at, now) + entry->delay;
  if (now >= until) return std::nullopt;
  return RestartDelay{entry->delay, until};
}

void begin_restart(ContainerMemory& memory, const model::ObservedContainer& exited, Duration max, Time now) {
  if (!memory.last_exit.empty() && memory.last_exit == exited.id) return;
  const auto entry = entry_of(memory, exited, max);
  Wait wait;
  wait.delay = !entry || expired(*entry, exited) ? std::min(kRestartInitial, max) : std::min(entry->delay * 2, max);
  wait.until = now + wait.delay;
  wait.last_failure = now;
  memory.restart_wait = wait;
  memory.last_exit = exited.id;
}

void raise(std::optional<Wait>& wait, Duration initial, Duration max, Time now) {
  const Duration delay = wait ? std::min(wait->delay * 2, max) : std::min(initial, max);
  wait = Wait{delay, now + delay, now};
}

}  // namespace pintle::lifecycle
