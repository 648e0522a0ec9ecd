// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// The thread that reads the rings. It blocks in one epoll_wait() and nothing else: idle costs no wake-up. Urgent records are handed on at
// once. The bulk ring is at rest or read by time (`reader_batching`, see ebpf/lib/events.h):
//   rest      the next record wakes us                                      -> batching
//   batching  looked at every `bulk_batch`, or when another quarter of it has filled; one interval without a record -> leaving
//   leaving   the word is cleared, and after one more interval all that was written before that is seen     -> rest, or batching again
// Owned by the attacher; the handler runs on this thread.
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
    uint64_t* reader_batching = nullptr;  // the word, in memory shared with the programs; outlives the pump
    Duration bulk_batch = std::chrono::milliseconds(5);
  };
  // REQUIRES: the rings' descriptors outlive this.
  [[nodiscard]] static Result<std::unique_ptr<EventPump>> start(const Options& options, RingBuffer::Handler handler);
  ~EventPump();
  EventPump(const EventPump&) = delete;
  EventPump& operator=(const EventPump&) = delete;

 private:
  EventPump() = default;
  [[nodiscard]] Status watch(int fd, uint32_t events) const;
  void set_batching(bool on) const;
  void run();
  UniqueFd epoll_, stop_;
  std::unique_ptr<RingBuffer> urgent_, bulk_;
  uint64_t* word_ = nullptr;
  Duration batch_{};
  std::jthread thread_;
};

}  // namespace pintle::bpf
