// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// The newest events of this node, kept for people beside being sent to the API. Thread rule: any thread; never blocks.
#pragma once

#include <array>
#include <deque>
#include <string>
#include <vector>

#include "base/mutex.h"
#include "ports/pod_api.h"

namespace pintle::app {

class EventRing final : public ports::EventSink {
 public:
  static constexpr size_t kKept = 500;

  void record(const model::Event& event) override {
    const MutexLock lock(mu_);
    events_.push_back(pack(event));
    if (events_.size() > kKept) events_.pop_front();
    if (next_ != nullptr) next_->record(event);  // under the lock, so that no call is under way once forward_to() has returned
  }
  // Where events go from now on; it outlives this, or null is set before it goes.
  void forward_to(ports::EventSink* next) {
    const MutexLock lock(mu_);
    next_ = next;
  }
  [[nodiscard]] std::vector<model::Event> list() {
    const MutexLock lock(mu_);
    std::vector<model::Event> out;
    out.reserve(events_.size());
    for (const auto& packed : events_) out.push_back(unpack(packed));
    return out;
  }

 private:
  // An event of nine strings is half a kilobyte; as one text it is a third of that.
  static constexpr char kEnd = '\0';
  struct Packed {
    std::string text;
    model::EventType type;
    Time time;
  };
  // In this order; the last one goes to the end of the text, whatever it holds.
  static constexpr auto fields(auto& event) {
    return std::array{&event.object.api_version, &event.object.kind, &event.object.namespace_,
                      &event.object.name,        &event.object.uid,  &event.object.resource_version,
                      &event.object.field_path,  &event.reason,      &event.message};
  }
  static Packed pack(const model::Event& event) {
    Packed packed{.text = {}, .type = event.type, .time = event.time};
    for (const auto* field : fields(event)) {
      if (field != &event.object.api_version) packed.text += kEnd;
      packed.text += *field;
    }
    packed.text.shrink_to_fit();
    return packed;
  }
  static model::Event unpack(const Packed& packed) {
    model::Event event{.object = {}, .type = packed.type, .reason = {}, .message = {}, .time = packed.time};
    size_t from = 0;
    for (auto* field : fields(event)) {
      const size_t end = field == &event.message ? std::string::npos : packed.text.find(kEnd, from);
      *field = packed.text.substr(from, end == std::string::npos ? end : end - from);
      from = end == std::string::npos ? packed.text.size() : end + 1;
    }
    return event;
  }

  Mutex mu_;
  std::deque<Packed> events_ PINTLE_GUARDED_BY(mu_);
  ports::EventSink* next_ PINTLE_GUARDED_BY(mu_) = nullptr;
};

}  // namespace pintle::app
