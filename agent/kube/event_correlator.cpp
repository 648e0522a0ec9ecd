// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "kube/event_correlator.h"

#include <fmt/format.h>

namespace pintle::kube {
namespace {

std::string object_key(const model::ObjectReference& object) {
  return fmt::format("{}\n{}\n{}\n{}", object.kind, object.namespace_, object.name, object.uid);
}
uint64_t hash_of(const std::string& key) { return std::hash<std::string>{}(key); }
std::string event_key(const model::Event& event) {
  return fmt::format("{}\n{}\n{}\n{}\n{}", object_key(event.object), event.object.field_path,
                     event.type == model::EventType::kNormal ? "N" : "W", event.reason, event.message);
}

}  // namespace

CorrelatedEvent EventCorrelator::add(const model::Event& event, SteadyTime now) {
  if (!budgets_.get(hash_of(object_key(event.object)), TokenBucket(kRefillPerSecond, kBurst)).try_take(now)) return {};
  Sent& sent = sent_.get(hash_of(event_key(event)), {});
  const bool is_new = sent.count == 0;
  if (is_new) {
    sent.first_time = event.time;
    // Events of one moment must not share a name: the API would take the second for a repetition.
    sent.number = event.time.time_since_epoch().count() + static_cast<int64_t>(++names_given_);
  }
  ++sent.count;
  CorrelatedEvent out{.verdict = is_new ? EventVerdict::kCreate : EventVerdict::kUpdate, .record = {}};
  out.record.name = fmt::format("{}.{:x}", event.object.name, sent.number);
  out.record.namespace_ = event.object.namespace_.empty() ? "default" : event.object.namespace_;
  out.record.component = component_;
  out.record.host = host_;
  out.record.event = event;
  out.record.first_time = sent.first_time;
  out.record.last_time = event.time;
  out.record.count = sent.count;
  return out;
}

void EventCorrelator::forget(const codec::EventRecord& record) { sent_.erase(hash_of(event_key(record.event))); }

}  // namespace pintle::kube
