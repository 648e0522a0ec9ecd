// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Network policy with real sockets between two network namespaces (facts/ebpf 4.1, 4.2).
#include <algorithm>
#include <atomic>
#include <cerrno>
#include <thread>

#include <netinet/in.h>
#include <sys/socket.h>

#include <bpf/bpf.h>
#include <fmt/format.h>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include "kernel_fixture.h"
#include "network.h"
#include "packet_run.h"

using namespace pintle;
using namespace pintle::kernel_test;
using model::Enforcement;
using model::PolicyDirection;
using model::PolicyRows;
using model::ProgramEventKind;
using model::Verdict;

namespace {

constexpr uint8_t kTcp = IPPROTO_TCP, kUdp = IPPROTO_UDP;
constexpr uint32_t kPolicy = 41;
constexpr int kQuiet = 250;  // ms in which nothing must come
constexpr int kSoon = 5000;  // ms in which something does

PolicyDirection allow(std::vector<std::string> prefixes, std::vector<model::PortRange> ports) {
  PolicyDirection out;
  out.classes = {std::move(ports)};
  for (const auto& text : prefixes) out.peers.push_back({*model::parse_prefix(text), 0});
  return out;
}

model::ProgramPlan isolated(bool ingress, bool egress, Enforcement network = Enforcement::kEnforce) {
  model::ProgramPlan plan;
  plan.hooks.assign(std::begin(model::kAllHooks), std::end(model::kAllHooks));
  plan.network_policy = kPolicy;
  plan.isolate_ingress = ingress;
  plan.isolate_egress = egress;
  plan.network = network;
  return plan;
}

// A pod under a policy, on a node of its own.
struct Pod {
  Pod(const std::string& name, const model::ProgramPlan& plan, const PolicyRows& rows)
      : node((require_network(), "p_" + name)), dir("kubepods/pod" + name), id{PodUid(name), "default", name} {
    node.start();
    REQUIRE(!node->unsupported());
    REQUIRE(node->policy_tables()->replace(kPolicy, rows));
    node->on_event([this](const auto& event) { log.add(event); });
    attach(plan);
  }
  ~Pod() { node.stop(); }  // before the log goes
  model::AttachReport attach(const model::ProgramPlan& plan) {
    const auto report = node->attach(id, dir.handle(), plan);
    REQUIRE(report);
    for (const auto& hook : report->hooks) {
      INFO(hook.error);
      CHECK(hook.state != model::HookState::kRefused);
    }
    REQUIRE(report->effective());
    return *report;
  }
  [[nodiscard]] model::PodCounters counters() const { return *node->counters(id.uid); }
  [[nodiscard]] UniqueFd socket(int family, int type) const { return socket_of(dir.path(), family, type); }
  // Waits for the first event of that kind.
  [[nodiscard]] model::ProgramEvent event(ProgramEventKind kind) {
    const auto all = log.wait([&](const auto& events) { return std::ranges::count(events, kind, &model::ProgramEvent::kind) > 0; });
    const auto found = std::ranges::find(all, kind, &model::ProgramEvent::kind);
    REQUIRE(found != all.end());
    return *found;
  }
  EventLog log;
  Node node;
  PodDir dir;
  ports::PodIdentity id;
};

UniqueFd peer_listener(const std::string& address, uint16_t port, int type) {
  auto fd = peer_socket(address.find(':') == std::string::npos ? AF_INET : AF_INET6, type);
  REQUIRE(bind_to(fd, address, port) == 0);
  return fd;
}

}  // namespace

TEST_CASE("what a pod sends and receives is counted by protocol") {
  Pod pod("proto", isolated(false, false), {});
  const auto tcp_peer = peer_listener("10.77.0.2", 8080, SOCK_STREAM), udp_peer = peer_listener("10.77.0.2", 5353, SOCK_DGRAM);
  const auto udp = pod.socket(AF_INET, SOCK_DGRAM), tcp = pod.socket(AF_INET, SOCK_STREAM);
  REQUIRE(send_to(udp, "10.77.0.2", 5353) == 0);
  REQUIRE(receive_and_answer(udp_peer, kSoon) == 0);
  REQUIRE(receives(udp, kSoon));
  REQUIRE(connect_to(tcp, "10.77.0.2", 8080) == 0);
  const auto counters = pod.counters();
  CHECK(counters.udp == model::TrafficCounters{29, 1, 29, 1});  // IP and UDP headers and a byte
  CHECK(counters.tcp.tx_packets == 2);                          // SYN, ACK
  CHECK(counters.tcp.rx_packets == 1);
  CHECK(counters.other == model::TrafficCounters{});
  CHECK(counters.tx_packets == 3);
  CHECK(counters.connects == 1);
  CHECK(counters.sendmsgs == 1);
  CHECK(counters.denied == 0);
}

