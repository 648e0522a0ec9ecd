// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// The NRI side of a runtime on a real socket: keeps sandboxes, registers one plugin at a time as containerd does, tells it of sandboxes and
// containers and waits for the answer, drops it when that does not come in time. Faults are of whole connections: each applies to the next
// plugin that connects, in the order in which they were given. Held to contract/nri with the real one.
// Thread rule: any thread; calls are made one at a time, as the runtime's are.
#pragma once

#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/unique_fd.h"
#include "nri/wire.h"

namespace pintle::fakes {

struct NriPod {
  std::string uid, name, namespace_ = "default", cgroup_parent;
  std::map<std::string, std::string> labels, annotations;
  bool host_network = false;
};

enum class NriFault {
  kRefuseRegistration,  // answers it with an error
  kSilent,              // accepts, and never answers
  kCloseAtOnce,
  kCloseInFrame,   // in the middle of its answer to the registration
  kGarbage,        // bytes that are no frame of this protocol
  kHugeFrame,      // announces more than is allowed
  kNoSynchronize,  // stops after Configure
  kUnknownCall     // asks for a method that the plugin does not have, then goes on
};

struct NriRuntimeOptions {
  std::chrono::milliseconds request_timeout{2000};
  bool new_calls = false;    // RunPodSandbox as a call of its own (NRI 0.12) instead of StateChange
  size_t pods_per_part = 0;  // of Synchronize; 0: all at once
  size_t piece = 0;          // sends frames of at most so many bytes; 0: a message's first 4096 bytes, then the rest, as Go's writer does
};

class FakeNriRuntime {
 public:
  explicit FakeNriRuntime(std::string socket, NriRuntimeOptions options = {});
  ~FakeNriRuntime();

  void start();  // listens, at the same place as before
  void stop();   // closes everything; sandboxes stay
  void add_fault(NriFault fault);

  // As the runtime's own client sees them. An Error: the plugin refused it; what was begun is undone.
  [[nodiscard]] Status run_sandbox(const NriPod& pod);
  [[nodiscard]] Status create_container(const NriPod& pod, const std::string& name);
  void remove(const NriPod& pod);

  // Waits until so many plugins have registered and been synchronized; false after 10 s.
  [[nodiscard]] bool wait_for_plugins(size_t count);
  // … until so many have connected, whatever became of them.
  [[nodiscard]] bool wait_for_connections(size_t count);
  // Sends an event that the plugin did not ask for, and a method it does not have. The latter's answer.
  [[nodiscard]] Result<std::string> call(const std::string& method, const std::string& payload);

  struct Seen {
    std::string plugin_name, plugin_index;
    int32_t events = 0;
    size_t dropped = 0;  // plugins that did not answer in time
  };
  [[nodiscard]] Seen seen();

 private:
  class Connection;
  void accept_plugins();
  [[nodiscard]] bool introduce(Connection& plugin, std::optional<NriFault> fault);
  [[nodiscard]] bool synchronize(Connection& plugin);
  [[nodiscard]] bool send_fault(Connection& plugin, NriFault fault);
  [[nodiscard]] Result<std::string> call_locked(const std::string& method, const std::string& payload);

  const std::string socket_;
  const NriRuntimeOptions options_;
  std::mutex mu_;
  std::condition_variable changed_;
  UniqueFd listener_, wake_;
  std::unique_ptr<Connection> plugin_;  // the one that is registered
  std::deque<NriFault> faults_;
  std::vector<NriPod> sandboxes_;
  Seen seen_;
  size_t connections_ = 0, plugins_ = 0;
  std::thread thread_;
};

}  // namespace pintle::fakes
