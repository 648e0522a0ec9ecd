// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "nri/plugin.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <fmt/format.h>

namespace pintle::nri {
namespace {

int milliseconds(Duration duration) {
  const auto ms = std::chrono::ceil<std::chrono::milliseconds>(duration).count();
  return static_cast<int>(std::clamp<int64_t>(ms, 0, 3'600'000));
}

// Answers are small and the runtime waits for them: what does not fit into its buffer within this time will not be read.
constexpr Duration kSending = std::chrono::seconds(1);

Status send_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent >= 0) {
      bytes.remove_prefix(static_cast<size_t>(sent));
      continue;
    }
    if (errno == EINTR) continue;
    if (errno != EAGAIN) return fail_errno(errno, "send to the runtime");
    pollfd writable{fd, POLLOUT, 0};
    if (::poll(&writable, 1, milliseconds(kSending)) == 0) return fail(Code::kUnavailable, "the runtime does not read our answers");
  }
  return {};
}

std::string folder_of(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == 0 || slash == std::string::npos ? "/" : path.substr(0, slash);
}

}  // namespace

Plugin::Plugin(PluginOptions options, ports::RuntimeHooks& hooks, const Clock& clock)
    : options_(std::move(options)), hooks_(hooks), clock_(clock) {}

Plugin::~Plugin() { stop(); }

Status Plugin::start() {
  wake_.reset(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake_.valid()) return fail_errno(errno, "NRI: eventfd");
  thread_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
  return {};
}

void Plugin::stop() {
  thread_.request_stop();
  if (!thread_.joinable()) return;
  const uint64_t one = 1;
  (void)!::write(wake_.get(), &one, sizeof one);  // ignoring: its only error is a counter that is full already
  thread_.join();
}

PluginState Plugin::state() const {
  const MutexLock lock(mu_);
  return state_;
}

ports::HookCounts Plugin::counts() const {
  const MutexLock lock(mu_);
  auto counts = counts_;
  counts.connected = state_.connected;
  return counts;
}

void Plugin::tell(bool connected, std::string detail) {
  PluginState now;
  {
    const MutexLock lock(mu_);
    now = {.connected = connected, .was_connected = connected || state_.was_connected, .detail = std::move(detail)};
    if (now == state_) return;
    state_ = now;
  }
  if (options_.on_change) options_.on_change(now);
}

void Plugin::run(const std::stop_token& stop) {
  (void)::pthread_setname_np(::pthread_self(), "nri");
  Backoff backoff(options_.backoff);
  while (!stop.stop_requested()) {
    const auto begun = clock_.steady();
    auto socket = connect();
    const bool was_absent = !socket && socket.error().sys_errno == ENOENT;
    if (socket) {
      tell(false, fmt::format("registering at '{}'", options_.socket));
      const auto why = converse(socket->get(), stop);
      if (stop.stop_requested()) return;
      if (clock_.steady() - begun >= options_.settled) backoff.reset();
      tell(false, why.message());
    } else {
      tell(false, socket.error().message());
    }
    wait_for_socket(backoff.next(), was_absent);
  }
}

Result<UniqueFd> Plugin::connect() const {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (options_.socket.size() >= sizeof address.sun_path)
    return fail(Code::kInvalid,
                fmt::format("NRI socket '{}': a socket's path has at most {} bytes", options_.socket, sizeof address.sun_path - 1));
  std::memcpy(address.sun_path, options_.socket.c_str(), options_.socket.size() + 1);
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return fail_errno(errno, "NRI: socket");
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    return fail_errno(errno, fmt::format("connect to NRI socket '{}'", options_.socket));
  return fd;
}

// Until the connection is of no use any more; why.
Error Plugin::converse(int fd, const std::stop_token& stop) {
  Session session(options_.session, hooks_, clock_);
  bool connected = false;
  const auto done = [&]() -> Status {
    PINTLE_TRY(send_all(fd, session.hello()));
    return exchange(fd, session, connected, stop);
  }();
  if (connected && !stop.stop_requested()) {
    const MutexLock lock(mu_);
    ++counts_.lost;
  }
  if (session.shut_down()) return {Code::kUnavailable, 0, fmt::format("{} has shut down", session.runtime())};
  return with_context(done.error(), session.runtime().empty() ? std::string("NRI") : fmt::format("NRI of {}", session.runtime()));
}

// Ends with an error only, or when asked to stop.
Status Plugin::exchange(int fd, Session& session, bool& connected, const std::stop_token& stop) {
  const auto register_until = clock_.steady() + options_.registration;
  std::array<char, 64 * 1024> buffer;
  while (true) {
    std::array<pollfd, 2> fds{pollfd{fd, POLLIN, 0}, pollfd{wake_.get(), POLLIN, 0}};
    const Duration left = register_until - clock_.steady();
    const int ready = ::poll(fds.data(), fds.size(), connected ? -1 : milliseconds(left));
    if (stop.stop_requested()) return fail(Code::kCancelled, "stopped");
    if (ready < 0 && errno != EINTR) return fail_errno(errno, "poll");
    if (ready == 0 && left <= Duration::zero())
      return fail(Code::kUnavailable, fmt::format("the registration did not end within {}", format_duration(options_.registration)));
    if ((fds[0].revents & (POLLIN | POLLHUP | POLLERR)) == 0) continue;
    const ssize_t got = ::recv(fd, buffer.data(), buffer.size(), 0);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail_errno(errno, "read from the runtime");
    if (got == 0) return fail(Code::kUnavailable, "the runtime closed the connection");
    PINTLE_ASSIGN_OR_RETURN(const auto answer, session.feed({buffer.data(), static_cast<size_t>(got)}, stop));
    if (stop.stop_requested()) return fail(Code::kCancelled, "stopped");
    add_counts(session.take_counts());
    PINTLE_TRY(send_all(fd, answer));
    if (connected || !session.synchronized()) continue;
    connected = true;
    begin(session);
  }
}

void Plugin::add_counts(const ports::HookCounts& fresh) {
  const MutexLock lock(mu_);
  for (const auto call : ports::kHookCalls) {
    auto& sum = counts_.of(call);
    sum.answered += fresh.of(call).answered;
    sum.refused += fresh.of(call).refused;
    sum.took += fresh.of(call).took;
  }
}

void Plugin::begin(const Session& session) {
  {
    const MutexLock lock(mu_);
    ++counts_.connections;
  }
  tell(true, fmt::format("{} tells of pods at '{}'", session.runtime(), options_.socket));
}

// Whatever comes into the folder is a reason to try: that is rare.
void Plugin::wait_for_socket(Duration at_most, bool was_absent) {
  const UniqueFd watch(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  const bool watched =
      watch.valid() && ::inotify_add_watch(watch.get(), folder_of(options_.socket).c_str(), IN_CREATE | IN_MOVED_TO | IN_ONLYDIR) >= 0;
  const bool absent = ::access(options_.socket.c_str(), F_OK) != 0;
  if (was_absent && !absent) return;  // it came before the watch did
  std::array<pollfd, 2> fds{pollfd{wake_.get(), POLLIN, 0}, pollfd{watched && absent ? watch.get() : -1, POLLIN, 0}};
  (void)::poll(fds.data(), fds.size(),
               milliseconds(absent && watched ? options_.backoff.max : at_most));  // ignoring: then it is tried early
}

}  // namespace pintle::nri
