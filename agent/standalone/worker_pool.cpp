// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "standalone/worker_pool.h"

#include <algorithm>
#include <system_error>

namespace pintle::standalone {

WorkerPool::~WorkerPool() {
  std::vector<std::thread> threads;
  {
    MutexLock lock(mu_);
    stopping_ = true;
    threads.swap(threads_);
  }
  changed_.notify_all();
  for (auto& thread : threads) thread.join();
}

bool WorkerPool::submit(std::function<void()> task) {
  MutexLock lock(mu_);
  reap();
  if (stopping_) return false;
  if (idle_ <= tasks_.size()) {
    if (threads_.size() >= limits_.most_threads) return false;
    try {
      threads_.emplace_back([this] { work(); });
    } catch (const std::system_error&) {  // the system has no thread for us: as good as the bound
      return false;
    }
  }
  tasks_.push_back(std::move(task));
  changed_.notify_one();
  return true;
}

size_t WorkerPool::threads() const {
  MutexLock lock(mu_);
  return threads_.size() - finished_.size();
}

void WorkerPool::reap() {
  for (const auto id : finished_) {
    const auto it = std::find_if(threads_.begin(), threads_.end(), [id](const std::thread& thread) { return thread.get_id() == id; });
    if (it == threads_.end()) continue;
    it->join();  // it has nothing left to do but return
    threads_.erase(it);
  }
  finished_.clear();
}

void WorkerPool::work() {
  while (true) {
    std::function<void()> task;
    {
      MutexLock lock(mu_);
      ++idle_;
      while (tasks_.empty() && !stopping_) {
        if (changed_.wait_for(mu_, limits_.idle) == std::cv_status::timeout && tasks_.empty()) break;
      }
      --idle_;
      if (tasks_.empty()) {
        finished_.push_back(std::this_thread::get_id());
        return;
      }
      task = std::move(tasks_.front());
      tasks_.pop_front();
    }
    task();
  }
}

}  // namespace pintle::standalone
