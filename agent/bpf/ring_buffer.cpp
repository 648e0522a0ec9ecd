// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "bpf/ring_buffer.h"

#include <cerrno>

#include <bpf/libbpf.h>

namespace pintle::bpf {
namespace {

int on_record(void* context, void* data, size_t size) {
  if (size >= sizeof(pintle_event)) (*static_cast<RingBuffer::Handler*>(context))({static_cast<const std::byte*>(data), size});
  return 0;
}

}  // namespace

void RingBuffer::Free::operator()(ring_buffer* ring) const { ring_buffer__free(ring); }

Result<RingBuffer> RingBuffer::open(int map_fd, Handler handler) {
  auto held = std::make_unique<Handler>(std::move(handler));
  ring_buffer* ring = ring_buffer__new(map_fd, on_record, held.get(), nullptr);
  if (ring == nullptr) return fail_errno(errno, "open the event ring");
  return RingBuffer(map_fd, std::move(held), ring);
}

Result<int> RingBuffer::drain() {
  const int count = ring_buffer__consume(ring_.get());
  if (count < 0) return fail_errno(-count, "read the event ring");
  return count;
}

}  // namespace pintle::bpf
