// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "bpf/convert.h"

#include <charconv>
#include <cstring>

#include <arpa/inet.h>
#include <linux/bpf.h>
#include <netinet/in.h>

#include <fmt/format.h>

#include "bpf/kernel_object.h"
#include "model/policy_rows.h"

namespace pintle::bpf {
namespace {

using model::ProgramEvent;
using model::ProgramEventKind;

std::string protocol_name(uint8_t protocol) {
  switch (protocol) {
    case IPPROTO_TCP: return "tcp";
    case IPPROTO_UDP: return "udp";
    case IPPROTO_SCTP: return "sctp";
    case IPPROTO_ICMP: return "icmp";
    case IPPROTO_ICMPV6: return "icmpv6";
    default: return fmt::format("proto-{}", protocol);
  }
}

std::string endpoint(const pintle_event& event) {
  model::IpAddress address;
  std::memcpy(address.bytes.data(), event.addr, sizeof event.addr);
  const bool v4 = address.is_v4();
  char port[8];
  const auto end = std::to_chars(port, std::end(port), ntohs(event.socket.port)).ptr;
  std::string out = v4 ? model::to_string(address) : '[' + model::to_string(address) + ']';
  out.append(1, ':').append(port, end).append(1, '/').append(protocol_name(event.socket.protocol));
  return out;
}

std::string text_of(const char* text, size_t size) { return std::string(text, ::strnlen(text, size)); }

std::string device_text(const pintle_event& event) {
  std::string access;
  if ((event.device.access & BPF_DEVCG_ACC_READ) != 0) access += 'r';
  if ((event.device.access & BPF_DEVCG_ACC_WRITE) != 0) access += 'w';
  if ((event.device.access & BPF_DEVCG_ACC_MKNOD) != 0) access += 'm';
  return fmt::format("{} {}:{} {}", event.device.type == BPF_DEVCG_DEV_BLOCK ? 'b' : 'c', event.device.major, event.device.minor, access);
}

std::string sysctl_name(std::span<const std::byte> record) {
  if (record.size() < sizeof(pintle_sysctl_event)) return {};
  const auto* event = reinterpret_cast<const pintle_sysctl_event*>(record.data());
  return text_of(event->name, sizeof event->name);
}

// Packets and connections have no process but a port of their own.
void set_socket(const pintle_event& event, ProgramEvent& out) {
  out.pid = 0;
  out.comm.clear();
  out.destination = endpoint(event);
  if (event.local_port != 0) out.detail = fmt::format("own port {}", event.local_port);
}

}  // namespace

ProgramEvent to_model(std::span<const std::byte> record, PodUid uid, Duration boot_to_wall) {
  const auto& event = *reinterpret_cast<const pintle_event*>(record.data());
  ProgramEvent out;
  out.uid = std::move(uid);
  out.cgroup_id = CgroupId(event.cgroup_id);
  out.time = Time(Duration(static_cast<int64_t>(event.boot_ns)) + boot_to_wall);
  out.sequence = event.sequence;
  out.pid = event.tgid;
  out.verdict = static_cast<model::Verdict>(event.verdict);
  out.comm = text_of(event.comm, sizeof event.comm);
  switch (event.kind) {
    case PINTLE_EVENT_CONNECT: out.kind = ProgramEventKind::kConnect, out.destination = endpoint(event); break;
    case PINTLE_EVENT_SENDMSG: out.kind = ProgramEventKind::kSendmsg, out.destination = endpoint(event); break;
    case PINTLE_EVENT_BIND: out.kind = ProgramEventKind::kBind, out.destination = endpoint(event); break;
    case PINTLE_EVENT_ACCEPT: out.kind = ProgramEventKind::kAccept, set_socket(event, out); break;
    case PINTLE_EVENT_PACKET:
      out.kind = ProgramEventKind::kPacket;
      set_socket(event, out);
      out.detail =
          fmt::format("{}{}{}", event.socket.direction == PINTLE_EGRESS ? "egress" : "ingress", out.detail.empty() ? "" : ", ", out.detail);
      break;
    case PINTLE_EVENT_TCP:
      out.kind = ProgramEventKind::kTcp;
      set_socket(event, out);
      out.detail = "retransmit";
      break;
    case PINTLE_EVENT_DEVICE: out.kind = ProgramEventKind::kDevice, out.destination = device_text(event); break;
    case PINTLE_EVENT_SYSCTL: out.kind = ProgramEventKind::kSysctl, out.detail = sysctl_name(record); break;
    case PINTLE_EVENT_SOCKOPT:
      out.kind = ProgramEventKind::kSockopt;
      out.detail = fmt::format("{}:{}", event.sockopt.level, event.sockopt.name);
      break;
    case PINTLE_EVENT_EXIT: out.kind = ProgramEventKind::kExit, out.exit_code = event.exit_code; break;
    case PINTLE_EVENT_OOM:
      out.kind = ProgramEventKind::kOom;
      out.detail = fmt::format("{} {}", event.victim, text_of(event.victim_comm, sizeof event.victim_comm));
      break;
    default: out.kind = ProgramEventKind::kExec;
  }
  return out;
}

model::PodCounters to_model(const pintle_pod_slot& slot) {
  const auto traffic = [](const pintle_traffic& from) {
    return model::TrafficCounters{load_counter(from.rx_bytes), load_counter(from.rx_packets), load_counter(from.tx_bytes),
                                  load_counter(from.tx_packets)};
  };
  const auto small = [](const uint32_t& counter) { return __atomic_load_n(&counter, __ATOMIC_RELAXED); };
  model::PodCounters out;
  out.tcp = traffic(slot.tcp);
  out.udp = traffic(slot.udp);
  out.other = traffic(slot.other);
  for (const auto* part : {&out.tcp, &out.udp, &out.other}) {
    out.rx_bytes += part->rx_bytes;
    out.rx_packets += part->rx_packets;
    out.tx_bytes += part->tx_bytes;
    out.tx_packets += part->tx_packets;
  }
  out.rx_drops = load_counter(slot.rx_drops);
  out.tx_drops = load_counter(slot.tx_drops);
  out.connects = load_counter(slot.connects);
  out.sendmsgs = load_counter(slot.sendmsgs);
  out.binds = load_counter(slot.binds);
  out.accepts = load_counter(slot.accepts);
  out.denied = load_counter(slot.denied);
  out.would_deny = load_counter(slot.would_deny);
  out.device_denied = small(slot.device_denied);
  out.sysctl_denied = small(slot.sysctl_denied);
  out.sockopt_denied = small(slot.sockopt_denied);
  out.tcp_retransmits = load_counter(slot.tcp_retransmits);
  out.tcp_rtt_samples = load_counter(slot.tcp_rtt_samples);
  out.tcp_rtt_sum_us = load_counter(slot.tcp_rtt_sum_us);
  out.execs = small(slot.execs);
  out.exits = small(slot.exits);
  out.ooms = small(slot.ooms);
  for (const auto ring : {PINTLE_RING_URGENT, PINTLE_RING_BULK}) {
    const uint64_t lost = load_counter(slot.lost[ring]);  // before the sum, which it is never above
    out.events_sent += load_counter(slot.sequence[ring]) - lost;
    out.events_lost += lost;
  }
  return out;
}

pintle_ring ring_of(const pintle_event& event) {
  const bool urgent = event.verdict == PINTLE_DENIED || event.kind == PINTLE_EVENT_EXIT || event.kind == PINTLE_EVENT_OOM;
  return urgent ? PINTLE_RING_URGENT : PINTLE_RING_BULK;
}

}  // namespace pintle::bpf
