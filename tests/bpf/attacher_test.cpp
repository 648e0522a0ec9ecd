// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include <algorithm>
#include <csignal>
#include <filesystem>

#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <fmt/format.h>
#include <catch2/catch_test_macros.hpp>

#include "bpf/pin.h"
#include "kernel_fixture.h"

using namespace pintle;
using namespace pintle::kernel_test;
using model::HookState;
using model::ProgramEventKind;

namespace {

ports::PodIdentity identity(const std::string& uid) { return {PodUid(uid), "default", uid}; }

std::vector<LinkId> link_ids(const model::AttachReport& report) {
  std::vector<LinkId> ids;
  for (const auto& hook : report.hooks) ids.push_back(hook.link_id);
  return ids;
}

uint32_t programs_on(const std::string& cgroup) {
  const auto dir = DirFd::open(cgroup);
  REQUIRE(dir);
  uint32_t total = 0;
  for (const auto type : {BPF_CGROUP_INET_INGRESS, BPF_CGROUP_INET_EGRESS, BPF_CGROUP_INET4_CONNECT, BPF_CGROUP_INET6_CONNECT}) {
    struct bpf_prog_query_opts query{};
    query.sz = sizeof query;
    REQUIRE(bpf_prog_query_opts(dir->get(), type, &query) == 0);
    total += query.prog_cnt;
  }
  return total;
}

size_t open_files() {
  size_t count = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) ++count;
  return count;
}

}  // namespace

TEST_CASE("a pod's packets are counted to the byte") {
  Node node("t_count");
  const PodDir pod("kubepods/podcount");
  auto& attacher = node.start();
  REQUIRE(!attacher.unsupported());
  const auto report = attacher.attach(identity("count"), pod.handle(), kEveryHook);
  REQUIRE(report);
  REQUIRE(report->effective());
  REQUIRE(report->hooks.size() == 4);
  CHECK(report->hooks[0].state == HookState::kAttached);
  CHECK(report->hooks[0].program_tag.size() == 16);
  CHECK(run_inside(pod.child("container"), [] { return udp_echo(10, 100); }) == 0);
  const auto counters = attacher.counters(PodUid("count"));
  REQUIRE(counters);
  CHECK(counters->tx_packets == 10);
  CHECK(counters->rx_packets == 10);
  CHECK(counters->tx_bytes == 10 * (100 + 8 + 20));  // payload, UDP and IP headers
  CHECK(counters->rx_bytes == 10 * (100 + 8 + 20));
  CHECK(counters->events_lost == 0);
}

TEST_CASE("a connect is told with its destination") {
  Node node("t_connect");
  const PodDir pod("kubepods/burstable/podconnect");
  auto& attacher = node.start();
  EventLog log;
  attacher.on_event([&](const auto& event) { log.add(event); });
  REQUIRE(attacher.attach(identity("connect"), pod.handle(), kEveryHook)->effective());
  const Time before = SystemClock().now();
  CHECK(run_inside(pod.child("c1"), [] { return udp_connect("127.0.0.1", 9) + udp_connect("::1", 53); }) == 0);
  const auto connects = [](const auto& events) {
    return std::ranges::count(events, ProgramEventKind::kConnect, &model::ProgramEvent::kind);
  };
  auto events = log.wait([&](const auto& all) { return connects(all) >= 2; });
  std::erase_if(events, [](const auto& event) { return event.kind != ProgramEventKind::kConnect; });
  REQUIRE(events.size() == 2);
  CHECK(events[0].destination == "127.0.0.1:9/udp");
  CHECK(events[1].destination == "[::1]:53/udp");
  for (const auto& event : events) {
    CHECK(event.uid == PodUid("connect"));
    CHECK(event.pid > 0);
    CHECK(event.cgroup_id != pod.handle().id);  // the container's own
    CHECK(event.time > before - std::chrono::seconds(1));
    CHECK(event.time < before + std::chrono::seconds(30));
  }
  CHECK(attacher.counters(PodUid("connect"))->connects == 2);
  attacher.on_event(nullptr);
}

