// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "bpf/pod_slots.h"

#include <bit>

#include <fmt/format.h>

#include "bpf/convert.h"

namespace pintle::bpf {
namespace {

void store_control(pintle_pod_slot& slot, const pintle_control& control) {
  __atomic_store_n(reinterpret_cast<uint64_t*>(&slot.control), std::bit_cast<uint64_t>(control), __ATOMIC_SEQ_CST);
}

// Everything but the words and the rings' numbers, which belong to the array they are in.
void add_counters(pintle_pod_slot& to, const pintle_pod_slot& from) {
  const auto add = [](auto& sum, const auto& more) {
    __atomic_fetch_add(&sum, __atomic_load_n(&more, __ATOMIC_RELAXED), __ATOMIC_RELAXED);
  };
  for (const auto traffic : {&pintle_pod_slot::tcp, &pintle_pod_slot::udp, &pintle_pod_slot::other})
    for (const auto counter :
         {&pintle_traffic::rx_bytes, &pintle_traffic::rx_packets, &pintle_traffic::tx_bytes, &pintle_traffic::tx_packets})
      add(to.*traffic.*counter, from.*traffic.*counter);
  for (const auto counter : {&pintle_pod_slot::rx_drops, &pintle_pod_slot::tx_drops, &pintle_pod_slot::denied, &pintle_pod_slot::would_deny,
                             &pintle_pod_slot::connects, &pintle_pod_slot::sendmsgs, &pintle_pod_slot::binds, &pintle_pod_slot::accepts,
                             &pintle_pod_slot::tcp_retransmits, &pintle_pod_slot::tcp_rtt_samples, &pintle_pod_slot::tcp_rtt_sum_us})
    add(to.*counter, from.*counter);
  for (const auto counter : {&pintle_pod_slot::execs, &pintle_pod_slot::exits, &pintle_pod_slot::ooms, &pintle_pod_slot::device_denied,
                             &pintle_pod_slot::sysctl_denied, &pintle_pod_slot::sockopt_denied})
    add(to.*counter, from.*counter);
}

}  // namespace

PodSlots::PodSlots(const CgroupPrograms& programs) : programs_(programs), table_(programs.slot_count()), cgroups_(programs.slot_count()) {}

bool PodSlots::restore(const PodUid& uid, CgroupId cgroup, uint32_t number) {
  const MutexLock lock(mu_);
  if (!table_.restore(uid, number)) return false;
  cgroups_[number] = cgroup;
  if (programs_.previous_slot(number) != nullptr) not_moved_.insert(number);
  return true;
}

Result<uint32_t> PodSlots::assign(const PodUid& uid, CgroupId cgroup) {
  const MutexLock lock(mu_);
  bool fresh = false;
  const auto number = table_.assign(uid, fresh);
  if (!number) return fail(Code::kUnavailable, fmt::format("all {} slots of counters are in use", programs_.slot_count() - 1));
  if (fresh) programs_.slot(*number) = {};
  cgroups_[*number] = cgroup;
  return *number;
}

std::optional<uint32_t> PodSlots::find(const PodUid& uid) const {
  const MutexLock lock(mu_);
  return table_.find(uid);
}

void PodSlots::release(const PodUid& uid) {
  const MutexLock lock(mu_);
  const auto number = table_.find(uid);
  if (!number) return;
  auto& slot = programs_.slot(*number);
  for (const auto ring : {PINTLE_RING_URGENT, PINTLE_RING_BULK}) lost_of_freed_[ring] += load_counter(slot.lost[ring]);
  // Numbers of records still unread stay as they are until the slot is given anew; what was lost is remembered above.
  store_control(slot, {});
  slot.lost[0] = slot.lost[1] = 0;
  not_moved_.erase(*number);
  table_.release(uid);
}

void PodSlots::set_control(uint32_t number, const pintle_control& control) { store_control(programs_.slot(number), control); }

void PodSlots::add(uint32_t number, const pintle_traffic& tcp, const pintle_traffic& udp, const pintle_traffic& other) {
  pintle_pod_slot more{};
  more.tcp = tcp;
  more.udp = udp;
  more.other = other;
  add_counters(programs_.slot(number), more);
}

void PodSlots::moved_over(uint32_t number) {
  const MutexLock lock(mu_);
  if (not_moved_.erase(number) != 0) add_counters(programs_.slot(number), *programs_.previous_slot(number));
}

Result<model::PodCounters> PodSlots::counters(const PodUid& uid) const {
  const MutexLock lock(mu_);
  const auto number = table_.find(uid);
  if (!number) return fail(Code::kNotFound, fmt::format("nothing counts for pod '{}'", uid.value()));
  return read(*number);
}

model::PodCounters PodSlots::read(uint32_t number) const {
  if (not_moved_.empty() || !not_moved_.contains(number)) return to_model(programs_.slot(number));
  pintle_pod_slot sum = programs_.slot(number);
  add_counters(sum, *programs_.previous_slot(number));
  return to_model(sum);
}

void PodSlots::each(const std::function<void(const PodUid&, const model::PodCounters&)>& visit) const {
  const MutexLock lock(mu_);
  for (uint32_t number = 1; number < programs_.slot_count(); ++number)
    if (const PodUid* uid = table_.holder(number)) visit(*uid, read(number));
}

uint64_t PodSlots::events_lost(pintle_ring ring) const {
  const MutexLock lock(mu_);
  uint64_t total = lost_of_freed_[ring];
  for (uint32_t i = 0; i < programs_.slot_count(); ++i) total += load_counter(programs_.slot(i).lost[ring]);
  return total;
}

uint32_t PodSlots::in_use() const {
  const MutexLock lock(mu_);
  uint32_t used = 1;  // nobody's
  for (uint32_t number = 1; number < programs_.slot_count(); ++number) used += table_.holder(number) != nullptr ? 1 : 0;
  return used;
}

PodSlots::Owner PodSlots::owner(uint32_t number) const {
  const MutexLock lock(mu_);
  if (number == 0 || number >= cgroups_.size()) return {};
  return {table_.owner(number), cgroups_[number]};
}

uint64_t PodSlots::whole_sequence(uint32_t number, pintle_ring ring, uint32_t low) const {
  if (number >= programs_.slot_count()) return low;
  const uint64_t next = load_counter(programs_.slot(number).sequence[ring]);
  const auto behind = static_cast<uint32_t>(static_cast<uint32_t>(next) - low);
  return next >= behind ? next - behind : low;
}

}  // namespace pintle::bpf
