// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "reconcile/worker_pool.h"

#include <algorithm>

#include <pthread.h>

#include "base/log.h"

namespace pintle::reconcile {
namespace {

// Sanitizers make frames several times larger. g++ tells of them by macros, clang by features.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr size_t kStackFactor = 8;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
constexpr size_t kStackFactor = 8;
#else
constexpr size_t kStackFactor = 1;
#endif
#else
constexpr size_t kStackFactor = 1;
#endif

bool spawn(void* (*entry)(void*), void* self, size_t stack_bytes) {
  pthread_attr_t attributes;
  if (::pthread_attr_init(&attributes) != 0) return false;
  (void)::pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  (void)::pthread_attr_setstacksize(&attributes, stack_bytes * kStackFactor);
  pthread_t thread{};
  const int error = ::pthread_create(&thread, &attributes, entry, self);
  (void)::pthread_attr_destroy(&attributes);
  return error == 0;
}

}  // namespace

void WorkerPool::submit(std::function<void()> task) {
  MutexLock lock(mu_);
  if (stopping_) return;
  queue_.push_back(std::move(task));
  if (queue_.size() <= idle_ || threads_ >= options_.max_threads) {
    work_.notify_one();
    return;
  }
  ++threads_;
  most_ = std::max(most_, threads_);
  if (spawn(&WorkerPool::entry, this, options_.stack_bytes)) return;
  --threads_;
  // The task stays queued: another thread takes it when it is free.
  PINTLE_LOG(kError, "reconcile", "pool '{}': no further thread could be made beside {}", options_.name, threads_);
}

void* WorkerPool::entry(void* self) {
  auto* pool = static_cast<WorkerPool*>(self);
  (void)::pthread_setname_np(::pthread_self(), pool->options_.name.substr(0, 15).c_str());
  pool->run();
  return nullptr;
}

void WorkerPool::run() {
  mu_.lock();
  for (;;) {
    while (queue_.empty() && !stopping_) {
      ++idle_;
      const bool timed_out = work_.wait_for(mu_, options_.idle_timeout) == std::cv_status::timeout;
      --idle_;
      if (timed_out && queue_.empty()) {
        if (threads_ <= 2 && options_.on_quiet && !stopping_) {
          mu_.unlock();
          options_.on_quiet();
          mu_.lock();
          if (!queue_.empty()) break;
        }
        --threads_;
        ended_.notify_all();
        mu_.unlock();
        return;
      }
    }
    if (queue_.empty()) break;
    auto task = std::move(queue_.front());
    queue_.pop_front();
    mu_.unlock();
    task();
    task = nullptr;  // what it holds is released without the lock
    mu_.lock();
  }
  --threads_;
  ended_.notify_all();  // under the lock: the pool may be gone right after it
  mu_.unlock();
}

void WorkerPool::shut_down() {
  std::deque<std::function<void()>> dropped;
  mu_.lock();
  stopping_ = true;
  dropped.swap(queue_);
  work_.notify_all();
  while (threads_ > 0) ended_.wait(mu_);
  mu_.unlock();
}

size_t WorkerPool::threads() {
  MutexLock lock(mu_);
  return threads_;
}

size_t WorkerPool::most_threads() {
  MutexLock lock(mu_);
  return most_;
}

}  // namespace pintle::reconcile