TEST_CASE("exec and exit are told with comm and wait status") {
  Node node("t_exec");
  const PodDir pod("kubepods/besteffort/podexec");
  auto& attacher = node.start();
  require_tracepoints(attacher);
  EventLog log;
  attacher.on_event([&](const auto& event) { log.add(event); });
  REQUIRE(attacher.attach(identity("exec"), pod.handle(), kEveryHook));
  CHECK(run_inside(cgroup_home(), [] { return 1; }) != 0);  // not of a pod: not told
  const int exec_status = run_inside(pod.child("c1"), [] {
    ::execl("/bin/sh", "sh", "-c", "exit 3", nullptr);
    return 127;
  });
  const int killed_status = run_inside(pod.path(), [] { return ::raise(SIGKILL); });
  auto events = log.wait([](const auto& all) { return all.size() >= 3; });
  REQUIRE(events.size() == 3);
  std::ranges::stable_sort(events, {}, &model::ProgramEvent::time);  // exec and exit come by rings of their own
  CHECK(events[0].kind == ProgramEventKind::kExec);
  CHECK(events[0].comm == "sh");
  CHECK(events[1].kind == ProgramEventKind::kExit);
  CHECK(events[1].pid == events[0].pid);
  CHECK(WEXITSTATUS(exec_status) == 3);
  CHECK(events[1].exit_code == exec_status);
  CHECK(events[2].exit_code == killed_status);
  CHECK(WTERMSIG(events[2].exit_code) == SIGKILL);
  CHECK(events[2].cgroup_id == pod.handle().id);
  for (const auto& event : events) CHECK(event.uid == PodUid("exec"));
  const auto counters = attacher.counters(PodUid("exec"));
  CHECK(counters->execs == 1);
  CHECK(counters->exits == 2);
  attacher.on_event(nullptr);
}

TEST_CASE("a pod whose exec and exit can't be seen has its hooks in force, and says so until they can") {
  Node node("t_noted");
  auto& attacher = node.start();
  require_tracepoints(attacher);
  const auto rows = bpf::open_pin(attacher.layout().map("lifecycle_pods"));
  REQUIRE(rows);
  const uint32_t slot = 0;
  uint64_t key = UINT64_MAX;  // no cgroup's
  while (bpf_map_update_elem(rows->get(), &key, &slot, BPF_ANY) == 0) --key;
  const int full = errno;
  const PodDir pod("kubepods/besteffort/podnoted");
  const auto report = attacher.attach(identity("noted"), pod.handle(), kEveryHook);
  REQUIRE(report);
  CHECK(full == E2BIG);
  CHECK(report->effective());
  REQUIRE(report->notes.size() == 1);
  CHECK(report->notes[0].starts_with("its exec, exit and OOM events are not seen: add the pod to the lifecycle programs: "));
  CHECK(attacher.inspect(PodUid("noted"))->notes == report->notes);
  for (++key; key != 0; ++key) (void)bpf_map_delete_elem(rows->get(), &key);
  const auto again = attacher.attach(identity("noted"), pod.handle(), kEveryHook);
  REQUIRE(again);
  CHECK(again->notes.empty());
  CHECK(attacher.inspect(PodUid("noted"))->notes.empty());
  CHECK(link_ids(*again) == link_ids(*report));
}

// As on a node that is a container itself (kind): what is mounted there begins somewhere in the hierarchy, and the kernel counts from its
// root.
TEST_CASE("exec and exit are seen where the mount does not show the hierarchy's root") {
  Node node("t_below");
  const PodDir pod("kubelet/kubepods/podbelow");
  auto& attacher = node.start();
  require_tracepoints(attacher);
  const std::string place = "/mnt/below";  // in the test's own mount namespace
  REQUIRE(::mkdir(place.c_str(), 0700) == 0);
  REQUIRE(::mount((cgroup_home() + "/kubelet").c_str(), place.c_str(), nullptr, MS_BIND, nullptr) == 0);
  auto cgroup = pod.handle();
  auto seen = DirFd::open(place + "/kubepods/podbelow");
  REQUIRE(seen);
  cgroup.dir = std::make_shared<DirFd>(*std::move(seen));
  REQUIRE(attacher.attach(identity("below"), cgroup, kEveryHook));
  (void)run_inside(pod.child("c1"), [] {
    ::execl("/bin/sh", "sh", "-c", "exit 3", nullptr);
    return 127;
  });
  const auto counters = attacher.counters(PodUid("below"));
  CHECK(counters->execs == 1);
  CHECK(counters->exits == 1);
  cgroup.dir.reset();
  REQUIRE(::umount2(place.c_str(), MNT_DETACH) == 0);
}

