// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// RingBuffer owns the reader's side of one ring: two mappings. Poll fd() for EPOLLIN, then drain(). The position up to
// which it was read lives in the map, so a new reader of a pinned ring goes on where the last one stopped.
// Not libbpf's, which tells the programs its position after each record: every record of theirs then waits for that cache line; and
// which maps the records twice, so that none is seen in two parts. The second mapping counts as resident like the first.
// Thread rule: one reader per ring.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "base/result.h"
#include "bpf/kernel_object.h"
#include "lib/event_abi.h"

namespace pintle::bpf {

class RingBuffer {
 public:
  using Handler = std::function<void(std::span<const std::byte> record)>;
  // The handler gets records that start with a whole pintle_event. REQUIRES: map_fd stays open for as long as this lives.
  [[nodiscard]] static Result<RingBuffer> open(int map_fd, Handler handler);

  [[nodiscard]] int fd() const { return map_fd_; }
  [[nodiscard]] uint32_t bytes() const { return bytes_; }
  // Records handed over: all that are there. When it returns, the next one wakes whoever polls.
  int drain();

 private:
  RingBuffer(int map_fd, uint32_t bytes, Handler handler, MappedMemory position, MappedMemory records)
      : map_fd_(map_fd), bytes_(bytes), handler_(std::move(handler)), position_(std::move(position)), records_(std::move(records)) {}
  void tell_position(uint64_t at) const;
  [[nodiscard]] std::span<const std::byte> whole(const std::byte* first, uint64_t at, uint32_t length);
  int map_fd_;
  uint32_t bytes_;
  Handler handler_;
  MappedMemory position_;          // a page, the reader's
  MappedMemory records_;           // the programs' position, a page, and the records
  std::vector<std::byte> joined_;  // the one whose end lies at the ring's beginning
};

}  // namespace pintle::bpf
