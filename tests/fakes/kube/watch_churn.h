// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Starts and cancels watches against a silent server and counts what of the process is left over. Shared by the test that
// wants none and the benchmark that prints it (watch.cancel_10k_fd_delta).
#pragma once

#include <filesystem>
#include <memory>
#include <vector>

#include "fakes/kube/pod_recorder.h"
#include "fakes/kube/silent_server.h"
#include "kube/pod_watcher.h"

namespace pintle::fakes {

inline int count_entries(const char* folder) {
  int count = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(folder)) ++count;
  return count;
}

struct ChurnResult {
  int watches = 0;
  int fd_delta = 0, thread_delta = 0;
  int connections = 0;  // that reached the server: the others were cancelled before
  bool server_settled = false;
};

// Half of the watches are stopped at once, the other half after they sent their request.
inline ChurnResult churn_watches(int watches, int at_once) {
  const SystemClock clock;
  SilentServer server;
  ChurnResult out;
  out.watches = watches;
  const int fds = count_entries("/proc/self/fd"), threads = count_entries("/proc/self/task");
  for (int done = 0; done < watches; done += at_once) {
    PodRecorder sink;
    std::vector<std::unique_ptr<kube::PodWatcher>> batch;
    for (int i = 0; i < at_once && done + i < watches; ++i) {
      batch.push_back(std::make_unique<kube::PodWatcher>(server.config(), clock, kube::PodWatcherOptions{.node_name = "n1"}));
      if (!batch.back()->start(sink)) return out;
    }
    const bool let_them_send = (done / at_once) % 2 == 1;
    if (let_them_send && !server.wait_for([&](int, size_t, int open) { return open == static_cast<int>(batch.size()); })) return out;
    batch.clear();  // stops each
    if (!server.wait_for([](int, size_t, int open) { return open == 0; })) return out;
  }
  // A connection made and reset between two looks of the server is seen by it once both are read.
  out.server_settled = server.wait_for([&](int accepted, size_t, int open) {
    out.connections = accepted;
    return open == 0;
  });
  out.fd_delta = count_entries("/proc/self/fd") - fds;
  out.thread_delta = count_entries("/proc/self/task") - threads;
  return out;
}

}  // namespace pintle::fakes