TEST_CASE("a connect that policy does not allow fails at once, and is told") {
  Pod pod("connect", isolated(false, true), {.egress = allow({"10.77.0.2", "fd77::/64"}, {{kTcp, 8080, 8090}, {kUdp, 53, 53}})});
  const auto v4 = peer_listener("10.77.0.2", 8080, SOCK_STREAM), v6 = peer_listener("fd77::2", 8085, SOCK_STREAM);
  CHECK(connect_to(pod.socket(AF_INET, SOCK_STREAM), "10.77.0.2", 8080) == 0);
  CHECK(connect_to(pod.socket(AF_INET6, SOCK_STREAM), "fd77::2", 8085) == 0);
  CHECK(connect_to(pod.socket(AF_INET6, SOCK_STREAM), "::ffff:10.77.0.2", 8080) == 0);
  CHECK(connect_to(pod.socket(AF_INET, SOCK_DGRAM), "10.77.0.2", 53) == 0);
  CHECK(pod.counters().denied == 0);
  CHECK(connect_to(pod.socket(AF_INET, SOCK_STREAM), "10.77.0.4", 8080) == EPERM);
  const auto denied = pod.event(ProgramEventKind::kConnect);
  CHECK(denied.verdict == Verdict::kDenied);
  CHECK(denied.destination == "10.77.0.4:8080/tcp");
  CHECK(denied.uid == pod.id.uid);
  CHECK(connect_to(pod.socket(AF_INET, SOCK_STREAM), "10.77.0.2", 8091) == EPERM);
  CHECK(connect_to(pod.socket(AF_INET6, SOCK_STREAM), "fd78::2", 8080) == EPERM);
  CHECK(connect_to(pod.socket(AF_INET6, SOCK_STREAM), "::ffff:10.77.0.4", 8080) == EPERM);
  CHECK(connect_to(pod.socket(AF_INET, SOCK_DGRAM), "10.77.0.2", 54) == EPERM);
  CHECK(connect_to(pod.socket(AF_INET, SOCK_STREAM), "127.0.0.1", 1) == ECONNREFUSED);  // loopback is nobody else's business
  CHECK(connect_to(pod.socket(AF_INET6, SOCK_STREAM), "::1", 1) == ECONNREFUSED);
  CHECK(connect_to(pod.socket(AF_INET, SOCK_STREAM), "0.0.0.0", 1) == ECONNREFUSED);
  CHECK(pod.counters().denied == 5);
  CHECK(pod.counters().connects == 12);
}

TEST_CASE("a policy without rows refuses, as does a policy that is not there") {
  Pod pod("norows", isolated(true, true), {});
  CHECK(connect_to(pod.socket(AF_INET, SOCK_STREAM), "10.77.0.2", 8080) == EPERM);
  REQUIRE(pod.node->policy_tables()->keep_only({}));
  CHECK(connect_to(pod.socket(AF_INET, SOCK_STREAM), "10.77.0.2", 8080) == EPERM);
}

