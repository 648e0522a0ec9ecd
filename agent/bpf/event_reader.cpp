// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "bpf/event_reader.h"

#include <ctime>

#include "base/log.h"
#include "bpf/canary.h"
#include "bpf/convert.h"

namespace pintle::bpf {
namespace {

uint64_t* batching_word(const CgroupPrograms& programs) { return reinterpret_cast<uint64_t*>(&programs.slot(0).reader_batching); }

}  // namespace

EventReader::EventReader(const CgroupPrograms& programs, const PodSlots& slots, const Clock& clock, Duration bulk_batch)
    : programs_(programs), slots_(slots), clock_(clock), bulk_batch_(bulk_batch), last_(programs.slot_count()) {
  __atomic_store_n(batching_word(programs), PINTLE_READER_ABSENT, __ATOMIC_SEQ_CST);
}

void EventReader::observe(Observer observer) {
  const bool wanted = observer != nullptr;
  {
    const MutexLock lock(mu_);
    observer_ = std::move(observer);
  }
  if (!wanted || pump_) return;
  auto pump = EventPump::start({programs_.urgent_fd(), programs_.bulk_fd(), batching_word(programs_), bulk_batch_},
                               [this](std::span<const std::byte> record) { deliver(record); });
  if (pump) {
    pump_ = std::move(*pump);
  } else {
    PINTLE_LOG(kDebug, "bpf", "no events: {}", pump.error().message());
  }
}

void EventReader::on_cgroup_gone(std::function<void(CgroupId)> observer) {
  const MutexLock lock(mu_);
  cgroup_gone_ = std::move(observer);
}

uint64_t EventReader::whole_sequence(const pintle_event& event, CgroupId owner) {
  const auto ring = ring_of(event);
  if (event.slot >= last_.size()) return event.sequence;
  auto& last = last_[event.slot][ring];
  if (last.owner == owner) {
    const auto ahead = static_cast<int32_t>(event.sequence - static_cast<uint32_t>(last.sequence));  // or behind: of another processor
    return last.sequence += static_cast<uint64_t>(static_cast<int64_t>(ahead));
  }
  last = {owner, slots_.whole_sequence(event.slot, ring, event.sequence)};
  return last.sequence;
}

// Not asked for each event: two readings of clocks would be a quarter of its price.
Duration EventReader::boot_to_wall(uint64_t boot_ns) {
  constexpr uint64_t kKnownFor = 10'000'000;  // ns of the events' own time, either way
  if (offset_ && boot_ns - offset_from_ + kKnownFor <= 2 * kKnownFor) return *offset_;
  timespec boot{};
  (void)::clock_gettime(CLOCK_BOOTTIME, &boot);  // ignoring: cannot fail for this clock
  offset_ = clock_.now().time_since_epoch() - std::chrono::seconds(boot.tv_sec) - std::chrono::nanoseconds(boot.tv_nsec);
  offset_from_ = boot_ns;
  return *offset_;
}

void EventReader::deliver(std::span<const std::byte> record) {
  const auto& event = *reinterpret_cast<const pintle_event*>(record.data());
  auto& received = received_[ring_of(event)];
  received.store(received.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);  // one writer: no locked instruction
  if (event.kind == PINTLE_EVENT_CGROUP_GONE) {
    const MutexLock lock(mu_);
    if (cgroup_gone_) cgroup_gone_(CgroupId(event.cgroup_id));
    return;
  }
  auto owner = slots_.owner(event.slot);
  if (owner.uid.value() == kCanaryUid) return;
  auto converted = to_model(record, std::move(owner.uid), boot_to_wall(event.boot_ns));
  converted.sequence = whole_sequence(event, owner.cgroup);
  if (converted.cgroup_id.empty()) converted.cgroup_id = owner.cgroup;
  const MutexLock lock(mu_);
  if (observer_) observer_(converted);
}

}  // namespace pintle::bpf
