// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "base/rest.h"

#include <cstdint>

#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

namespace pintle {
namespace {

constexpr int kRestMs = 1000;
constexpr uintptr_t kOwnFrames = 4096;  // of what is called from here

}  // namespace

void give_back_stack() {
  pthread_attr_t attributes;
  if (::pthread_getattr_np(::pthread_self(), &attributes) != 0) return;
  void* lowest = nullptr;
  size_t size = 0;
  const bool known = ::pthread_attr_getstack(&attributes, &lowest, &size) == 0;
  (void)::pthread_attr_destroy(&attributes);
  if (!known) return;
  const auto page = static_cast<uintptr_t>(::sysconf(_SC_PAGESIZE));
  const auto from = reinterpret_cast<uintptr_t>(lowest);
  const auto to = (reinterpret_cast<uintptr_t>(__builtin_frame_address(0)) - kOwnFrames) & ~(page - 1);
  if (to > from) (void)::madvise(lowest, to - from, MADV_DONTNEED);  // one that can't be given back is kept
}

int poll_at_rest(std::span<pollfd> fds, int timeout_ms) {
  const bool short_wait = timeout_ms >= 0 && timeout_ms <= kRestMs;
  const int ready = ::poll(fds.data(), fds.size(), short_wait ? timeout_ms : kRestMs);
  if (ready != 0 || short_wait) return ready;
  give_back_stack();
  return ::poll(fds.data(), fds.size(), timeout_ms < 0 ? timeout_ms : timeout_ms - kRestMs);
}

}  // namespace pintle
