// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include <csignal>
#include <cstdlib>
#include <iostream>
#include <stop_token>
#include <thread>

#include <pthread.h>
#include <unistd.h>

#include "base/time.h"
#include "ctl/session.h"

namespace {

// Ctrl-C becomes a stop request: a stream is cancelled and the command says what goes on without it. A second one ends at once.
std::thread watch_signals(std::stop_source& stop, const sigset_t& signals) {
  return std::thread([&stop, signals] {
    int signal = 0;
    if (sigwait(&signals, &signal) != 0) return;
    if (signal == SIGUSR2) return;  // the end of the program
    stop.request_stop();
    if (sigwait(&signals, &signal) == 0 && signal != SIGUSR2) _exit(pintle::ctl::kInterrupted);
  });
}

}  // namespace

int main(int argc, char** argv) {
  // gRPC logs to standard error by itself; what it has to say here reaches the user in our own words.
  (void)setenv("GRPC_VERBOSITY", "NONE", 0);
  (void)std::signal(SIGPIPE, SIG_IGN);  // a reader that went away shows as a failed write
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGUSR2}) sigaddset(&signals, signal);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);  // inherited by every thread: only sigwait sees them

  std::stop_source stop;
  auto signal_thread = watch_signals(stop, signals);
  const pintle::SystemClock clock;
  pintle::ctl::Io io{.out = std::cout,
                     .err = std::cerr,
                     .in = std::cin,
                     .clock = clock,
                     .out_is_tty = isatty(STDOUT_FILENO) == 1,
                     .err_is_tty = isatty(STDERR_FILENO) == 1,
                     .interrupted = stop.get_token(),
                     .env = [](const std::string& name) -> std::optional<std::string> {
                       const char* value = std::getenv(name.c_str());
                       return value == nullptr ? std::nullopt : std::optional<std::string>(value);
                     }};
  const int code = pintle::ctl::run(argc, argv, io);
  std::cout.flush();
  pthread_kill(signal_thread.native_handle(), SIGUSR2);
  signal_thread.join();
  return code;
}