TEST_CASE("a restart adopts: same link ids, counters go on, nothing missed meanwhile") {
  Node node("t_adopt");
  const PodDir pod("kubepods/podadopt");
  const auto attached = node.start().attach(identity("adopt"), pod.handle(), kEveryHook);
  REQUIRE(attached->effective());
  const std::string container = pod.child("c1");
  CHECK(run_inside(container, [] { return udp_echo(3, 10); }) == 0);
  node.stop();
  CHECK(run_inside(container, [] { return udp_echo(4, 10) + udp_connect("127.0.0.1", 1); }) == 0);  // nobody runs

  auto& again = node.start();
  CHECK(*again.list_pinned() == std::vector{PodUid("adopt")});
  CHECK(again.counters(PodUid("adopt"))->tx_packets == 7);  // before anyone attached it again
  EventLog log;
  again.on_event([&](const auto& event) { log.add(event); });
  const auto events =
      log.wait([](const auto& all) { return std::ranges::count(all, ProgramEventKind::kConnect, &model::ProgramEvent::kind) == 1; });
  REQUIRE(std::ranges::count(events, ProgramEventKind::kConnect, &model::ProgramEvent::kind) == 1);
  for (const auto& event : events) CHECK(event.uid == PodUid("adopt"));

  const auto adopted = again.attach(identity("adopt"), pod.handle(), kEveryHook);
  REQUIRE(adopted->effective());
  CHECK(link_ids(*adopted) == link_ids(*attached));
  for (const auto& hook : adopted->hooks) {
    CHECK(hook.state == HookState::kAdopted);
    CHECK(hook.program_tag == attached->hooks[static_cast<size_t>(hook.hook)].program_tag);
    CHECK(hook.program_id == attached->hooks[static_cast<size_t>(hook.hook)].program_id);  // not loaded a second time
  }
  CHECK(run_inside(container, [] { return udp_echo(5, 10); }) == 0);
  const auto counters = again.counters(PodUid("adopt"));
  CHECK(counters->tx_packets == 12);
  CHECK(counters->connects == 1);
  CHECK(counters->exits == 3);
  CHECK(programs_on(pod.path()) == 4);
  again.on_event(nullptr);
}

TEST_CASE("other sizes of maps are new maps, and links move over without a gap") {
  Node node("t_sizes");
  const PodDir pod("kubepods/podsizes");
  const auto first = node.start().attach(identity("sizes"), pod.handle(), kEveryHook);
  REQUIRE(first->effective());
  node.stop();
  node.options.sizes.slots = 64;
  auto& again = node.start();
  REQUIRE(!again.unsupported());
  const auto second = again.attach(identity("sizes"), pod.handle(), kEveryHook);
  REQUIRE(second->effective());
  CHECK(link_ids(*second) != link_ids(*first));
  CHECK(programs_on(pod.path()) == 4);
  CHECK(run_inside(pod.path(), [] { return udp_echo(2, 10); }) == 0);
  CHECK(again.counters(PodUid("sizes"))->tx_packets == 2);
}

TEST_CASE("detach leaves no program, no pin and no open file") {
  Node node("t_detach");
  const PodDir pod("kubepods/poddetach");
  auto& attacher = node.start();
  const size_t files = open_files();
  REQUIRE(attacher.attach(identity("detach"), pod.handle(), kEveryHook)->effective());
  CHECK(open_files() == files);  // links live by their pins
  CHECK(programs_on(pod.path()) == 4);
  // Fewer hooks wanted: the others go.
  REQUIRE(attacher.attach(identity("detach"), pod.handle(), {.hooks = {model::Hook::kIngress, model::Hook::kEgress}})->hooks.size() == 2);
  CHECK(programs_on(pod.path()) == 2);
  REQUIRE(attacher.detach(PodUid("detach")));
  REQUIRE(attacher.detach(PodUid("detach")));
  CHECK(programs_on(pod.path()) == 0);
  CHECK(attacher.list_pinned()->empty());
  CHECK(std::filesystem::is_empty(attacher.layout().pods()));
  CHECK(attacher.counters(PodUid("detach")).error().code == Code::kNotFound);
  CHECK(attacher.inspect(PodUid("detach")).error().code == Code::kNotFound);
}

