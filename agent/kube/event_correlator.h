// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Decides what becomes of an event: sent as new, counted onto one that was sent before (same object, field, type, reason
// and message), or dropped because its object talks too much: 25 at once, then one per 300 s. The same rules as every
// Kubernetes component's recorder, so that event lists read the same. Pure: `now` is an argument. Not thread-safe.
#pragma once

#include <cstdint>
#include <list>
#include <string>
#include <unordered_map>

#include "codec/objects.h"
#include "kube/rate_limiter.h"
#include "model/node.h"

namespace pintle::kube {

enum class EventVerdict { kCreate, kUpdate, kDrop };
struct CorrelatedEvent {
  EventVerdict verdict = EventVerdict::kDrop;
  codec::EventRecord record;
};

class EventCorrelator {
 public:
  static constexpr double kBurst = 25, kRefillPerSecond = 1.0 / 300;
  static constexpr size_t kMaxKeys = 4096;  // of each kind; the least recently used goes first

  EventCorrelator(std::string component, std::string host) : component_(std::move(component)), host_(std::move(host)) {}
  [[nodiscard]] CorrelatedEvent add(const model::Event& event, SteadyTime now);
  // The API server has no such event any more: the next one of its kind is created anew.
  void forget(const codec::EventRecord& record);

 private:
  // By the 64-bit hash of what makes two events the same one: the texts of thousands of events would be a megabyte.
  template <typename T>
  class Recent {
   public:
    T& get(uint64_t key, const T& initial) {
      if (const auto at = index_.find(key); at != index_.end()) {
        order_.splice(order_.begin(), order_, at->second);
      } else {
        order_.emplace_front(key, initial);
        index_[key] = order_.begin();
        if (order_.size() > kMaxKeys) {
          index_.erase(order_.back().first);
          order_.pop_back();
        }
      }
      return order_.front().second;
    }
    void erase(uint64_t key) {
      const auto at = index_.find(key);
      if (at == index_.end()) return;
      order_.erase(at->second);
      index_.erase(at);
    }

   private:
    std::list<std::pair<uint64_t, T>> order_;
    std::unordered_map<uint64_t, typename std::list<std::pair<uint64_t, T>>::iterator> index_;
  };
  struct Sent {
    int64_t number = 0;  // the last part of its name
    Time first_time;
    int count = 0;
  };

  const std::string component_, host_;
  uint64_t names_given_ = 0;
  Recent<TokenBucket> budgets_;  // by object
  Recent<Sent> sent_;            // by object and text
};

}  // namespace pintle::kube
