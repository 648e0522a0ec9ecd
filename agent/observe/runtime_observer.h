// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Our PLEG: sees what the runtime has, and when to look again. Reasons to look come from the runtime's event stream, from a
// pidfd on each container's first process and from the exit tracepoint; each leads to one read of that pod alone. A slow full
// list audits. The runtime's health is polled every 5 s (facts rows 1.16, 5.6).
// What is seen is handed to callbacks with the mark that was taken before the read began; the reader of marks decides what is
// too old. One read per pod is under way at a time; a pod whose read hangs delays no other.
// Thread rule: own threads; track() and the hints from any thread; callbacks come from any of them and must not block.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "base/mutex.h"
#include "base/time.h"
#include "base/unique_fd.h"
#include "model/ebpf.h"
#include "model/runtime.h"
#include "ports/container_runtime.h"

namespace pintle::observe {

struct ObserverOptions {
  Duration audit = std::chrono::seconds(10);              // without an event stream …
  Duration audit_with_events = std::chrono::seconds(60);  // … and with one
  Duration status_period = std::chrono::seconds(5);
  // After an exit the runtime needs a moment to know: read again after these. containerd mostly knows after 20 to 60 ms; even
  // steps there keep what a read comes too late by small beside it.
  std::vector<std::chrono::milliseconds> exit_rereads{
      std::chrono::milliseconds(0),   std::chrono::milliseconds(2),  std::chrono::milliseconds(5),  std::chrono::milliseconds(8),
      std::chrono::milliseconds(8),   std::chrono::milliseconds(8),  std::chrono::milliseconds(8),  std::chrono::milliseconds(10),
      std::chrono::milliseconds(10),  std::chrono::milliseconds(20), std::chrono::milliseconds(20), std::chrono::milliseconds(50),
      std::chrono::milliseconds(100), std::chrono::milliseconds(500)};
};

struct RuntimeHealth {
  bool answers = false;
  model::RuntimeStatus status;
  std::string error;  // why it does not answer
  bool operator==(const RuntimeHealth& other) const {
    const auto same = [](const model::RuntimeCondition& a, const model::RuntimeCondition& b) {
      return a.ok == b.ok && a.reason == b.reason && a.message == b.message;
    };
    return answers == other.answers && same(status.runtime_ready, other.status.runtime_ready) &&
           same(status.network_ready, other.status.network_ready) && error == other.error;
  }
};

struct ObserverOutputs {
  std::function<uint64_t()> mark;                    // taken before every read
  std::function<void(std::function<void()>)> spawn;  // runs a task that may block on a thread of its own
  std::function<void(model::ObservedPod, uint64_t mark)> pod;
  std::function<void(std::vector<model::ObservedPod>, uint64_t mark)> all;
  std::function<void(const RuntimeHealth&)> health;  // on change, and once at the start
};

class RuntimeObserver {
 public:
  // REQUIRES: `runtime` and whatever `outputs` use outlive this.
  RuntimeObserver(ports::ContainerRuntime& runtime, ObserverOutputs outputs, ObserverOptions options = {});
  ~RuntimeObserver() { stop(); }
  RuntimeObserver(const RuntimeObserver&) = delete;
  RuntimeObserver& operator=(const RuntimeObserver&) = delete;

  [[nodiscard]] Status start();
  // Returns when its threads have ended and no callback can come; reads under way are waited for by the owner of `spawn`.
  void stop();

  // Containers of a pod as somebody just read them: their first processes are watched from now on.
  void track(const model::ObservedPod& pod);
  // Something may have happened to this pod.
  void look(const PodUid& uid);
  // From the exit tracepoint: acted on when the process is a container's first one.
  void process_exited(int64_t pid);
  void audit_now();
  [[nodiscard]] bool has_event_stream();

 private:
  struct Process {
    ContainerId container;
    PodUid uid;
    UniqueFd pidfd;
  };
  struct Read {
    bool again = false;
    std::set<ContainerId> exits;  // to be seen exited
  };
  void look_for(const PodUid& uid, const std::optional<ContainerId>& exited);
  void read(const PodUid& uid);
  [[nodiscard]] bool read_once(const PodUid& uid, const std::set<ContainerId>& exits);
  void audit_loop(const std::stop_token& stop);
  void status_loop(const std::stop_token& stop);
  void event_loop(const std::stop_token& stop);
  void pidfd_loop(const std::stop_token& stop);
  [[nodiscard]] bool audit_once();
  [[nodiscard]] bool pause(Duration limit, const std::stop_token& stop);

  // const after construction
  ports::ContainerRuntime& runtime_;
  const ObserverOutputs outputs_;
  const ObserverOptions options_;
  UniqueFd epoll_, wake_;
  Mutex mu_;
  ConditionVariable changed_;
  std::map<PodUid, Read> reads_ PINTLE_GUARDED_BY(mu_);
  std::map<int64_t, Process> processes_ PINTLE_GUARDED_BY(mu_);  // by pid
  bool stopping_ PINTLE_GUARDED_BY(mu_) = false;
  bool audit_asked_ PINTLE_GUARDED_BY(mu_) = false;
  bool events_ PINTLE_GUARDED_BY(mu_) = false;
  std::jthread audit_thread_, status_thread_, event_thread_, pidfd_thread_;
};

}  // namespace pintle::observe
