// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Goals G11 to G13 and G15 of facts/ebpf: what the programs cost a pod's calls and streams, what a pod costs the kernel and the agent, what
// a scrape takes, and whether all of it goes on with few capabilities. Each cost is the difference of batches that take turns.
#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fmt/format.h>

#include "bench/bench.h"
#include "bench/world.h"
#include "bpf/privilege.h"

namespace pintle::bench {
namespace {

constexpr int kBatches = 31;
constexpr int kConnects = 20'000;
constexpr size_t kStreamBytes = 256UL * 1024 * 1024;
constexpr int kManyPods = 2000;
constexpr int kScrapedPods = 1000;

// The loopback and one address, with nineteen other peers to look past.
model::PolicyRows rules() {
  model::PolicyRows rows;
  rows.egress.classes = {{{0, 0, 65535}}};
  rows.egress.peers.push_back({*model::parse_prefix("10.77.0.9"), 0});
  for (int i = 0; i < 19; ++i) rows.egress.peers.push_back({*model::parse_prefix(fmt::format("10.78.0.{}", i)), 0});
  return rows;
}

Result<double> timed(const ports::PodCgroup& cgroup, const std::function<int()>& body) {
  const Shared<double> seconds;
  PINTLE_TRY(run_in(cgroup, [&] {
    const StopWatch watch;
    const int code = body();
    *seconds = watch.seconds();
    return code;
  }));
  return *seconds;
}

int connect_often() {
  const int fd = udp_socket();
  for (int i = 0; i < kConnects; ++i)
    if (udp_connect(fd, kElsewhere, 9) != 0) return 1;
  return 0;
}

// Both ends of a stream take turns on one processor, so that all that is done for it takes time: with two the scheduler's choices are
// measured, by 10 % one way or the other from a batch to the next.
void stay_on_one_processor() {
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(static_cast<size_t>(std::max(0, ::sched_getcpu())), &one);
  (void)::sched_setaffinity(0, sizeof one, &one);  // ignoring: then it is as without
}

// A stream over the loopback, both ends in the pod.
int stream() {
  stay_on_one_processor();
  const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  auto* raw = reinterpret_cast<sockaddr*>(&address);
  if (::bind(listener, raw, length) != 0 || ::getsockname(listener, raw, &length) != 0 || ::listen(listener, 1) != 0) return 1;
  static std::array<char, 65536> buffer;
  const pid_t sender = ::fork();
  if (sender == 0) {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (::connect(fd, raw, length) != 0) ::_exit(1);
    for (size_t sent = 0; sent < kStreamBytes;) {
      const ssize_t n = ::send(fd, buffer.data(), buffer.size(), MSG_NOSIGNAL);
      if (n <= 0) ::_exit(2);
      sent += static_cast<size_t>(n);
    }
    ::_exit(0);
  }
  const int fd = ::accept(listener, nullptr, nullptr);
  size_t received = 0;
  for (ssize_t n = 1; n > 0; received += static_cast<size_t>(n)) n = ::recv(fd, buffer.data(), buffer.size(), 0);
  int status = 0;
  (void)::waitpid(sender, &status, 0);
  return status == 0 && received >= kStreamBytes ? 0 : 3;
}

struct Variant {
  const char* uid;
  model::ProgramPlan plan;
  ports::PodCgroup cgroup;
  std::vector<double> connect_ns, stream_s;
};

// Of what was measured right after each other, the median: the machine's speed may change on the way.
double paired(const std::vector<double>& with, const std::vector<double>& without, double (*compare)(double, double)) {
  std::vector<double> all;
  for (size_t i = 0; i < with.size(); ++i) all.push_back(compare(with[i], without[i]));
  return percentile(all, 0.5);
}
double difference(double with, double without) { return with - without; }
double percent_more(double with, double without) { return (with / without - 1) * 100; }

Status calls_and_streams(World& world, Figures& figures) {
  auto accounting = model::default_program_plan();
  accounting.traces.clear();
  PINTLE_ASSIGN_OR_RETURN(const auto policy, world.isolated(rules()));
  auto told = policy;
  told.traces = {model::Trace::kConnect};
  std::array<Variant, 4> variants{
      {{"bare", {}, {}, {}, {}}, {"counted", accounting, {}, {}, {}}, {"decided", policy, {}, {}, {}}, {"told", told, {}, {}, {}}}};
  for (auto& variant : variants) {
    PINTLE_ASSIGN_OR_RETURN(variant.cgroup, world.make_pod(variant.uid));
    if (!variant.plan.hooks.empty()) PINTLE_TRY(world.attach(variant.uid, variant.cgroup, variant.plan));
  }
  std::atomic<uint64_t> received{0};
  world.attacher().on_event([&](const auto&) { ++received; });
  const auto measure = [&]() -> Status {
    for (int batch = 0; batch < kBatches; ++batch)
      for (auto& variant : variants) {
        PINTLE_ASSIGN_OR_RETURN(const double seconds, timed(variant.cgroup, connect_often));
        variant.connect_ns.push_back(seconds * 1e9 / kConnects);
        if (&variant - variants.data() > 1) continue;
        PINTLE_ASSIGN_OR_RETURN(variant.stream_s.emplace_back(), timed(variant.cgroup, stream));
      }
    return {};
  };
  const Status measured = measure();
  world.attacher().on_event(nullptr);
  PINTLE_TRY(measured);
  const auto& bare = variants[0];
  figures["ebpf.g11_connect_bare_ns"] = percentile(bare.connect_ns, 0.5);
  figures["ebpf.g11_connect_accounting_ns"] = paired(variants[1].connect_ns, bare.connect_ns, difference);
  figures["ebpf.g11_connect_policy_ns"] = paired(variants[2].connect_ns, bare.connect_ns, difference);
  figures["ebpf.g11_connect_event_ns"] = paired(variants[3].connect_ns, bare.connect_ns, difference);
  figures["ebpf.g11_tcp_bulk_percent"] = paired(variants[1].stream_s, bare.stream_s, percent_more);
  return {};
}

// A line of a /proc file in KiB.
double kib(const char* file, const std::string& key) {
  const auto text = read_file(file);
  const size_t at = text ? text->find(key + ":") : std::string::npos;
  return at == std::string::npos ? 0 : std::strtod(text->c_str() + at + key.size() + 1, nullptr);
}
double kernel_kib() { return kib("/proc/meminfo", "Slab") + kib("/proc/meminfo", "Percpu") + kib("/proc/meminfo", "VmallocUsed"); }
double own_kib() { return kib("/proc/self/status", "RssAnon"); }

Status memory_and_scrape(Figures& figures) {
  bpf::MapSizes sizes;
  sizes.slots = kManyPods + 8;
  PINTLE_ASSIGN_OR_RETURN(const auto world, World::make(sizes));
  const auto plan = model::default_program_plan();
  std::vector<ports::PodCgroup> cgroups;
  for (int i = 0; i < kManyPods; ++i) {
    PINTLE_ASSIGN_OR_RETURN(auto made, world->make_pod(fmt::format("many-{}", i)));
    cgroups.push_back(std::move(made));
  }
  const double kernel_before = kernel_kib(), own_before = own_kib();
  for (int i = 0; i < kManyPods; ++i) PINTLE_TRY(world->attach(fmt::format("many-{}", i), cgroups[static_cast<size_t>(i)], plan));
  const double hooks = static_cast<double>(plan.hooks.size()) * kManyPods;
  figures["ebpf.g12_kernel_kb_per_hook"] = (kernel_kib() - kernel_before) / hooks;
  figures["ebpf.g12_agent_kb_per_pod"] = (own_kib() - own_before) / kManyPods;
  for (int i = kScrapedPods; i < kManyPods; ++i) PINTLE_TRY(world->attacher().detach(PodUid(fmt::format("many-{}", i))));
  std::vector<double> scrape_us;
  uint64_t sum = 0;
  int pods = 0;
  for (int round = 0; round < 101; ++round) {
    pods = 0;
    const StopWatch watch;
    world->attacher().each_counters([&](const PodUid&, const model::PodCounters& counters) {
      sum += counters.rx_packets;
      ++pods;
    });
    scrape_us.push_back(watch.seconds() * 1e6);
  }
  if (pods != kScrapedPods || sum != 0) return fail(Code::kInternal, "not the pods that there are, or packets of such as run nothing");
  figures["ebpf.g13_scrape1000_us"] = percentile(scrape_us, 0.5);
  return {};
}

// In a child: what it gives up is gone for good.
Status few_capabilities(World& world, Figures& figures) {
  std::vector<ports::PodCgroup> cgroups;
  for (int i = 0; i < 100; ++i) {
    PINTLE_ASSIGN_OR_RETURN(auto made, world.make_pod(fmt::format("few-{}", i)));
    cgroups.push_back(std::move(made));
  }
  world.stop();
  const Shared<std::atomic<int>> refused;
  *refused = -1;
  const pid_t child = ::fork();
  if (child < 0) return fail_errno(errno, "fork");
  if (child == 0) {
    if (!world.start() || !bpf::drop_to_working_set(bpf::WorkingSet::kProgramsOnly)) ::_exit(1);
    *refused = 0;
    for (int i = 0; i < 100; ++i)
      if (!world.attach(fmt::format("few-{}", i), cgroups[static_cast<size_t>(i)], model::default_program_plan())) ++*refused;
    ::_exit(0);
  }
  PINTLE_ASSIGN_OR_RETURN(const int code, wait_for(child));
  if (code != 0) return fail(Code::kInternal, "capabilities could not be given up");
  figures["ebpf.g15_refused_of_100_pods"] = *refused;
  return world.start();
}

}  // namespace

Result<Figures> goal_overhead_bench() {
  Figures figures;
  {
    PINTLE_ASSIGN_OR_RETURN(const auto world, World::make());
    PINTLE_TRY(calls_and_streams(*world, figures));
    PINTLE_TRY(few_capabilities(*world, figures));
  }
  PINTLE_TRY(memory_and_scrape(figures));
  return figures;
}

}  // namespace pintle::bench
