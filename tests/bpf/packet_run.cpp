// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "packet_run.h"

#include <cstring>
#include <vector>

#include <arpa/inet.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <netinet/in.h>

#include <bpf/bpf.h>
#include <catch2/catch_test_macros.hpp>

#include "bpf/kernel_object.h"

namespace pintle::kernel_test {
namespace {

std::vector<uint8_t> bytes_of(const TestPacket& packet, uint16_t other_port) {
  const bool v4 = packet.peer.is_v4();
  std::vector<uint8_t> out(ETH_HLEN + (v4 ? sizeof(iphdr) : sizeof(ipv6hdr)) + 32);
  const uint16_t ether = htons(v4 ? ETH_P_IP : ETH_P_IPV6);
  std::memcpy(&out[12], &ether, 2);
  uint8_t* ip = &out[ETH_HLEN];
  const auto own = *model::parse_ip(v4 ? "172.16.0.1" : "fd00::1");
  const auto& source = packet.egress ? own : packet.peer;
  const auto& destination = packet.egress ? packet.peer : own;
  if (v4) {
    ip[0] = 0x45;
    ip[9] = packet.protocol;
    std::memcpy(ip + 12, source.bytes.data() + 12, 4);
    std::memcpy(ip + 16, destination.bytes.data() + 12, 4);
    ip += sizeof(iphdr);
  } else {
    ip[0] = 0x60;
    ip[6] = packet.protocol;
    std::memcpy(ip + 8, source.bytes.data(), 16);
    std::memcpy(ip + 24, destination.bytes.data(), 16);
    ip += sizeof(ipv6hdr);
  }
  if (packet.protocol == IPPROTO_ICMP || packet.protocol == IPPROTO_ICMPV6) {
    ip[0] = static_cast<uint8_t>(packet.port);
    return out;
  }
  const uint16_t from = htons(other_port), to = htons(packet.port);
  std::memcpy(ip, &from, 2);
  std::memcpy(ip + 2, &to, 2);
  return out;
}

}  // namespace

RunCost run_packet(bpf::LibbpfAttacher& attacher, uint32_t policy, uint32_t flags, const TestPacket& packet, int repeat) {
  const auto program = bpf::open_pin(attacher.layout().program(packet.egress ? "accounting_egress" : "accounting_ingress"));
  const auto slots = bpf::open_pin(attacher.layout().map("pod_slots"));
  const auto flows = bpf::open_pin(attacher.layout().map("policy_flows"));
  REQUIRE(program);
  REQUIRE(slots);
  REQUIRE(flows);
  const auto memory = bpf::MappedArray<pintle_pod_slot>::map(slots->get(), 1);
  REQUIRE(memory);
  (*memory)[0].control = {policy, flags};
  // No flow of an earlier packet may answer for this one.
  pintle_flow_key key{};
  while (bpf_map_get_next_key(flows->get(), nullptr, &key) == 0) REQUIRE(bpf_map_delete_elem(flows->get(), &key) == 0);
  const auto bytes = bytes_of(packet, 33333);
  bpf_test_run_opts options{};
  options.sz = sizeof options;
  options.data_in = bytes.data();
  options.data_size_in = static_cast<uint32_t>(bytes.size());
  options.repeat = repeat;
  __sk_buff context{};
  context.ingress_ifindex = packet.egress ? 0 : 1;  // received by the loopback
  options.ctx_in = &context;
  options.ctx_size_in = sizeof context;
  const int err = bpf_prog_test_run_opts(program->get(), &options);
  (*memory)[0].control = {};
  REQUIRE(err == 0);
  return {(options.retval & 1) != 0, options.duration};
}

bool packet_passes(bpf::LibbpfAttacher& attacher, uint32_t policy, const TestPacket& packet) {
  return run_packet(attacher, policy, PINTLE_ISOLATED, packet, 1).passed;
}

}  // namespace pintle::kernel_test
