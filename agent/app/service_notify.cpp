// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "app/service_notify.h"

#include <algorithm>
#include <condition_variable>
#include <mutex>

#include <systemd/sd-daemon.h>

namespace pintle::app {

void notify_ready(const std::string& status) { (void)::sd_notifyf(0, "READY=1\nSTATUS=%s", status.c_str()); }
void notify_status(const std::string& status) { (void)::sd_notifyf(0, "STATUS=%s", status.c_str()); }
void notify_stopping() { (void)::sd_notify(0, "STOPPING=1"); }

Watchdog::Watchdog(std::function<bool()> alive) {
  uint64_t interval_us = 0;
  if (::sd_watchdog_enabled(0, &interval_us) <= 0) return;
  const auto half = std::max(std::chrono::microseconds(interval_us / 2), std::chrono::microseconds(std::chrono::seconds(1)));
  thread_ = std::jthread([alive = std::move(alive), half](const std::stop_token& stop) {
    std::mutex mutex;
    std::condition_variable_any condition;
    std::unique_lock lock(mutex);
    while (!stop.stop_requested()) {
      if (alive()) (void)::sd_notify(0, "WATCHDOG=1");
      (void)condition.wait_for(lock, stop, half, [] { return false; });
    }
  });
}

}  // namespace pintle::app
