// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Pintle as an NRI plugin of the node's runtime, over its socket: connects, registers, answers, and does so again whenever the
// connection ends. A runtime drops a plugin that misses one answer, ends with every restart of its own, and tells nothing of sandboxes that
// are made while a plugin registers: whoever needs all of them looks elsewhere as well (cgroup/pod_cgroup_watch.h).
// A socket that is not there is waited for: by inotify where its folder is there, else by trying.
// Thread rule: start(), stop() on one thread; counts() and state() from any. One thread of its own calls the hooks and on_change.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "base/backoff.h"
#include "base/mutex.h"
#include "base/unique_fd.h"
#include "nri/session.h"
#include "ports/runtime_hooks.h"

namespace pintle::nri {

struct PluginState {
  bool connected = false;  // the runtime tells of pods
  bool was_connected = false;
  std::string detail;  // the runtime, or why not
  bool operator==(const PluginState&) const = default;
};

struct PluginOptions {
  std::string socket = "/var/run/nri/nri.sock";
  SessionOptions session;
  Duration registration = std::chrono::seconds(20);  // from the connection to the last part of Synchronize
  BackoffPolicy backoff{std::chrono::milliseconds(100), std::chrono::seconds(10)};
  Duration settled = std::chrono::seconds(30);             // a connection that lasted so long was a good one: the next try is at once
  std::function<void(const PluginState&)> on_change = {};  // each state that differs from the last
};

class Plugin {
 public:
  // REQUIRES: `hooks` and `clock` outlive this.
  Plugin(PluginOptions options, ports::RuntimeHooks& hooks, const Clock& clock);
  ~Plugin();
  Plugin(const Plugin&) = delete;
  Plugin& operator=(const Plugin&) = delete;

  // kUnsupported: no eventfd or inotify. That the runtime is not there is no error.
  [[nodiscard]] Status start();
  void stop();  // idempotent; interrupts the hooks

  [[nodiscard]] PluginState state() const;
  [[nodiscard]] ports::HookCounts counts() const;

 private:
  void run(const std::stop_token& stop);
  [[nodiscard]] Result<UniqueFd> connect() const;
  [[nodiscard]] Error converse(int fd, const std::stop_token& stop);
  [[nodiscard]] Status exchange(int fd, Session& session, bool& connected, const std::stop_token& stop);
  void add_counts(const ports::HookCounts& fresh);
  void begin(const Session& session);
  void tell(bool connected, std::string detail);
  void wait_for_socket(Duration at_most, bool was_absent);

  const PluginOptions options_;
  ports::RuntimeHooks& hooks_;
  const Clock& clock_;
  UniqueFd wake_;
  mutable Mutex mu_;
  PluginState state_ PINTLE_GUARDED_BY(mu_);
  ports::HookCounts counts_ PINTLE_GUARDED_BY(mu_);
  std::jthread thread_;
};

}  // namespace pintle::nri
