// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// std::mutex with clang's thread-safety annotations, so that GUARDED_BY is checked by the compiler.
#pragma once

#include <condition_variable>
#include <mutex>

#if defined(__clang__)
#define PINTLE_ANNOTATE(x) __attribute__((x))
#else
#define PINTLE_ANNOTATE(x)
#endif
#define PINTLE_GUARDED_BY(x) PINTLE_ANNOTATE(guarded_by(x))
#define PINTLE_REQUIRES(...) PINTLE_ANNOTATE(requires_capability(__VA_ARGS__))
#define PINTLE_EXCLUDES(...) PINTLE_ANNOTATE(locks_excluded(__VA_ARGS__))

namespace pintle {

class PINTLE_ANNOTATE(capability("mutex")) Mutex {
 public:
  void lock() PINTLE_ANNOTATE(acquire_capability()) { mutex_.lock(); }
  void unlock() PINTLE_ANNOTATE(release_capability()) { mutex_.unlock(); }

 private:
  std::mutex mutex_;
};

class PINTLE_ANNOTATE(scoped_lockable) MutexLock {
 public:
  explicit MutexLock(Mutex& mutex) PINTLE_ANNOTATE(acquire_capability(mutex)) : mutex_(mutex) { mutex_.lock(); }
  ~MutexLock() PINTLE_ANNOTATE(release_capability()) { mutex_.unlock(); }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

 private:
  Mutex& mutex_;
};

// Waits with a Mutex held; use inside a MutexLock.
using ConditionVariable = std::condition_variable_any;

}  // namespace pintle
