// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "reconcile/loop_thread.h"

#include <algorithm>

#include <pthread.h>

namespace pintle::reconcile {
namespace {

// The wall clock may be set while we wait for a time of it: look again at least this often.
constexpr Duration kLongestWait = std::chrono::minutes(1);

}  // namespace

class LoopThread::Watch final : public ports::Subscription {
 public:
  Watch(LoopThread& loop, uint64_t number) : loop_(loop), number_(number) {}
  ~Watch() override { loop_.unwatch(number_); }

 private:
  LoopThread& loop_;
  const uint64_t number_;
};

void LoopThread::start(PodLoopOutputs outputs) {
  outputs.watcher = this;
  thread_ = std::jthread([this, outputs](const std::stop_token& stop) { run(stop, outputs); });
}

void LoopThread::stop() {
  {
    MutexLock lock(mu_);
    stopped_ = true;
  }
  thread_.request_stop();
  if (thread_.joinable()) thread_.join();
  std::deque<Task> dropped;
  MutexLock lock(mu_);
  dropped.swap(queue_);
}

void LoopThread::post(Task task) {
  MutexLock lock(mu_);
  if (stopped_) return;
  queue_.push_back(std::move(task));
  posted_.notify_one();
}

void LoopThread::run(const std::stop_token& stop, PodLoopOutputs outputs) {
  (void)::pthread_setname_np(::pthread_self(), "loop");
  PodLoop loop(std::move(outputs));
  std::deque<Task> tasks;
  while (!stop.stop_requested()) {
    for (auto& task : tasks) {
      if (stop.stop_requested()) return;
      task(loop, clock_.now());
    }
    tasks.clear();
    const Time now = clock_.now();
    const auto wake = loop.next_wake();
    if (wake && *wake <= now) loop.wake(now);
    const auto next = loop.next_wake();
    MutexLock lock(mu_);
    const auto ready = [this]() PINTLE_ANNOTATE(no_thread_safety_analysis) { return !queue_.empty(); };
    if (next)
      (void)posted_.wait_for(mu_, stop, std::clamp<Duration>(*next - clock_.now(), Duration::zero(), kLongestWait), ready);
    else
      (void)posted_.wait(mu_, stop, ready);
    tasks.swap(queue_);
  }
}

template <typename Answer>
std::future<Answer> LoopThread::ask(Answer (PodLoop::*question)() const) {
  auto promise = std::make_shared<std::promise<Answer>>();
  auto answer = promise->get_future();
  bool running = false;
  {
    MutexLock lock(mu_);
    running = !stopped_;
  }
  if (running)
    post([promise, question](PodLoop& loop, Time) { promise->set_value((loop.*question)()); });
  else
    promise->set_value({});
  return answer;  // std::future_error (broken promise) when the loop ends before it answers
}

std::future<std::vector<ports::PodRecord>> LoopThread::snapshot() { return ask(&PodLoop::snapshot); }
std::future<std::vector<model::AttachReport>> LoopThread::program_reports() { return ask(&PodLoop::program_reports); }

bool LoopThread::answers_within(Duration timeout) {
  auto promise = std::make_shared<std::promise<void>>();
  auto answer = promise->get_future();
  post([promise](PodLoop&, Time) { promise->set_value(); });
  return answer.wait_for(timeout) == std::future_status::ready;
}

std::unique_ptr<ports::Subscription> LoopThread::watch(std::function<void(const ports::PodRecord&)> observer) {
  MutexLock lock(observers_mu_);
  observers_.emplace(++watches_, std::move(observer));
  ++observer_count_;
  return std::make_unique<Watch>(*this, watches_);
}

void LoopThread::unwatch(uint64_t number) {
  MutexLock lock(observers_mu_);
  observers_.erase(number);
  --observer_count_;
}

void LoopThread::pod_changed(const ports::PodRecord& record) {
  MutexLock lock(observers_mu_);
  for (const auto& [number, observer] : observers_) observer(record);
}

}  // namespace pintle::reconcile
