// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "base/heap.h"

#include <array>
#include <climits>
#include <cstddef>
#include <cstdlib>

#include <malloc.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <unistd.h>

namespace pintle {

namespace {
constexpr size_t kWorthIt = size_t{1} << 20;
#ifdef __GLIBC__
constexpr const char* kTunables = "GLIBC_TUNABLES";
constexpr const char* kMark = "PINTLE_HEAP";  // in the environment: this is the second beginning
#endif
}  // namespace

void begin_without_thread_caches(char** argv) {
#ifdef __GLIBC__
  if (std::getenv(kMark) != nullptr) {
    (void)::unsetenv(kMark);
    (void)::unsetenv(kTunables);  // not for those we start
    return;
  }
  // Tunables of the user's own stand; with file capabilities glibc takes none.
  if (std::getenv(kTunables) != nullptr || ::getauxval(AT_SECURE) != 0) return;
  std::array<char, PATH_MAX> self{};  // by its name: the process is called by the last part of what is executed
  if (::readlink("/proc/self/exe", self.data(), self.size() - 1) <= 0) return;
  if (::setenv(kTunables, "glibc.malloc.tcache_count=0:glibc.pthread.stack_cache_size=0", 1) != 0 || ::setenv(kMark, "1", 1) != 0) return;
  (void)::execv(self.data(), argv);
  (void)::unsetenv(kMark);  // the file is gone, for one: on with the caches
  (void)::unsetenv(kTunables);
#else
  (void)argv;
#endif
}

void bound_heap() {
#ifdef __GLIBC__
  // Calls that may block run on threads of their own, up to hundreds of them for seconds. An arena for each would keep what the burst
  // left behind.
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
