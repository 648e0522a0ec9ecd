// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Between the agent's observers, which must not block, and the thread that writes a stream: bounded, and honest about what
// it leaves out. Pods: a newer record of a pod replaces one not yet sent. Events: the oldest go first, counted.
// Thread rule: push from any thread; pop from the stream's own.
#pragma once

#include <chrono>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <stop_token>
#include <string>
#include <utility>

#include "base/mutex.h"
#include "base/time.h"
#include "ports/agent_view.h"

namespace pintle::server {

// gRPC's synchronous calls learn of a client that went away only by asking, so an idle stream asks this often.
inline constexpr std::chrono::milliseconds kCancelCheck{250};

class PodChanges {
 public:
  void push(const ports::PodRecord& record) {
    {
      const MutexLock lock(mu_);
      const std::string& uid = record.pod->metadata.uid;
      if (const auto [it, added] = pending_.insert_or_assign(uid, record); added) order_.push_back(uid);
    }
    changed_.notify_one();
  }
  // nullopt: nothing came within kCancelCheck, or `stop`.
  [[nodiscard]] std::optional<ports::PodRecord> pop(const std::stop_token& stop) {
    const MutexLock lock(mu_);
    if (!changed_.wait_for(mu_, stop, kCancelCheck, [this]() PINTLE_REQUIRES(mu_) { return !order_.empty(); })) return std::nullopt;
    auto node = pending_.extract(order_.front());
    order_.pop_front();
    return std::move(node.mapped());
  }

 private:
  Mutex mu_;
  ConditionVariable changed_;
  std::map<std::string, ports::PodRecord> pending_ PINTLE_GUARDED_BY(mu_);  // by uid
  std::deque<std::string> order_ PINTLE_GUARDED_BY(mu_);
};

// Which events a reader asked for. Empty: all.
struct EventFilter {
  std::set<model::ProgramEventKind> kinds;
  std::set<model::Verdict> verdicts;
  [[nodiscard]] bool accepts(const model::ProgramEvent& event) const {
    return (kinds.empty() || kinds.contains(event.kind)) && (verdicts.empty() || verdicts.contains(event.verdict));
  }
};

class EventBuffer {
 public:
  static constexpr size_t kMostEvents = 4096;

  explicit EventBuffer(EventFilter filter = {}) : filter_(std::move(filter)) {}

  void push(const model::ProgramEvent& event) {
    if (!filter_.accepts(event)) return;
    {
      const MutexLock lock(mu_);
      if (ignored_.contains(event.uid)) return;
      if (events_.size() == kMostEvents) {
        events_.pop_front();
        ++skipped_;
      }
      events_.push_back(event);
    }
    changed_.notify_one();
  }
  struct Popped {
    model::ProgramEvent event;
    uint64_t skipped = 0;  // before this one
  };
  // nullopt: nothing came within `wait`, or `stop`.
  [[nodiscard]] std::optional<Popped> pop(const std::stop_token& stop, Duration wait = kCancelCheck) {
    const MutexLock lock(mu_);
    if (!changed_.wait_for(mu_, stop, wait, [this]() PINTLE_REQUIRES(mu_) { return !events_.empty(); })) return std::nullopt;
    Popped popped{std::move(events_.front()), std::exchange(skipped_, 0)};
    events_.pop_front();
    return popped;
  }
  // A pod that this reader did not ask for: its events take no more room here.
  void ignore(const PodUid& uid) {
    const MutexLock lock(mu_);
    ignored_.insert(uid);
  }

 private:
  const EventFilter filter_;
  Mutex mu_;
  ConditionVariable changed_;
  std::deque<model::ProgramEvent> events_ PINTLE_GUARDED_BY(mu_);
  std::set<PodUid> ignored_ PINTLE_GUARDED_BY(mu_);
  uint64_t skipped_ PINTLE_GUARDED_BY(mu_) = 0;
};

}  // namespace pintle::server
