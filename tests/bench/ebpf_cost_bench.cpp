// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// The loaded programs, run on made-up packets by the kernel (BPF_PROG_TEST_RUN). That gives them a cgroup storage of their own, so they
// work on slot 0, whose words are borrowed. Times hold the kernel's harness of about 25 ns.
#include <atomic>
#include <cerrno>
#include <cstring>
#include <thread>

#include <arpa/inet.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <fmt/format.h>

#include "bench/bench.h"
#include "bench/world.h"
#include "bpf/libbpf_attacher.h"
#include "bpf/uninstall.h"

namespace pintle::bench {
namespace {

constexpr uint32_t kPolicy = 1;
constexpr int kHeads = 14 + 20;  // Ethernet, IPv4

// To 10.0.0.9:53 over UDP; `payload` below four leaves out the ports.
std::vector<uint8_t> packet(size_t payload) {
  std::vector<uint8_t> out(kHeads + payload);
  out[12] = 0x08;
  uint8_t* ip = &out[14];
  ip[0] = 0x45;
  ip[9] = 17;
  const uint8_t source[] = {10, 0, 0, 1}, destination[] = {10, 0, 0, 9};
  std::memcpy(ip + 12, source, 4);
  std::memcpy(ip + 16, destination, 4);
  if (payload >= 4) ip[20 + 3] = 53;
  return out;
}

Result<double> run_ns(int program, const std::vector<uint8_t>& data, int repeat) {
  bpf_test_run_opts options{};
  options.sz = sizeof options;
  options.data_in = data.data();
  options.data_size_in = static_cast<uint32_t>(data.size());
  options.repeat = repeat;
  if (bpf_prog_test_run_opts(program, &options) != 0) return fail_errno(errno, "run a program");
  return static_cast<double>(options.duration);
}

model::PolicyRows rules(uint32_t count, uint16_t port) {
  model::PolicyRows rows;
  rows.egress.classes = {{{17, port, port}, {6, 80, 80}}};
  for (uint32_t i = 0; i < count; ++i) rows.egress.peers.push_back({*model::parse_prefix(fmt::format("10.0.0.{}", i)), 0});
  rows.egress.peers.push_back({*model::parse_prefix("10.1.0.0/16"), 0});
  return rows;
}

struct Bench {
  bpf::LibbpfAttacher& attacher;
  UniqueFd egress;
  bpf::MappedArray<pintle_pod_slot> slots;

  static Result<Bench> open(bpf::LibbpfAttacher& attacher) {
    PINTLE_ASSIGN_OR_RETURN(auto egress, bpf::open_pin(attacher.layout().program("accounting_egress")));
    PINTLE_ASSIGN_OR_RETURN(const auto fd, bpf::open_pin(attacher.layout().map("pod_slots")));
    PINTLE_ASSIGN_OR_RETURN(auto slots, bpf::MappedArray<pintle_pod_slot>::map(fd.get(), 1));
    return Bench{attacher, std::move(egress), std::move(slots)};
  }
  Result<double> median_ns(uint32_t flags, size_t payload) const {
    slots[0].control = {kPolicy, flags};
    std::vector<double> samples;
    for (int i = 0; i < 15; ++i) {
      PINTLE_ASSIGN_OR_RETURN(const double ns, run_ns(egress.get(), packet(payload), 100'000));
      samples.push_back(ns);
    }
    slots[0].control = {};
    return percentile(samples, 0.5);
  }
};

// One record a run: a datagram that ends before its ports, of a pod that is audited.
Result<double> events_per_second(const Bench& bench, std::atomic<uint64_t>& received) {
  constexpr int kRuns = 3'000'000;
  const auto& slot = bench.slots[0];
  const uint64_t lost_before = slot.lost[PINTLE_RING_BULK], sent_before = slot.sequence[PINTLE_RING_BULK];
  received = 0;
  bench.slots[0].control = {kPolicy, PINTLE_NETWORK_FLAGS};
  const StopWatch watch;
  PINTLE_TRY(run_ns(bench.egress.get(), packet(2), kRuns));
  bench.slots[0].control = {};
  const uint64_t lost = slot.lost[PINTLE_RING_BULK] - lost_before, sent = slot.sequence[PINTLE_RING_BULK] - sent_before;
  while (received + lost < sent && watch.seconds() < 60) std::this_thread::yield();
  if (received + lost != sent) return fail(Code::kInternal, fmt::format("{} sent, {} received, {} lost", sent, received.load(), lost));
  return static_cast<double>(received) / watch.seconds();
}

}  // namespace

Result<Figures> ebpf_cost_bench() {
  SystemClock clock;
  const auto options = own_options();
  Figures figures;
  const auto measure = [&]() -> Status {
    const auto attacher = bpf::LibbpfAttacher::create(options, clock);
    if (attacher->unsupported()) return std::unexpected(*attacher->unsupported());
    PINTLE_TRY(attacher->policy_tables()->replace(kPolicy, rules(20, 53)));
    std::vector<double> replace_us;
    for (uint16_t i = 0; i < 1001; ++i) {
      const auto rows = rules(20, i % 2 == 0 ? 53 : 54);
      const StopWatch watch;
      PINTLE_TRY(attacher->policy_tables()->replace(kPolicy, rows));
      replace_us.push_back(watch.seconds() * 1e6);
    }
    figures["ebpf.policy_replace20_p50_us"] = percentile(replace_us, 0.5);
    figures["ebpf.policy_replace20_p99_us"] = percentile(replace_us, 0.99);
    PINTLE_ASSIGN_OR_RETURN(const auto bench, Bench::open(*attacher));
    PINTLE_ASSIGN_OR_RETURN(figures["ebpf.packet_accounting_ns"], bench.median_ns(0, 32));
    PINTLE_ASSIGN_OR_RETURN(figures["ebpf.packet_policy_ns"], bench.median_ns(PINTLE_ISOLATED, 32));
    std::atomic<uint64_t> received{0};
    {
      const auto bulk = bpf::open_pin(attacher->layout().map("bulk_events"));
      if (!bulk) return std::unexpected(bulk.error());
      auto* word = reinterpret_cast<uint64_t*>(&bench.slots[0].reader_batching);
      PINTLE_ASSIGN_OR_RETURN(const auto pump,
                              bpf::EventPump::start({-1, bulk->get(), word}, [&](std::span<const std::byte>) { ++received; }));
      const double lost = static_cast<double>(attacher->events_lost());
      PINTLE_ASSIGN_OR_RETURN(figures["ebpf.events_per_s"], events_per_second(bench, received));
      figures["ebpf.events_lost_of_3m"] = static_cast<double>(attacher->events_lost()) - lost;
    }
    attacher->on_event([&](const model::ProgramEvent&) { ++received; });
    PINTLE_ASSIGN_OR_RETURN(figures["ebpf.decoded_events_per_s"], events_per_second(bench, received));
    attacher->on_event(nullptr);
    return {};
  };
  const auto measured = measure();
  PINTLE_TRY(bpf::remove_pins(options));
  PINTLE_TRY(measured);
  return figures;
}

}  // namespace pintle::bench
