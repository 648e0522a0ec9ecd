// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// RingBuffer owns the reader's side of one ring: two mappings of its size. Poll fd() for EPOLLIN, then drain(). The position up to
// which it was read lives in the map, so a new reader of a pinned ring goes on where the last one stopped.
// Thread rule: one reader per ring.
#pragma once

#include <functional>
#include <memory>
#include <span>

#include "base/result.h"
#include "lib/event_abi.h"

struct ring_buffer;

namespace pintle::bpf {

class RingBuffer {
 public:
  using Handler = std::function<void(std::span<const std::byte> record)>;
  // The handler gets records that start with a whole pintle_event. REQUIRES: map_fd stays open for as long as this lives.
  [[nodiscard]] static Result<RingBuffer> open(int map_fd, Handler handler);

  [[nodiscard]] int fd() const { return map_fd_; }
  // Records handed over.
  [[nodiscard]] Result<int> drain();

 private:
  struct Free {
    void operator()(ring_buffer* ring) const;
  };
  RingBuffer(int map_fd, std::unique_ptr<Handler> handler, ring_buffer* ring)
      : map_fd_(map_fd), handler_(std::move(handler)), ring_(ring) {}
  int map_fd_;
  std::unique_ptr<Handler> handler_;  // libbpf keeps its address
  std::unique_ptr<ring_buffer, Free> ring_;
};

}  // namespace pintle::bpf
