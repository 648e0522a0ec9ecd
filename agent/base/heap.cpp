// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "base/heap.h"

#include <cstddef>

#include <malloc.h>
#include <sys/prctl.h>

namespace pintle {

namespace {
constexpr size_t kWorthIt = size_t{4} << 20;
}

void bound_heap() {
#ifdef __GLIBC__
  // Calls that may block run on threads of their own, up to hundreds of them for seconds. An arena for each would keep what the burst
  // left behind. With one, threads hardly ever wait: small pieces come from each thread's own cache.
  (void)::mallopt(M_ARENA_MAX, 1);
  (void)::mallopt(M_TRIM_THRESHOLD, 128 * 1024);
  // Lists and manifests while they are parsed: they go back as a whole. Setting it also keeps it from growing.
  (void)::mallopt(M_MMAP_THRESHOLD, 64 * 1024);
  (void)::mallopt(M_TOP_PAD, 64 * 1024);
#endif
  // Where huge pages are always given (Debian's default), a thread's stack of 20 KiB may become one of 2 MiB.
  (void)::prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);  // an old kernel without it: ignoring
}

void give_back_heap() {
#ifdef __GLIBC__
  if (::mallinfo2().fordblks >= kWorthIt) (void)::malloc_trim(0);
#endif
}

}  // namespace pintle
