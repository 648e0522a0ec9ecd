// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// What one simulated history is made of: a clock that only the queue moves, chance that only the seed decides, a log that is
// hashed. The same seed gives the same history on every machine: no distribution of the standard library is used.
#pragma once

#include <cstdint>
#include <functional>
#include <queue>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "base/time.h"

namespace pintle::sim {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

class VirtualClock final : public Clock {
 public:
  [[nodiscard]] Time now() const override { return now_; }
  [[nodiscard]] SteadyTime steady() const override { return SteadyTime(now_.time_since_epoch()); }
  void set(Time now) { now_ = now; }

 private:
  Time now_{seconds(1'700'000'000)};
};

class Chance {
 public:
  explicit Chance(uint64_t seed) : state_(seed * 0x9E3779B97F4A7C15ULL + 0xD1B54A32D192ED03ULL) {}
  uint64_t next() {  // splitmix64
    uint64_t z = (state_ += 0x9E3779B97F4A7C15ULL);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
    return z ^ (z >> 31);
  }
  uint64_t below(uint64_t bound) { return bound == 0 ? 0 : next() % bound; }
  bool one_in(uint64_t n) { return n != 0 && below(n) == 0; }
  bool percent(double p) { return static_cast<double>(below(10'000)) < p * 100; }
  Duration between(Duration low, Duration high) {
    return low + Duration(static_cast<int64_t>(below(static_cast<uint64_t>((high - low).count()) + 1)));
  }

 private:
  uint64_t state_;
};

class EventLog {
 public:
  bool keep = false;
  std::vector<std::string> lines;

  template <typename... Args>
  void add(Time now, fmt::format_string<Args...> format, Args&&... args) {
    text_.clear();
    fmt::format_to(std::back_inserter(text_), "{:>10.3f} ", std::chrono::duration<double>(now - Time(seconds(1'700'000'000))).count());
    fmt::format_to(std::back_inserter(text_), format, std::forward<Args>(args)...);
    for (const char c : text_) hash_ = (hash_ ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
    if (keep) lines.emplace_back(text_.data(), text_.size());
  }
  [[nodiscard]] uint64_t hash() const { return hash_; }

 private:
  fmt::memory_buffer text_;
  uint64_t hash_ = 0xcbf29ce484222325ULL;
};

class EventQueue {
 public:
  void at(Time time, std::function<void()> run) { queue_.push({time, ++numbered_, std::move(run)}); }
  [[nodiscard]] bool empty() const { return queue_.empty(); }
  [[nodiscard]] Time next() const { return queue_.top().time; }
  std::function<void()> pop() {
    auto run = std::move(const_cast<Event&>(queue_.top()).run);  // top() is const only for its order's sake
    queue_.pop();
    return run;
  }

 private:
  struct Event {
    Time time;
    uint64_t number;
    std::function<void()> run;
    bool operator<(const Event& other) const { return time != other.time ? time > other.time : number > other.number; }
  };
  std::priority_queue<Event> queue_;
  uint64_t numbered_ = 0;
};

// A broken invariant: ends the history.
struct Broken {
  std::string what;
};

}  // namespace pintle::sim