TEST_CASE("a datagram to where policy does not let the pod go is refused") {
  Pod pod("sendmsg", isolated(false, true), {.egress = allow({"10.77.0.2", "fd77::2"}, {{kUdp, 5353, 5353}})});
  const auto peer = peer_listener("10.77.0.2", 5353, SOCK_DGRAM), peer6 = peer_listener("fd77::2", 5353, SOCK_DGRAM);
  const auto udp = pod.socket(AF_INET, SOCK_DGRAM), udp6 = pod.socket(AF_INET6, SOCK_DGRAM);
  CHECK(send_to(udp, "10.77.0.2", 5353) == 0);
  CHECK(receives(peer, kSoon));
  CHECK(send_to(udp6, "fd77::2", 5353) == 0);
  CHECK(receives(peer6, kSoon));
  CHECK(send_to(udp, "10.77.0.4", 5353) == EPERM);
  const auto denied = pod.event(ProgramEventKind::kSendmsg);
  CHECK(denied.verdict == Verdict::kDenied);
  CHECK(denied.destination == "10.77.0.4:5353/udp");
  CHECK(send_to(udp, "10.77.0.2", 5354) == EPERM);
  CHECK(send_to(udp6, "fd77::3", 5353) == EPERM);
  CHECK(pod.counters().denied == 3);
  CHECK(pod.counters().sendmsgs == 5);
}

TEST_CASE("a connection to the pod is decided at its SYN") {
  Pod pod("syn", isolated(true, false), {.ingress = allow({"10.77.0.2", "fd77::2"}, {{kTcp, 8080, 8080}})});
  const auto open = pod.socket(AF_INET, SOCK_STREAM), closed = pod.socket(AF_INET, SOCK_STREAM), open6 = pod.socket(AF_INET6, SOCK_STREAM);
  REQUIRE(bind_to(open, "10.77.0.1", 8080) == 0);
  REQUIRE(bind_to(closed, "10.77.0.1", 8081) == 0);
  REQUIRE(bind_to(open6, "fd77::1", 8080) == 0);
  const auto from_good = [](int family) { return peer_socket(family, SOCK_STREAM); };
  auto client = from_good(AF_INET);
  CHECK(connect_to(client, "10.77.0.1", 8080) == 0);
  const auto served = accept_from(open, kSoon);
  REQUIRE(served.valid());
  CHECK(send_on(client) == 0);
  CHECK(receives(served, kSoon));
  CHECK(send_on(served) == 0);
  CHECK(receives(client, kSoon));
  CHECK(connect_to(from_good(AF_INET6), "fd77::1", 8080) == 0);
  CHECK(pod.counters().rx_drops == 0);
  CHECK(connect_to(from_good(AF_INET), "10.77.0.1", 8081) == EINPROGRESS);
  const auto dropped = pod.event(ProgramEventKind::kPacket);
  CHECK(dropped.verdict == Verdict::kDenied);
  CHECK(dropped.destination.starts_with("10.77.0.2:"));
  CHECK(dropped.detail == "ingress, own port 8081");
  CHECK(dropped.cgroup_id == pod.dir.handle().id);
  const auto other = peer_socket(AF_INET, SOCK_STREAM);
  sockaddr_in own{};
  own.sin_family = AF_INET;
  own.sin_addr.s_addr = htonl(0x0a4d0004);
  REQUIRE(::bind(other.get(), reinterpret_cast<sockaddr*>(&own), sizeof own) == 0);
  CHECK(connect_to(other, "10.77.0.1", 8080) == EINPROGRESS);
  CHECK(pod.counters().rx_drops >= 2);
  // What the pod opens itself is answered, though nobody may open to it.
  const auto peer = peer_listener("10.77.0.4", 9090, SOCK_STREAM);
  const auto outward = pod.socket(AF_INET, SOCK_STREAM);
  CHECK(connect_to(outward, "10.77.0.4", 9090) == 0);
  const auto accepted = accept_from(peer, kSoon);
  CHECK(send_on(accepted) == 0);
  CHECK(receives(outward, kSoon));
}

