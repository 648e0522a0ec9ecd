// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Goal G6 of facts/ebpf: a first life of the attacher is killed, pods go on sending and being refused without it, a second life adopts
// every link.
#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <thread>
#include <vector>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fmt/format.h>

#include "bench/bench.h"
#include "bench/world.h"

namespace pintle::bench {
namespace {

constexpr int kPods = 500;
constexpr int kHooks = 10;
constexpr auto kOutage = std::chrono::seconds(5);
constexpr int kWorkers = 8;  // the agent attaches each pod on a thread of its pool, of which as many run as there are pods to be adopted

struct Life {
  std::atomic<bool> attached, failed, stop;
  std::atomic<uint64_t> sent, tried, passed;
  uint32_t link_ids[kPods][kHooks];
};

model::ProgramPlan ten_hooks(model::ProgramPlan plan) {
  plan.hooks.assign(std::begin(model::kAllHooks), std::begin(model::kAllHooks) + kHooks);
  return plan;
}

std::string uid_of(int pod) { return fmt::format("adopt-{}", pod); }

Status attach_all(World& world, const std::vector<ports::PodCgroup>& cgroups, const model::ProgramPlan& plan, Life& life) {
  std::array<Status, kWorkers> ends;
  std::atomic<int> next{0};
  const auto work = [&](Status& end) {
    for (int pod = next++; pod < kPods && end; pod = next++) {
      const auto report = world.attach(uid_of(pod), cgroups[static_cast<size_t>(pod)], plan);
      if (!report) end = std::unexpected(report.error());
      for (int hook = 0; end && hook < kHooks; ++hook) life.link_ids[pod][hook] = report->hooks[static_cast<size_t>(hook)].link_id.value();
    }
  };
  {
    std::vector<std::jthread> workers;
    for (auto& end : ends) workers.emplace_back(work, std::ref(end));
  }
  for (const auto& end : ends) PINTLE_TRY(end);
  return {};
}

// Datagrams to itself, each of which both hooks must count.
int send_to_self(Life& life) {
  const int fd = udp_socket();
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  auto* raw = reinterpret_cast<sockaddr*>(&address);
  char byte = 'x';
  if (::bind(fd, raw, length) != 0 || ::getsockname(fd, raw, &length) != 0) return 1;
  while (!life.stop) {
    if (::sendto(fd, &byte, 1, 0, raw, length) != 1 || ::recv(fd, &byte, 1, 0) != 1) return 2;
    ++life.sent;
  }
  return 0;
}

int connect_until_told(Life& life) {
  const int fd = udp_socket();
  while (!life.stop) {
    ++life.tried;
    if (udp_connect(fd, kElsewhere, 80) != EPERM) ++life.passed;
  }
  return 0;
}

}  // namespace

Result<Figures> goal_adoption_bench() {
  Figures figures;
  PINTLE_ASSIGN_OR_RETURN(const auto world, World::make());
  std::vector<ports::PodCgroup> cgroups;
  for (int pod = 0; pod < kPods; ++pod) {
    PINTLE_ASSIGN_OR_RETURN(auto made, world->make_pod(uid_of(pod)));
    cgroups.push_back(std::move(made));
  }
  model::PolicyRows rows;  // to itself only
  rows.egress.classes = {{{0, 0, 65535}}};
  rows.egress.peers.push_back({*model::parse_prefix("127.0.0.0/8"), 0});
  PINTLE_ASSIGN_OR_RETURN(const auto denying, world->isolated(rows));
  const auto plan = ten_hooks(denying);
  world->stop();

  const Shared<Life> before, after;
  const pid_t first = ::fork();
  if (first < 0) return fail_errno(errno, "fork");
  if (first == 0) {
    if (!world->start() || !world->attacher().policy_tables()->replace(1, rows) || !attach_all(*world, cgroups, plan, *before))
      before->failed = true;
    before->attached = true;
    for (;;) ::pause();  // until it is killed
  }
  while (!before->attached) let_pass(std::chrono::milliseconds(1));
  std::vector<pid_t> children;
  PINTLE_ASSIGN_OR_RETURN(children.emplace_back(), spawn(cgroups[0], [&] { return send_to_self(*before); }));
  PINTLE_ASSIGN_OR_RETURN(children.emplace_back(), spawn(cgroups[1], [&] { return connect_until_told(*before); }));
  (void)::kill(first, SIGKILL);
  (void)::waitpid(first, nullptr, 0);
  if (before->failed) return fail(Code::kInternal, "the first life could not attach");
  let_pass(kOutage);

  std::vector<double> adopt_ms;
  for (int round = 0; round < 5; ++round) {
    world->stop();
    const StopWatch watch;
    PINTLE_TRY(world->start());
    PINTLE_TRY(attach_all(*world, cgroups, plan, *after));
    adopt_ms.push_back(watch.seconds() * 1000);
  }
  before->stop = true;
  for (const pid_t child : children) {
    PINTLE_ASSIGN_OR_RETURN(const int code, wait_for(child));
    if (code != 0) return fail(Code::kInternal, fmt::format("a load child failed at its step {}", code));
  }
  if (before->sent == 0 || before->tried == 0) return fail(Code::kInternal, "no load ran: nothing was measured");
  PINTLE_ASSIGN_OR_RETURN(const auto counters, world->attacher().counters(PodUid(uid_of(0))));
  int changed = 0;
  for (int pod = 0; pod < kPods; ++pod)
    for (int hook = 0; hook < kHooks; ++hook) changed += before->link_ids[pod][hook] != after->link_ids[pod][hook] ? 1 : 0;
  figures["ebpf.g6_adopt500_p50_ms"] = percentile(adopt_ms, 0.5);
  figures["ebpf.g6_adopt500_max_ms"] = percentile(adopt_ms, 1);
  figures["ebpf.g6_links_changed"] = changed;
  figures["ebpf.g6_packets_uncounted"] =
      static_cast<double>(2 * before->sent) - static_cast<double>(counters.tx_packets + counters.rx_packets);
  figures["ebpf.g6_denies_missed"] = static_cast<double>(before->passed);
  return figures;
}

}  // namespace pintle::bench
