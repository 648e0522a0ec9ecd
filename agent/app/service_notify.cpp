// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "app/service_notify.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <string_view>

#include <fmt/format.h>

#include "base/unique_fd.h"

namespace pintle::app {
namespace {

std::string_view environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string_view() : std::string_view(value);
}

template <typename Number>
std::optional<Number> number(std::string_view text) {
  Number value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// The protocol of sd_notify(3): one datagram of KEY=VALUE lines. Written here because libsystemd brings four compression and
// encryption libraries along, a megabyte of resident memory for these few lines. Nobody is told when nobody listens.
void notify(std::string_view message) {
  const std::string_view target = environment("NOTIFY_SOCKET");
  sockaddr_un address{};
  if (target.empty() || (target.front() != '/' && target.front() != '@') || target.size() >= sizeof address.sun_path) return;
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, target.data(), target.size());
  if (target.front() == '@') address.sun_path[0] = '\0';  // an abstract name
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + target.size() + (target.front() == '/' ? 1 : 0));
  const UniqueFd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!socket.valid()) return;
  (void)::sendto(socket.get(), message.data(), message.size(), MSG_NOSIGNAL, reinterpret_cast<const sockaddr*>(&address), size);
}

}  // namespace

void notify_ready(const std::string& status) { notify(fmt::format("READY=1\nSTATUS={}", status)); }
void notify_status(const std::string& status) { notify(fmt::format("STATUS={}", status)); }
void notify_stopping() { notify("STOPPING=1"); }

std::optional<std::chrono::microseconds> watchdog_interval() {
  const auto interval = number<uint64_t>(environment("WATCHDOG_USEC"));
  if (!interval || *interval == 0) return std::nullopt;
  // Meant for another process of the unit.
  if (const auto pid = environment("WATCHDOG_PID"); !pid.empty() && number<pid_t>(pid) != ::getpid()) return std::nullopt;
  return std::chrono::microseconds(*interval);
}

Watchdog::Watchdog(std::function<bool()> alive) {
  const auto interval = watchdog_interval();
  if (!interval) return;
  const auto half = std::max(*interval / 2, std::chrono::microseconds(std::chrono::seconds(1)));
  thread_ = std::jthread([alive = std::move(alive), half](const std::stop_token& stop) {
    std::mutex mutex;
    std::condition_variable_any condition;
    std::unique_lock lock(mutex);
    while (!stop.stop_requested()) {
      if (alive()) notify("WATCHDOG=1");
      (void)condition.wait_for(lock, stop, half, [] { return false; });
    }
  });
}

}  // namespace pintle::app
