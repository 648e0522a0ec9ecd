// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Puts what comes from several CPUs' buffers into the order of the kernel's time: each value is held for `hold` after it
// arrived, and with it leaves all that is older. Time is told to it, so a stepped wall clock neither keeps nor frees anything.
// What comes after a younger one has left is late: handed on at once and counted. Pure; one thread. REQUIRES: arrivals do not go back.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "base/time.h"

namespace pintle {

template <typename Value>
class ReorderBuffer {
 public:
  // More than `most` held values push the oldest out before their time.
  explicit ReorderBuffer(Duration hold, size_t most = 8192) : hold_(hold), most_(most) {}

  void push(Value value, Time time, SteadyTime arrival) {
    if (watermark_ && time < *watermark_) {
      ++late_;
      too_late_.push_back(std::move(value));
      return;
    }
    held_.emplace(time, std::move(value));
    arrivals_.emplace_back(arrival, time);
  }

  struct Ready {
    Value value;
    bool late = false;
  };
  // Everything that is due, oldest first; late ones before it. Equal times keep the order of their arrival.
  [[nodiscard]] std::vector<Ready> take(SteadyTime now) {
    std::vector<Ready> ready;
    for (auto& value : too_late_) ready.push_back({std::move(value), true});
    too_late_.clear();
    while (!arrivals_.empty() && (arrivals_.front().first + hold_ <= now || arrivals_.size() > most_)) {
      if (!watermark_ || *watermark_ < arrivals_.front().second) watermark_ = arrivals_.front().second;
      arrivals_.pop_front();
    }
    if (!watermark_) return ready;
    while (!held_.empty() && held_.begin()->first <= *watermark_)
      ready.push_back({std::move(held_.extract(held_.begin()).mapped()), false});
    while (!arrivals_.empty() && arrivals_.front().second <= *watermark_) arrivals_.pop_front();  // gone with those above
    return ready;
  }

  // When take() has something to give at the latest; nullopt: nothing is held.
  [[nodiscard]] std::optional<SteadyTime> next_due() const {
    if (!too_late_.empty()) return SteadyTime{};
    if (arrivals_.empty()) return std::nullopt;
    return arrivals_.front().first + hold_;
  }
  [[nodiscard]] uint64_t late() const { return late_; }

 private:
  const Duration hold_;
  const size_t most_;
  std::multimap<Time, Value> held_;
  std::deque<std::pair<SteadyTime, Time>> arrivals_;  // of those held, but for some that left before they were due
  std::vector<Value> too_late_;
  std::optional<Time> watermark_;  // the youngest time that has left
  uint64_t late_ = 0;
};

}  // namespace pintle