TEST_CASE("replies to datagrams pass in a direction that is isolated") {
  SECTION("to what the pod asked") {
    Pod pod("reply_in", isolated(true, true), {.egress = allow({"10.77.0.2"}, {{kUdp, 5353, 5353}})});
    const auto peer = peer_listener("10.77.0.2", 5353, SOCK_DGRAM), stranger = peer_listener("10.77.0.2", 5354, SOCK_DGRAM);
    const auto udp = pod.socket(AF_INET, SOCK_DGRAM);
    REQUIRE(bind_to(udp, "10.77.0.1", 0) == 0);
    CHECK(send_to(peer, "10.77.0.1", port_of(udp)) == 0);
    CHECK(!receives(udp, kQuiet));  // not asked
    CHECK(send_to(udp, "10.77.0.2", 5353) == 0);
    CHECK(receive_and_answer(peer, kSoon) == 0);
    CHECK(receives(udp, kSoon));
    CHECK(send_to(stranger, "10.77.0.1", port_of(udp)) == 0);
    CHECK(!receives(udp, kQuiet));
    CHECK(pod.counters().rx_drops == 2);
  }
  SECTION("by the pod, to who may ask it") {
    Pod pod("reply_out", isolated(true, true), {.ingress = allow({"10.77.0.2"}, {{kUdp, 9000, 9000}})});
    const auto peer = peer_listener("10.77.0.2", 5353, SOCK_DGRAM);
    const auto udp = pod.socket(AF_INET, SOCK_DGRAM);
    REQUIRE(bind_to(udp, "10.77.0.1", 9000) == 0);
    CHECK(send_to(udp, "10.77.0.2", 5353) == EPERM);  // not asked
    CHECK(send_to(peer, "10.77.0.1", 9000) == 0);
    CHECK(receive_and_answer(udp, kSoon) == 0);
    CHECK(receives(peer, kSoon));
    // Once that peer may no longer ask, it is no longer answered.
    REQUIRE(pod.node->policy_tables()->replace(kPolicy, {}));
    CHECK(send_to(udp, "10.77.0.2", 5353) == EPERM);
    CHECK(!receives(peer, kQuiet));
  }
}

TEST_CASE("a permission that is taken back cuts connections under way") {
  const PolicyRows both{allow({"10.77.0.0/24"}, {{kTcp, 8080, 8080}}), allow({"10.77.0.2"}, {{kTcp, 9090, 9090}})};
  Pod pod("revoke", isolated(true, true), both);
  const auto listener = pod.socket(AF_INET, SOCK_STREAM), peer = peer_listener("10.77.0.2", 9090, SOCK_STREAM);
  REQUIRE(bind_to(listener, "10.77.0.1", 8080) == 0);
  const auto client = peer_socket(AF_INET, SOCK_STREAM), opened = pod.socket(AF_INET, SOCK_STREAM);
  REQUIRE(connect_to(client, "10.77.0.1", 8080) == 0);
  const auto served = accept_from(listener, kSoon);
  REQUIRE(connect_to(opened, "10.77.0.2", 9090) == 0);
  const auto accepted = accept_from(peer, kSoon);
  REQUIRE(send_on(opened) == 0);
  REQUIRE(receives(accepted, kSoon));

  // Rows that are other ones but say the same change nothing.
  REQUIRE(pod.node->policy_tables()->replace(kPolicy, both));
  REQUIRE(send_on(opened) == 0);
  CHECK(receives(accepted, kSoon));
  REQUIRE(send_on(client) == 0);
  CHECK(receives(served, kSoon));
  CHECK(pod.counters().rx_drops + pod.counters().tx_drops == 0);

  REQUIRE(pod.node->policy_tables()->replace(kPolicy, {both.ingress, {}}));
  REQUIRE(send_on(opened) == 0);
  CHECK(!receives(accepted, kQuiet));
  REQUIRE(send_on(accepted) == 0);
  CHECK(!receives(opened, kQuiet));
  REQUIRE(send_on(client) == 0);
  CHECK(receives(served, kSoon));  // that direction is as it was

  REQUIRE(pod.node->policy_tables()->replace(kPolicy, {{}, both.egress}));
  REQUIRE(send_on(client) == 0);
  CHECK(!receives(served, kQuiet));
  CHECK(receives(accepted, kSoon));  // allowed again, TCP makes up for what was dropped
  CHECK(pod.counters().rx_drops > 0);
  CHECK(pod.counters().tx_drops > 0);
}

