// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// One connection of a plugin to a runtime's NRI, from its registration on, as a passive machine: bytes in, bytes out. It subscribes to
// RunPodSandbox and CreateContainer, and changes no container. Calls of the runtime are answered in the order in which they come, after
// the hooks have returned; runtimes send one at a time. Bad bytes end it; a bad call is answered with an error.
// Sources: containerd/nri pkg/api/api.proto, pkg/adaptation/plugin.go (order of the calls, what an error does to the plugin).
// Thread rule: one thread.
#pragma once

#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "nri/wire.h"
#include "ports/runtime_hooks.h"

namespace pintle::nri {

struct Identity {
  std::string name = "pintle", index = "50";  // two digits: the place among plugins
};

struct SessionOptions {
  Identity identity;
  Duration budget = std::chrono::milliseconds(500);  // for one answer; a runtime that waits less gets half of what it waits
};

class Session {
 public:
  // REQUIRES: `hooks` and `clock` outlive this.
  Session(SessionOptions options, ports::RuntimeHooks& hooks, const Clock& clock)
      : options_(std::move(options)), hooks_(hooks), clock_(clock) {}

  // To be sent first.
  [[nodiscard]] std::string hello() const;
  // What the runtime sent; what to send back. kInvalid: the connection can't be used any more. kUnavailable: the runtime refused us.
  [[nodiscard]] Result<std::string> feed(std::string_view bytes, const std::stop_token& stop);

  // The runtime tells of pods from now on.
  [[nodiscard]] bool synchronized() const { return synchronized_; }
  [[nodiscard]] const std::string& runtime() const { return runtime_; }  // "containerd v2.0.7"; empty before Configure
  [[nodiscard]] bool shut_down() const { return shut_down_; }            // it said that it ends
  // Since the last call of this, by kind.
  [[nodiscard]] ports::HookCounts take_counts() { return std::exchange(counts_, {}); }

 private:
  struct Answer {
    std::string payload;
    int32_t code = 0;
    std::string message;
  };
  [[nodiscard]] Status take_response(const Message& message);
  [[nodiscard]] Result<std::string> take_request(const Message& message, const std::stop_token& stop);
  [[nodiscard]] Answer call(const std::string& method, const std::string& payload, Duration timeout, const std::stop_token& stop);
  [[nodiscard]] Answer configure(const std::string& payload);
  [[nodiscard]] Answer synchronize(const std::string& payload);
  [[nodiscard]] Answer run_pod_sandbox(const std::string& payload, Duration timeout, const std::stop_token& stop);
  [[nodiscard]] Answer sandbox_made(const ports::RuntimePod& pod, Duration timeout, const std::stop_token& stop);
  [[nodiscard]] Answer state_change(const std::string& payload, Duration timeout, const std::stop_token& stop);
  [[nodiscard]] Answer create_container(const std::string& payload, Duration timeout, const std::stop_token& stop);
  [[nodiscard]] Duration budget(Duration timeout) const;

  const SessionOptions options_;
  ports::RuntimeHooks& hooks_;
  const Clock& clock_;
  MessageReader reader_;
  uint32_t last_stream_ = 0;
  bool synchronized_ = false, shut_down_ = false;
  std::string runtime_;
  Duration runtime_waits_{};             // as Configure told; zero: not told
  std::vector<ports::RuntimePod> pods_;  // parts of a Synchronize that is not whole yet
  ports::HookCounts counts_;
};

}  // namespace pintle::nri
