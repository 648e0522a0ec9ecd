// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Whether and when a container that ended is started again (facts rows 9.7, 10.1, 10.2).
//
// The back-off has an entry per container, made and raised when a restart is begun, not when a failure is seen. So:
//   exit of attempt   0    1    2    3    4    5     6 …
//   waits             0   10   20   40   80  160   300 s   (from the exit's finishedAt)
// and an instance that lived longer than 10 min after its start finds its entry expired: it is restarted at once.
// Memory lost (the agent was restarted): the entry is derived from the attempt's number, so a wait is never shortened.
#pragma once

#include <optional>

#include "lifecycle/memory.h"
#include "model/runtime.h"

namespace pintle::lifecycle {

inline constexpr Duration kRestartInitial = std::chrono::seconds(10);
inline constexpr Duration kRestartReset = std::chrono::seconds(600);

// Whether policy wants an ended instance started again. REQUIRES: exited.
[[nodiscard]] bool wants_restart(model::RestartPolicy policy, int32_t exit_code);

struct RestartDelay {
  Duration delay{};
  Time until{};  // not before
};
// nullopt: at once.
[[nodiscard]] std::optional<RestartDelay> restart_delay(const ContainerMemory& memory, const model::ObservedContainer& exited, Duration max,
                                                        Time now);
// A restart of `exited` is begun now: raises the entry, once per exit.
void begin_restart(ContainerMemory& memory, const model::ObservedContainer& exited, Duration max, Time now);

// Raises an exponential wait: first `initial`, doubled up to `max`.
void raise(std::optional<Wait>& wait, Duration initial, Duration max, Time now);

}  // namespace pintle::lifecycle