TEST_CASE("a replacement is never seen half made") {
  // Both sets allow 10.77.0.2:5353 by different kinds of rows and neither 10.77.0.4, so that a mixed answer shows.
  const PolicyRows by_address{.egress = allow({"10.77.0.2"}, {{kUdp, 5353, 5353}})};
  PolicyRows by_prefix{.egress = allow({"10.77.0.0/30"}, {{kUdp, 5000, 6000}})};
  for (uint16_t i = 0; i < 40; ++i) by_prefix.egress.classes[0].insert(by_prefix.egress.classes[0].begin(), {kTcp, i, i});
  Pod pod("atomic", isolated(false, true), by_address);
  const auto peer = peer_listener("10.77.0.2", 5353, SOCK_DGRAM);
  const auto udp = pod.socket(AF_INET, SOCK_DGRAM);
  std::atomic<int> flips{0};
  std::atomic<bool> failed{false};
  std::thread writer([&] {
    for (int i = 0; i < 3000; ++i) {
      if (!pod.node->policy_tables()->replace(kPolicy, i % 2 == 0 ? by_prefix : by_address)) failed = true;
      ++flips;
    }
  });
  int refused = 0, slipped = 0, asked = 0;
  while (flips < 3000) {
    refused += send_to(udp, "10.77.0.2", 5353) != 0 ? 1 : 0;
    slipped += send_to(udp, "10.77.0.4", 5353) == 0 ? 1 : 0;
    ++asked;
  }
  writer.join();
  INFO(asked << " asked");
  CHECK(!failed);
  CHECK(asked > 1000);
  CHECK(refused == 0);
  CHECK(slipped == 0);
}

TEST_CASE("audit lets everything pass, and says what it would not have") {
  Pod pod("audit", isolated(true, true, Enforcement::kAudit), {});
  const auto peer = peer_listener("10.77.0.2", 8080, SOCK_STREAM);
  const auto tcp = pod.socket(AF_INET, SOCK_STREAM), listener = pod.socket(AF_INET, SOCK_STREAM);
  CHECK(connect_to(tcp, "10.77.0.2", 8080) == 0);
  const auto event = pod.event(ProgramEventKind::kConnect);
  CHECK(event.verdict == Verdict::kWouldDeny);
  CHECK(event.destination == "10.77.0.2:8080/tcp");
  REQUIRE(bind_to(listener, "10.77.0.1", 8080) == 0);
  CHECK(connect_to(peer_socket(AF_INET, SOCK_STREAM), "10.77.0.1", 8080) == 0);
  CHECK(pod.event(ProgramEventKind::kPacket).verdict == Verdict::kWouldDeny);
  CHECK(send_to(pod.socket(AF_INET, SOCK_DGRAM), "10.77.0.4", 53) == 0);
  const auto counters = pod.counters();
  CHECK(counters.would_deny >= 3);
  CHECK(counters.denied == 0);
  CHECK(counters.rx_drops + counters.tx_drops == 0);
}

TEST_CASE("sockets that connected before the pod was isolated are decided by their packets") {
  model::ProgramPlan open = isolated(false, false);
  Pod pod("late", open, {});
  const auto peer = peer_listener("10.77.0.2", 5353, SOCK_DGRAM);
  const auto udp = pod.socket(AF_INET, SOCK_DGRAM);
  REQUIRE(connect_to(udp, "10.77.0.2", 5353) == 0);
  REQUIRE(send_on(udp) == 0);
  REQUIRE(receives(peer, kSoon));
  pod.attach(isolated(false, true));
  CHECK(send_on(udp) == EPERM);
  CHECK(pod.counters().tx_drops == 1);
  pod.attach(open);
  CHECK(send_on(udp) == 0);
}

TEST_CASE("connections that are older than the isolation are decided in the direction in which they were opened") {
  const auto [family, here, there] = GENERATE(std::tuple{AF_INET, "10.77.0.1", "10.77.0.2"}, std::tuple{AF_INET6, "fd77::1", "fd77::2"});
  Pod pod(family == AF_INET ? "older4" : "older6", isolated(false, false), {});
  const auto listener = pod.socket(family, SOCK_STREAM), peer = peer_listener(there, 9090, SOCK_STREAM);
  REQUIRE(bind_to(listener, here, 8080) == 0);
  const auto client = peer_socket(family, SOCK_STREAM), opened = pod.socket(family, SOCK_STREAM);
  REQUIRE(connect_to(client, here, 8080) == 0);
  const auto served = accept_from(listener, kSoon);
  REQUIRE(connect_to(opened, there, 9090) == 0);
  const auto accepted = accept_from(peer, kSoon);
  const bool ingress = GENERATE(true, false);
  pod.attach(isolated(ingress, !ingress));  // and no row that allows anything
  REQUIRE(send_on(client) == 0);
  CHECK(receives(served, ingress ? kQuiet : kSoon) == !ingress);
  REQUIRE(send_on(opened) == 0);
  CHECK(receives(accepted, ingress ? kSoon : kQuiet) == ingress);
}

