// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// The half of control_convert.h that speaks of programs, events and policy.
#include <netinet/in.h>

#include <algorithm>

#include <fmt/format.h>

#include "codec/text.h"
#include "server/control_convert.h"

namespace pintle::server {
namespace {

int64_t nanos(Time time) { return time.time_since_epoch().count(); }

void traffic_to_proto(const model::TrafficCounters& traffic, v1::Traffic& out) {
  out.set_rx_bytes(traffic.rx_bytes);
  out.set_rx_packets(traffic.rx_packets);
  out.set_tx_bytes(traffic.tx_bytes);
  out.set_tx_packets(traffic.tx_packets);
}

void counters_to_proto(const model::PodCounters& counters, v1::Counters& out) {
  out.set_rx_bytes(counters.rx_bytes);
  out.set_rx_packets(counters.rx_packets);
  out.set_tx_bytes(counters.tx_bytes);
  out.set_tx_packets(counters.tx_packets);
  traffic_to_proto(counters.tcp, *out.mutable_tcp());
  traffic_to_proto(counters.udp, *out.mutable_udp());
  traffic_to_proto(counters.other, *out.mutable_other());
  out.set_rx_drops(counters.rx_drops);
  out.set_tx_drops(counters.tx_drops);
  out.set_connects(counters.connects);
  out.set_sendmsgs(counters.sendmsgs);
  out.set_binds(counters.binds);
  out.set_accepts(counters.accepts);
  out.set_denied(counters.denied);
  out.set_would_deny(counters.would_deny);
  out.set_device_denied(counters.device_denied);
  out.set_sysctl_denied(counters.sysctl_denied);
  out.set_sockopt_denied(counters.sockopt_denied);
  out.set_tcp_retransmits(counters.tcp_retransmits);
  out.set_tcp_rtt_samples(counters.tcp_rtt_samples);
  out.set_tcp_rtt_sum_us(counters.tcp_rtt_sum_us);
  out.set_execs(counters.execs);
  out.set_exits(counters.exits);
  out.set_ooms(counters.ooms);
  out.set_events_sent(counters.events_sent);
  out.set_events_lost(counters.events_lost);
}

constexpr std::string_view kProgramsCondition = "pintle.dev/ProgramsAttached";  // as lifecycle/programs.h has it

// What both kinds of rows have.
template <typename Row>
void hook_to_proto(const Row& hook, v1::Hook& out) {
  out.set_name(std::string(to_string(hook.hook)));
  out.set_state(std::string(to_string(hook.state)));
  out.set_effective(in_force(hook.state));
  out.set_link_id(hook.link_id.value());
  out.set_program_tag(hook.program_tag);
  out.set_program_id(hook.program_id);
  out.set_sys_errno(hook.sys_errno);
  out.set_error(codec::as_utf8(hook.error));
  out.set_position(hook.position);
  out.set_effective_count(hook.effective_count);
  for (const auto& neighbour : hook.neighbours) {
    auto& n = *out.add_neighbours();
    n.set_id(neighbour.id);
    n.set_name(codec::as_utf8(neighbour.name));
    n.set_tag(neighbour.tag);
    n.set_uid(neighbour.uid);
    n.set_loaded_at(nanos(neighbour.loaded_at));
    n.set_cgroup(codec::as_utf8(neighbour.cgroup));
    n.set_exclusive(neighbour.exclusive);
    n.set_overridable(neighbour.overridable);
    n.set_switched_off(!neighbour.in_force);
  }
}

// "tcp/80", "udp/8000-8010", "any".
std::string to_text(const model::PortRange& range) {
  const bool every_port = range.first == 0 && range.last == 65535;
  const std::string name = range.protocol == 0              ? "any"
                           : range.protocol == IPPROTO_TCP  ? "tcp"
                           : range.protocol == IPPROTO_UDP  ? "udp"
                           : range.protocol == IPPROTO_SCTP ? "sctp"
                                                            : fmt::format("protocol-{}", range.protocol);
  if (every_port) return name;
  return range.first == range.last ? fmt::format("{}/{}", name, range.first) : fmt::format("{}/{}-{}", name, range.first, range.last);
}

template <typename Peers>
void direction_to_proto(const model::PolicyDirection& direction, Peers& out) {
  for (const auto& peer : direction.peers) {
    auto& p = *out.Add();
    p.set_prefix(to_string(peer.prefix));
    if (peer.class_index >= direction.classes.size()) continue;
    for (const auto& range : direction.classes[peer.class_index]) p.add_ports(to_text(range));
  }
}

void side_to_proto(const ports::FlowSide& side, v1::FlowSide& out) {
  out.set_decided_here(side.decided_here);
  out.set_allowed(side.allowed);
  out.set_reason(side.reason);
}

}  // namespace

void to_proto(const ports::PodRecord& record, v1::PodEbpf& out) {
  out.set_policy(std::string(to_string(record.policy)));
  if (record.counters) counters_to_proto(*record.counters, *out.mutable_counters());
  if (!record.programs) {
    const auto told = std::ranges::find(record.status.conditions, kProgramsCondition, &model::Condition::type);
    if (told != record.status.conditions.end() && told->status != model::ConditionStatus::kTrue)
      out.set_error(codec::as_utf8(told->message));
    return;
  }
  out.set_has_report(true);
  out.set_cgroup_id(record.programs->cgroup_id.value());
  out.set_cgroup_path(record.programs->cgroup_path);
  for (const auto& hook : record.programs->hooks) {
    auto& row = *out.add_hooks();
    hook_to_proto(hook, row);
    row.set_program_set(hook.program_set);
    row.set_hits(hook.hits.value_or(0));
    row.set_drops(hook.drops.value_or(0));
    row.set_counts_hits(hook.hits.has_value());
    row.set_counts_drops(hook.drops.has_value());
    row.set_counted_together(hook.counted_together);
  }
  for (const auto& program : record.programs->programs) {
    auto& row = *out.add_hooks();
    hook_to_proto(program, row);
    row.set_pod_program(program.name);
    row.set_required(program.required);
    row.set_order(std::string(to_string(program.order)));
    row.set_note(program.note);
  }
  for (const auto& note : record.programs->notes) out.add_notes(codec::as_utf8(note));
}

void to_proto(const model::ProgramEvent& event, v1::EbpfEvent& out) {
  out.set_kind(std::string(to_string(event.kind)));
  out.set_uid(event.uid.value());
  out.set_cgroup_id(event.cgroup_id.value());
  out.set_time(nanos(event.time));
  out.set_pid(event.pid);
  // A process names itself as it likes, and protobuf refuses a message with a string that is not UTF-8.
  out.set_comm(codec::as_utf8(event.comm));
  out.set_wait_status(event.exit_code);
  out.set_destination(codec::as_utf8(event.destination));
  out.set_verdict(std::string(to_string(event.verdict)));
  out.set_sequence(event.sequence);
  out.set_detail(codec::as_utf8(event.detail));
}

void to_proto(const model::FeatureProbe& probe, v1::Feature& out) {
  out.set_name(probe.name);
  out.set_available(probe.available);
  out.set_detail(probe.detail);
  out.set_without(probe.without);
  out.set_optional(probe.optional);
}

void to_proto(const ports::PodPolicy& policy, v1::PodPolicy& out) {
  out.set_uid(policy.uid.value());
  out.set_namespace_(policy.namespace_);
  out.set_name(policy.name);
  for (const auto& name : policy.ingress_policies) out.add_ingress_policies(name);
  for (const auto& name : policy.egress_policies) out.add_egress_policies(name);
  out.set_isolate_ingress(policy.isolate_ingress);
  out.set_isolate_egress(policy.isolate_egress);
  out.set_enforcement(std::string(to_string(policy.enforcement)));
  out.set_rows_id(policy.rows_id);
  direction_to_proto(policy.rows.ingress, *out.mutable_ingress());
  direction_to_proto(policy.rows.egress, *out.mutable_egress());
  out.set_in_force_since(nanos(policy.in_force_since));
  out.set_problem(policy.problem);
}

void to_proto(const ports::FlowAnswer& answer, v1::TestFlowReply& out) {
  out.set_allowed(answer.allowed);
  side_to_proto(answer.egress, *out.mutable_egress());
  side_to_proto(answer.ingress, *out.mutable_ingress());
}

void to_proto(const ports::LoadedProgram& program, v1::LoadedProgram& out) {
  out.set_id(program.id);
  out.set_name(program.name);
  out.set_type(program.type);
  out.set_tag(program.tag);
  out.set_loaded_at(nanos(program.loaded_at));
  out.set_xlated_bytes(program.xlated_bytes);
  out.set_jited_bytes(program.jited_bytes);
  out.set_memlock_bytes(program.memlock_bytes);
  out.set_verified_insns(program.verified_insns);
  out.set_links(program.links);
  out.set_run_count(program.run_count);
  out.set_run_time(static_cast<int64_t>(program.run_ns));
  for (const auto id : program.map_ids) out.add_map_ids(id);
  out.set_set(program.set);
  out.set_hook(program.hook);
}

void to_proto(const model::ProgramSetStatus& set, v1::ProgramSet& out) {
  out.set_name(set.name);
  out.set_version(codec::as_utf8(set.version));
  out.set_state(std::string(to_string(set.attempt)));
  out.set_wanted(codec::as_utf8(set.wanted));
  out.set_wanted_version(codec::as_utf8(set.wanted_version));
  out.set_error(codec::as_utf8(set.error));
  out.set_since(nanos(set.since));
  for (const auto& leftover : set.leftovers) {
    auto& row = *out.add_leftovers();
    row.set_sys_errno(leftover.sys_errno);
    row.set_error(codec::as_utf8(leftover.error));
  }
}

void to_proto(const ports::PodProgramRecord& record, v1::PodProgram& out) {
  const auto& program = record.program;
  out.set_name(program.name);
  out.set_origin(codec::as_utf8(record.origin));
  out.set_object(codec::as_utf8(program.object));
  out.set_program(program.program);
  out.set_hook(std::string(to_string(program.hook)));
  out.set_selector(codec::as_utf8(model::describe_selector(program)));
  out.set_order(std::string(to_string(program.order)));
  out.set_required(program.required);
  out.set_state(std::string(to_string(record.state)));
  out.set_program_id(record.program_id);
  out.set_program_tag(record.tag);
  out.set_digest(record.digest);
  out.set_since(nanos(record.since));
  out.set_sys_errno(record.sys_errno);
  out.set_error(codec::as_utf8(record.error));
  out.set_pods(record.pods);
}

void to_proto(const ports::LoadedMap& map, v1::LoadedMap& out) {
  out.set_id(map.id);
  out.set_name(map.name);
  out.set_type(map.type);
  out.set_key_bytes(map.key_bytes);
  out.set_value_bytes(map.value_bytes);
  out.set_max_entries(map.max_entries);
  out.set_memlock_bytes(map.memlock_bytes);
  out.set_entries(map.entries.value_or(0));
  out.set_counts_entries(map.entries.has_value());
  out.set_evicts(map.evicts);
}

void to_proto(const ports::ProgramCost& cost, v1::GetProgramCostReply& out) {
  for (const auto& ring : cost.rings) {
    auto& r = *out.add_rings();
    r.set_name(ring.name);
    r.set_bytes(ring.bytes);
    r.set_unread_bytes(ring.unread_bytes);
    r.set_received(ring.received);
    r.set_lost(ring.lost);
  }
  out.set_programs(cost.programs);
  out.set_maps(cost.maps);
  out.set_links(cost.links);
  out.set_kernel_bytes(cost.kernel_bytes);
  out.set_run_statistics(cost.run_statistics);
}

}  // namespace pintle::server
