// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// pintled: reads the configuration, runs the agent until a signal, stops it.
#include <csignal>

#include <fmt/format.h>

#include "app/agent.h"
#include "app/command_line.h"
#include "app/service_notify.h"
#include "app/version.h"
#include "base/heap.h"
#include "base/log.h"
#include "telemetry/log_sink.h"

namespace {

using namespace pintle;

constexpr int kExitUsage = 2;

// Signals are taken by sigwait on the main thread; every other thread inherits the block.
sigset_t block_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&set, signal);
  (void)pthread_sigmask(SIG_BLOCK, &set, nullptr);
  (void)std::signal(SIGPIPE, SIG_IGN);
  return set;
}

void wait_for_end() {
  const sigset_t signals = block_signals();
  fmt::print("nothing of Pintle is left on this node; waiting to be stopped\n");
  (void)std::fflush(stdout);
  int signal = 0;
  do (void)sigwait(&signals, &signal);
  while (signal == SIGHUP);
}

int run(const config::AgentConfig& config) {
  const sigset_t signals = block_signals();
  telemetry::install_log_sink({.level = config.log_level, .style = telemetry::detect_style(2)});
  set_log_level(config.log_level);
  for (const auto& warning : config.warnings) PINTLE_LOG(kWarning, "config", "{}", warning);
  auto agent = app::Agent::start(config);
  if (!agent) {
    PINTLE_LOG(kError, "main", "{}", agent.error().message());
    return 1;
  }
  PINTLE_LOG(kInfo, "main", "pintled {} is up: {}", app::kVersion, (*agent)->summary());
  app::notify_ready((*agent)->summary());
  {
    const app::Watchdog watchdog([&agent] { return (*agent)->alive(); });
    int signal = 0;
    do {
      (void)sigwait(&signals, &signal);
      if (signal == SIGHUP)
        PINTLE_LOG(kWarning, "main", "the configuration is read at the start only; restart to change it (pods are not disturbed)");
    } while (signal == SIGHUP);
    PINTLE_LOG(kInfo, "main", "stopping on {}; pods go on running", signal == SIGINT ? "SIGINT" : "SIGTERM");
  }
  app::notify_stopping();
  (*agent)->stop();
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const auto line = app::parse_command_line(argc, argv);
  if (!line) {
    fmt::print(stderr, "pintled: {}\n", line.error().message());
    return kExitUsage;
  }
  switch (line->command) {
    case app::Command::kHelp: fmt::print("{}", line->help); return 0;
    case app::Command::kVersion: fmt::print("pintled {}\n", app::kVersion); return 0;
    case app::Command::kPrintConfig: fmt::print("{}", config::describe(line->config)); return 0;
    case app::Command::kCleanup:
      if (const auto done = app::clean_up(line->config); !done) {
        fmt::print(stderr, "pintled: cleanup: {}\n", done.error().message());
        return 1;
      } else {
        fmt::print("pintled: cleanup: {}\n", *done);
        (void)std::fflush(stdout);  // a log is read while this stays
      }
      if (line->stay) wait_for_end();
      return 0;
    case app::Command::kMountBpffs:
      if (const auto done = app::mount_bpffs(line->config); !done) {
        fmt::print(stderr, "pintled: mount-bpffs: {}\n", done.error().message());
        return 1;
      }
      return 0;
    case app::Command::kRun:
      begin_without_thread_caches(argv);
      bound_heap();
      return run(line->config);
  }
  return 0;
}
