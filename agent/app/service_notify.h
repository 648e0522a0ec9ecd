// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// systemd's readiness and watchdog (facts row 1.11). Without systemd every call is a no-op. Thread rule: any thread.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <thread>

namespace pintle::app {

void notify_ready(const std::string& status);
void notify_status(const std::string& status);
void notify_stopping();

// What the service manager expects of this very process; nullopt: nothing.
[[nodiscard]] std::optional<std::chrono::microseconds> watchdog_interval();

// Tells the watchdog at half its interval, and only while `alive` says so.
class Watchdog {
 public:
  explicit Watchdog(std::function<bool()> alive);

 private:
  std::jthread thread_;
};

}  // namespace pintle::app
