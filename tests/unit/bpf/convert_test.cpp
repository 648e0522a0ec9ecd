// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "bpf/convert.h"

#include <cstring>

#include <arpa/inet.h>
#include <linux/bpf.h>
#include <catch2/catch_test_macros.hpp>

#include "model/policy_rows.h"

using namespace pintle;
using namespace pintle::bpf;

namespace {

pintle_event event_of(pintle_event_kind kind) {
  pintle_event event{};
  event.kind = static_cast<uint8_t>(kind);
  event.boot_ns = 5'000;
  event.cgroup_id = 42;
  event.tgid = 77;
  event.sequence = 9;
  std::memcpy(event.comm, "curl", 4);
  return event;
}

model::ProgramEvent converted(const pintle_event& event, const PodUid& uid = {}, Duration boot_to_wall = {}) {
  return to_model(std::as_bytes(std::span(&event, 1)), uid, boot_to_wall);
}

void set_address(pintle_event& event, const char* text) {
  const auto address = model::parse_ip(text);
  REQUIRE(address);
  std::memcpy(event.addr, address->bytes.data(), sizeof event.addr);
}

}  // namespace

TEST_CASE("a connect tells where to") {
  auto event = event_of(PINTLE_EVENT_CONNECT);
  set_address(event, "10.0.0.1");
  event.socket.port = htons(80);
  event.socket.protocol = 6;
  event.verdict = PINTLE_DENIED;
  const auto v4 = converted(event, PodUid("u"), Duration(1'000'000));
  CHECK(v4.kind == model::ProgramEventKind::kConnect);
  CHECK(v4.destination == "10.0.0.1:80/tcp");
  CHECK(v4.verdict == model::Verdict::kDenied);
  CHECK(v4.sequence == 9);
  CHECK(v4.uid == PodUid("u"));
  CHECK(v4.cgroup_id == CgroupId(42));
  CHECK(v4.pid == 77);
  CHECK(v4.comm == "curl");
  CHECK(v4.time == Time(Duration(1'005'000)));

  event = event_of(PINTLE_EVENT_SENDMSG);
  set_address(event, "::1");
  event.socket.port = htons(53);
  event.socket.protocol = 17;
  CHECK(converted(event).destination == "[::1]:53/udp");
  event.socket.protocol = 99;
  CHECK(converted(event).destination == "[::1]:53/proto-99");
}

TEST_CASE("an exit carries the wait status, and a full comm has no terminator") {
  auto event = event_of(PINTLE_EVENT_EXIT);
  event.exit_code = 3 << 8;
  std::memset(event.comm, 'x', sizeof event.comm);
  const auto exit = converted(event);
  CHECK(exit.kind == model::ProgramEventKind::kExit);
  CHECK(exit.exit_code == 3 << 8);
  CHECK(exit.comm == std::string(16, 'x'));
  CHECK(exit.destination.empty());
  CHECK(converted(event_of(PINTLE_EVENT_EXEC)).kind == model::ProgramEventKind::kExec);
}

TEST_CASE("packets and connections name ports and no process") {
  auto event = event_of(PINTLE_EVENT_PACKET);
  set_address(event, "2001:db8::7");
  event.socket = {htons(40000), 6, PINTLE_INGRESS};
  event.local_port = 8080;
  event.verdict = PINTLE_WOULD_DENY;
  const auto packet = converted(event);
  CHECK(packet.destination == "[2001:db8::7]:40000/tcp");
  CHECK(packet.detail == "ingress, own port 8080");
  CHECK(packet.comm.empty());
  CHECK(packet.pid == 0);
  CHECK(packet.verdict == model::Verdict::kWouldDeny);
  event.kind = PINTLE_EVENT_TCP;
  CHECK(converted(event).detail == "retransmit");
  event.kind = PINTLE_EVENT_ACCEPT;
  CHECK(converted(event).kind == model::ProgramEventKind::kAccept);
}

TEST_CASE("devices, options, sysctls and victims are named") {
  auto event = event_of(PINTLE_EVENT_DEVICE);
  event.device = {BPF_DEVCG_DEV_CHAR, BPF_DEVCG_ACC_READ | BPF_DEVCG_ACC_WRITE, 10, 229};
  CHECK(converted(event).destination == "c 10:229 rw");
  event = event_of(PINTLE_EVENT_SOCKOPT);
  event.sockopt = {1, 36};
  CHECK(converted(event).detail == "1:36");
  event = event_of(PINTLE_EVENT_OOM);
  event.victim = 4242;
  std::memcpy(event.victim_comm, "stress", 6);
  CHECK(converted(event).detail == "4242 stress");
  CHECK(converted(event).comm == "curl");  // who asked for memory
  pintle_sysctl_event sysctl{event_of(PINTLE_EVENT_SYSCTL), "net/ipv4/ip_forward"};
  CHECK(to_model(std::as_bytes(std::span(&sysctl, 1)), {}, {}).detail == "net/ipv4/ip_forward");
  CHECK(converted(sysctl.event).detail.empty());  // a record cut short is not read past its end
}

TEST_CASE("a record's ring is that of its number") {
  auto event = event_of(PINTLE_EVENT_CONNECT);
  CHECK(ring_of(event) == PINTLE_RING_BULK);
  event.verdict = PINTLE_WOULD_DENY;
  CHECK(ring_of(event) == PINTLE_RING_BULK);
  event.verdict = PINTLE_DENIED;
  CHECK(ring_of(event) == PINTLE_RING_URGENT);
  CHECK(ring_of(event_of(PINTLE_EVENT_EXEC)) == PINTLE_RING_BULK);
  CHECK(ring_of(event_of(PINTLE_EVENT_EXIT)) == PINTLE_RING_URGENT);
  CHECK(ring_of(event_of(PINTLE_EVENT_OOM)) == PINTLE_RING_URGENT);
}

TEST_CASE("a slot's counters: sums over the protocols, and events sent and lost") {
  pintle_pod_slot slot{};
  slot.tcp = {1, 2, 3, 4};
  slot.udp = {10, 20, 30, 40};
  slot.other = {100, 200, 300, 400};
  slot.sequence[PINTLE_RING_URGENT] = 5;
  slot.sequence[PINTLE_RING_BULK] = 7;
  slot.lost[PINTLE_RING_BULK] = 3;
  slot.exits = 2;
  slot.sysctl_denied = 6;
  const auto counters = to_model(slot);
  CHECK(counters.rx_bytes == 111);
  CHECK(counters.tx_packets == 444);
  CHECK(counters.udp.rx_packets == 20);
  CHECK(counters.events_sent == 9);
  CHECK(counters.events_lost == 3);
  CHECK(counters.exits == 2);
  CHECK(counters.sysctl_denied == 6);
}
