// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <iostream>
#include <optional>
#include <stop_token>
#include <thread>

#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/time.h"
#include "base/unique_fd.h"
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

// `head` and `less` close their end when they have seen enough; a write would tell, but a command that waits writes nothing.
class ReaderWatch {
 public:
  explicit ReaderWatch(std::stop_source& stop) : end_(eventfd(0, EFD_CLOEXEC)), thread_([this, &stop] { run(stop); }) {}
  ~ReaderWatch() {
    const uint64_t one = 1;
    (void)!write(end_.get(), &one, sizeof one);  // ignoring: an eventfd at zero takes a one
    thread_.join();
  }
  ReaderWatch(const ReaderWatch&) = delete;
  ReaderWatch& operator=(const ReaderWatch&) = delete;
  [[nodiscard]] static bool gone() {
    pollfd out{.fd = STDOUT_FILENO, .events = 0, .revents = 0};
    return poll(&out, 1, 0) == 1 && (out.revents & (POLLERR | POLLHUP)) != 0;
  }

 private:
  void run(std::stop_source& stop) const {
    pollfd fds[] = {{.fd = STDOUT_FILENO, .events = 0, .revents = 0}, {.fd = end_.get(), .events = POLLIN, .revents = 0}};
    while (poll(fds, 2, -1) < 0 && errno == EINTR) continue;
    if (fds[1].revents == 0) stop.request_stop();
  }
  pintle::UniqueFd end_;
  std::thread thread_;
};

bool is_pipe(int fd) {
  struct stat st{};
  return fstat(fd, &st) == 0 && (S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode));
}

int terminal_rows() {
  winsize size{};
  return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 ? size.ws_row : 0;
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
  std::optional<ReaderWatch> reader;
  if (is_pipe(STDOUT_FILENO)) reader.emplace(stop);
  const pintle::SystemClock clock;
  pintle::ctl::Io io{.out = std::cout,
                     .err = std::cerr,
                     .in = std::cin,
                     .clock = clock,
                     .out_is_tty = isatty(STDOUT_FILENO) == 1,
                     .err_is_tty = isatty(STDERR_FILENO) == 1,
                     .rows = terminal_rows,
                     .reader_gone = ReaderWatch::gone,
                     .interrupted = stop.get_token(),
                     .env = [](const std::string& name) -> std::optional<std::string> {
                       const char* value = std::getenv(name.c_str());
                       return value == nullptr ? std::nullopt : std::optional<std::string>(value);
                     }};
  int code = pintle::ctl::run(argc, argv, io);
  if (code == pintle::ctl::kInterrupted && reader && ReaderWatch::gone()) code = pintle::ctl::kOk;  // it has seen what it wanted
  pthread_kill(signal_thread.native_handle(), SIGUSR2);
  signal_thread.join();
  return code;
}
