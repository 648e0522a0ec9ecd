// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "bpf/ring_buffer.h"

#include <unistd.h>

#include <linux/bpf.h>

namespace pintle::bpf {
namespace {

uint64_t load(const void* position) { return __atomic_load_n(static_cast<const uint64_t*>(position), __ATOMIC_ACQUIRE); }

}  // namespace

Result<RingBuffer> RingBuffer::open(int map_fd, Handler handler) {
  PINTLE_ASSIGN_OR_RETURN(const auto info, map_info(map_fd));
  if (info.shape.type != BPF_MAP_TYPE_RINGBUF) return fail(Code::kInvalid, "open the event ring: the map is none");
  const auto page = static_cast<size_t>(::sysconf(_SC_PAGESIZE));
  const uint32_t bytes = info.shape.max_entries;
  PINTLE_ASSIGN_OR_RETURN(auto position, MappedMemory::map(map_fd, page));
  PINTLE_ASSIGN_OR_RETURN(auto records, MappedMemory::map_readonly(map_fd, page + bytes, page));
  return RingBuffer(map_fd, bytes, std::move(handler), std::move(position), std::move(records));
}

void RingBuffer::tell_position(uint64_t at) const { __atomic_store_n(static_cast<uint64_t*>(position_.data()), at, __ATOMIC_SEQ_CST); }

// Headers are of 8 bytes, and lie at multiples of them: they are never in two parts.
std::span<const std::byte> RingBuffer::whole(const std::byte* first, uint64_t at, uint32_t length) {
  const auto from = static_cast<uint32_t>(at & (bytes_ - 1));
  if (length <= bytes_ - from) return {first + from, length};
  joined_.assign(first + from, first + bytes_);
  joined_.insert(joined_.end(), first, first + (length - (bytes_ - from)));
  return joined_;
}

// A program wakes us for a record that lies where we say that we are. So where we stop is told first, and then looked at once more.
int RingBuffer::drain() {
  const auto* programs = static_cast<const std::byte*>(records_.data());
  const std::byte* first = programs + ::sysconf(_SC_PAGESIZE);
  uint64_t told = load(position_.data()), at = told;
  int count = 0;
  for (;;) {
    const auto* header = reinterpret_cast<const uint32_t*>(first + (at & (bytes_ - 1)));
    const bool there = at < load(programs);
    const uint32_t word = there ? __atomic_load_n(header, __ATOMIC_ACQUIRE) : BPF_RINGBUF_BUSY_BIT;
    if ((word & BPF_RINGBUF_BUSY_BIT) != 0) {
      if (told == at) return count;
      tell_position(told = at);
      continue;
    }
    const uint32_t length = word & ~(BPF_RINGBUF_BUSY_BIT | BPF_RINGBUF_DISCARD_BIT);
    if ((word & BPF_RINGBUF_DISCARD_BIT) == 0 && length >= sizeof(pintle_event)) {
      handler_(whole(first, at + BPF_RINGBUF_HDR_SZ, length));
      ++count;
    }
    at += (length + BPF_RINGBUF_HDR_SZ + 7) / 8 * 8;
    if (at - told >= bytes_ / 16) tell_position(told = at);
  }
}

}  // namespace pintle::bpf
