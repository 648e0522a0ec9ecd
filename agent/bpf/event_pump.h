// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// The thread that reads the rings. It blocks in one epoll_wait() and nothing else: idle costs no wake-up. Urgent records are handed on at
// once; after a bulk record it looks at that ring once per `bulk_batch` until it is empty, so that a busy producer is not made to wake it
// for every record. Owned by the attacher; the handler runs on this thread.
#pragma once

#include <memory>
#include <thread>

#include "base/time.h"
#include "base/unique_fd.h"
#include "bpf/ring_buffer.h"

namespace pintle::bpf {

class EventPump {
 public:
  struct Options {
    int urgent_fd = -1;  // -1: no such ring
    int bulk_fd = -1;
    Duration bulk_batch = std::chrono::milliseconds(5);
  };
  // REQUIRES: the rings' descriptors outlive this.
  [[nodiscard]] static Result<std::unique_ptr<EventPump>> start(const Options& options, RingBuffer::Handler handler);
  ~EventPump();
  EventPump(const EventPump&) = delete;
  EventPump& operator=(const EventPump&) = delete;

 private:
  EventPump() = default;
  [[nodiscard]] Status watch(int fd, uint32_t events, bool change) const;
  void run();
  UniqueFd epoll_, stop_;
  std::unique_ptr<RingBuffer> urgent_, bulk_;
  int batch_ms_ = 5;
  std::jthread thread_;
};

}  // namespace pintle::bpf