TEST_CASE("a plan changes on a running pod: links that stay keep their ids, others come and go") {
  Pod pod("change", model::default_program_plan(), {.egress = allow({"10.77.0.2"}, {{kTcp, 8080, 8080}})});
  const auto before = *pod.node->inspect(pod.id.uid);
  REQUIRE(before.hooks.size() == 4);
  CHECK(connect_to(pod.socket(AF_INET, SOCK_DGRAM), "10.77.0.4", 53) == 0);
  const auto all = pod.attach(isolated(true, true));
  REQUIRE(all.hooks.size() == model::kHookCount);
  for (size_t i = 0; i < 4; ++i) CHECK(all.hooks[i].link_id == before.hooks[i].link_id);
  CHECK(connect_to(pod.socket(AF_INET, SOCK_DGRAM), "10.77.0.4", 53) == EPERM);
  const auto less = pod.attach(model::default_program_plan());
  CHECK(less.hooks.size() == 4);
  for (size_t i = 0; i < 4; ++i) CHECK(less.hooks[i].link_id == before.hooks[i].link_id);
  CHECK(connect_to(pod.socket(AF_INET, SOCK_DGRAM), "10.77.0.4", 53) == 0);
  CHECK(pod.node->inspect(pod.id.uid)->hooks.size() == 4);
}

TEST_CASE("a restart: policy is in force while no agent runs and after, by the same links") {
  Pod pod("restart", isolated(true, true), {.egress = allow({"10.77.0.2"}, {{kUdp, 53, 53}})});
  const auto first = *pod.node->inspect(pod.id.uid);
  REQUIRE(first.hooks.size() == model::kHookCount);
  pod.node.stop();
  CHECK(connect_to(pod.socket(AF_INET, SOCK_DGRAM), "10.77.0.2", 53) == 0);
  CHECK(connect_to(pod.socket(AF_INET, SOCK_DGRAM), "10.77.0.4", 53) == EPERM);
  pod.node.start();
  CHECK(pod.counters().denied == 1);
  // Before the pod is attached again, rows can be replaced already.
  REQUIRE(pod.node->policy_tables()->replace(kPolicy, {.egress = allow({"10.77.0.4"}, {{kUdp, 53, 53}})}));
  CHECK(connect_to(pod.socket(AF_INET, SOCK_DGRAM), "10.77.0.2", 53) == EPERM);
  CHECK(connect_to(pod.socket(AF_INET, SOCK_DGRAM), "10.77.0.4", 53) == 0);
  const auto again = pod.attach(isolated(true, true));
  for (size_t i = 0; i < again.hooks.size(); ++i) {
    CHECK(again.hooks[i].link_id == first.hooks[i].link_id);
    CHECK(again.hooks[i].state == model::HookState::kAdopted);
  }
  CHECK(pod.counters().denied == 2);
}

TEST_CASE("neighbour discovery passes whatever the policy says, other ICMP does not") {
  Pod pod("icmp", model::default_program_plan(), {});
  const auto peer = *model::parse_ip("fd77::2");
  const auto echo = *model::parse_ip("10.77.0.2");
  CHECK(!packet_passes(*pod.node, kPolicy, {false, echo, IPPROTO_ICMP, 0}));
  REQUIRE(pod.node->policy_tables()->replace(kPolicy, {.ingress = allow({"10.77.0.2"}, {{0, 0, 65535}})}));
  CHECK(packet_passes(*pod.node, kPolicy, {false, echo, IPPROTO_ICMP, 0}));
  CHECK(!packet_passes(*pod.node, kPolicy, {false, peer, IPPROTO_ICMPV6, 0}));
  CHECK(packet_passes(*pod.node, kPolicy, {false, peer, IPPROTO_ICMPV6, 135}));
  CHECK(packet_passes(*pod.node, kPolicy, {true, peer, IPPROTO_ICMPV6, 136}));
}