TEST_CASE("a thousand events: what was told and what was lost add up") {
  Node node("t_loss");
  node.options.sizes.bulk_ring_bytes = 16384;
  const PodDir pod("kubepods/podloss");
  auto& attacher = node.start();
  REQUIRE(attacher.attach(identity("loss"), pod.handle(), {.hooks = {model::Hook::kConnect4}, .traces = {model::Trace::kConnect}})
              ->effective());
  CHECK(run_inside(pod.path(), [] {
          for (int i = 0; i < 1000; ++i)
            if (udp_connect("127.0.0.1", 9) != 0) return 1;
          return 0;
        }) == 0);
  const auto counters = attacher.counters(PodUid("loss"));
  REQUIRE(counters);
  CHECK(counters->connects == 1000);
  REQUIRE(counters->events_lost > 0);
  REQUIRE(counters->events_lost < 1000);
  CHECK(attacher.events_lost() == counters->events_lost);
  EventLog log;
  attacher.on_event([&](const auto& event) { log.add(event); });
  const auto told = [](const auto& all) {
    return static_cast<uint64_t>(std::ranges::count(all, ProgramEventKind::kConnect, &model::ProgramEvent::kind));
  };
  const auto events = log.wait([&](const auto& all) { return told(all) + counters->events_lost >= 1000; });
  CHECK(told(events) + counters->events_lost == 1000);
  // With a reader nothing is lost any more, whatever the batches.
  CHECK(run_inside(pod.path(), [] { return udp_connect("127.0.0.1", 9); }) == 0);
  CHECK(told(log.wait([&](const auto& all) { return told(all) + counters->events_lost >= 1001; })) + counters->events_lost == 1001);
  attacher.on_event(nullptr);
  REQUIRE(attacher.detach(PodUid("loss")));
  CHECK(attacher.events_lost() == counters->events_lost);  // a pod's losses outlive it
}

TEST_CASE("attached before the first process: not one connect is missed") {
  Node node("t_first");
  auto& attacher = node.start();
  for (int i = 0; i < 50; ++i) {
    const std::string uid = fmt::format("first{}", i);
    const PodDir pod("kubepods/pod" + uid);
    REQUIRE(attacher.attach(identity(uid), pod.handle(), kEveryHook)->effective());
    CHECK(run_inside(pod.child("c"), [] { return udp_connect("127.0.0.1", 9); }) == 0);
    CHECK(attacher.counters(PodUid(uid))->connects == 1);
    REQUIRE(attacher.detach(PodUid(uid)));
  }
}

TEST_CASE("a cgroup made anew is bare: its links are told dead and replaced") {
  Node node("t_dead");
  const PodDir pod("kubepods/poddead");
  auto& attacher = node.start();
  const auto first = attacher.attach(identity("dead"), pod.handle(), kEveryHook);
  REQUIRE(first->effective());
  CHECK(attacher.inspect(PodUid("dead"))->effective());
  pod.remove();
  pod.make();
  const auto dead = attacher.inspect(PodUid("dead"));
  REQUIRE(dead);
  for (const auto& hook : dead->hooks) {
    CHECK(hook.state == HookState::kDead);
    CHECK(!hook.error.empty());
  }
  CHECK(programs_on(pod.path()) == 0);
  const auto second = attacher.attach(identity("dead"), pod.handle(), kEveryHook);
  REQUIRE(second->effective());
  CHECK(link_ids(*second) != link_ids(*first));
  CHECK(run_inside(pod.path(), [] { return udp_echo(1, 1); }) == 0);
  CHECK(attacher.counters(PodUid("dead"))->tx_packets == 1);
  CHECK(programs_on(pod.path()) == 4);
}

TEST_CASE("what a crash left half made is swept away") {
  Node node("t_crash");
  const auto mask = ::umask(077);  // as the attacher makes its folders
  std::filesystem::create_directories(node.options.bpffs + "/t_crash/v3/pods/tmp_half");
  (void)::umask(mask);
  auto& attacher = node.start();
  CHECK(attacher.list_pinned()->empty());
  CHECK(std::filesystem::is_empty(attacher.layout().pods()));
}
