// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "base/log.h"

#include <atomic>
#include <cstdio>

namespace pintle {
namespace {

LogSink& sink() {
  static LogSink instance;
  return instance;
}
std::atomic<LogLevel> level_floor{LogLevel::kInfo};

}  // namespace

void set_log_sink(LogSink new_sink) { sink() = std::move(new_sink); }
void set_log_level(LogLevel level) { level_floor.store(level, std::memory_order_relaxed); }
bool log_enabled(LogLevel level) { return level >= level_floor.load(std::memory_order_relaxed); }

void log_message(LogLevel level, std::string_view component, std::string_view message) {
  if (sink()) {
    sink()(level, component, message);
    return;
  }
  static constexpr std::string_view kNames[] = {"debug", "info", "warning", "error"};
  (void)std::fputs(fmt::format("{} {}: {}\n", kNames[static_cast<size_t>(level)], component, message).c_str(), stderr);
}

}  // namespace pintle
