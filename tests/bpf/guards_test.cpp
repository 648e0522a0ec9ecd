// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Devices, sysctls, socket options, TCP events and OOM kills of a pod.
#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <ranges>
#include <set>

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fmt/format.h>
#include <catch2/catch_test_macros.hpp>

#include "bpf/evidence.h"
#include "bpf/kernel_object.h"
#include "bpf/link.h"
#include "kernel_fixture.h"
#include "network.h"

using namespace pintle;
using namespace pintle::kernel_test;
using model::Enforcement;
using model::Hook;
using model::ProgramEventKind;
using model::Trace;
using model::Verdict;

namespace {

constexpr int kSoon = 5000;

struct Pod {
  Pod(const std::string& name, const model::ProgramPlan& plan)
      : node("g_" + name), dir("kubepods/pod" + name), id{PodUid(name), "default", name} {
    node.start();
    node->on_event([this](const auto& event) { log.add(event); });
    attach(plan);
  }
  ~Pod() { node.stop(); }
  void attach(const model::ProgramPlan& plan) {
    const auto report = node->attach(id, dir.handle(), plan);
    REQUIRE(report);
    REQUIRE(report->effective());
  }
  [[nodiscard]] model::PodCounters counters() const { return *node->counters(id.uid); }
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

// errno of an open, as an exit status.
int try_open(const char* path, int flags) {
  const UniqueFd fd(::open(path, flags | O_CLOEXEC));
  return fd.valid() ? 0 : errno;
}

int inside(const Pod& pod, const std::function<int()>& body) {
  const int status = run_inside(pod.dir.path(), body);
  REQUIRE(WIFEXITED(status));
  return WEXITSTATUS(status);
}

}  // namespace

TEST_CASE("a denied device is refused to the pod, by its accesses, and to nobody else") {
  Pod pod("device",
          {.hooks = {Hook::kDevice}, .denied_devices = {{'c', 1, 3, false, true, false}, {'c', 1, std::nullopt, false, false, true}}});
  CHECK(inside(pod, [] { return try_open("/dev/null", O_RDONLY); }) == 0);
  CHECK(inside(pod, [] { return try_open("/dev/null", O_WRONLY); }) == EPERM);
  CHECK(inside(pod, [] { return try_open("/dev/zero", O_WRONLY); }) == 0);
  CHECK(try_open("/dev/null", O_WRONLY) == 0);
  const auto event = pod.event(ProgramEventKind::kDevice);
  CHECK(event.verdict == Verdict::kDenied);
  CHECK(event.destination == "c 1:3 w");
  CHECK(event.pid > 0);
  CHECK(pod.counters().device_denied == 1);
  // Another rule in its place: the row before is gone.
  pod.attach({.hooks = {Hook::kDevice}, .denied_devices = {{'a', std::nullopt, std::nullopt, true, false, false}}});
  CHECK(inside(pod, [] { return try_open("/dev/null", O_WRONLY); }) == 0);
  CHECK(inside(pod, [] { return try_open("/dev/zero", O_RDONLY); }) == EPERM);
  CHECK(pod.counters().device_denied == 2);
  CHECK(pod.node->inspect(pod.id.uid)->hooks.at(0).drops == 2);
}

TEST_CASE("writes of sysctls are refused or told; reads are nobody's business") {
  constexpr const char* kKey = "/proc/sys/net/ipv4/ip_default_ttl";  // of this test's network namespace
  const auto write = [] {
    const UniqueFd fd(::open(kKey, O_WRONLY | O_CLOEXEC));
    if (!fd.valid()) return 100;
    return ::write(fd.get(), "64", 2) == 2 ? 0 : errno;
  };
  const auto read = [] {
    const UniqueFd fd(::open(kKey, O_RDONLY | O_CLOEXEC));
    char text[8];
    return ::read(fd.get(), text, sizeof text) > 0 ? 0 : errno;
  };
  require_kernel();
  struct statvfs mounted{};
  REQUIRE(::statvfs("/proc/sys", &mounted) == 0);
  if ((mounted.f_flag & ST_RDONLY) != 0) SKIP("/proc/sys is mounted read-only");
  REQUIRE(write() == 0);
  Pod pod("sysctl", {.hooks = {Hook::kSysctl}, .sysctl_writes = Enforcement::kAudit});
  CHECK(inside(pod, write) == 0);
  CHECK(inside(pod, read) == 0);
  const auto told = pod.event(ProgramEventKind::kSysctl);
  CHECK(told.verdict == Verdict::kWouldDeny);
  CHECK(told.detail == "net/ipv4/ip_default_ttl");
  CHECK(pod.counters().would_deny == 1);
  CHECK(pod.counters().sysctl_denied == 0);
  pod.attach({.hooks = {Hook::kSysctl}, .sysctl_writes = Enforcement::kEnforce});
  CHECK(inside(pod, write) == EPERM);
  CHECK(inside(pod, read) == 0);
  CHECK(pod.counters().sysctl_denied == 1);
  CHECK(write() == 0);
}

TEST_CASE("a denied socket option is refused, others and long ones are not") {
  Pod pod("sockopt", {.hooks = {Hook::kSetsockopt}, .denied_sockopts = {{SOL_SOCKET, SO_MARK}}});
  const auto fd = socket_of(pod.dir.path(), AF_INET, SOCK_STREAM);
  const int value = 1;
  CHECK(::setsockopt(fd.get(), SOL_SOCKET, SO_KEEPALIVE, &value, sizeof value) == 0);
  const int result = ::setsockopt(fd.get(), SOL_SOCKET, SO_MARK, &value, sizeof value);
  const int err = errno;
  CHECK(result == -1);
  CHECK(err == EPERM);
  std::array<char, 8192> page{};
  page[0] = 1;
  CHECK(::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, page.data(), page.size()) == 0);
  const auto event = pod.event(ProgramEventKind::kSockopt);
  CHECK(event.verdict == Verdict::kDenied);
  CHECK(event.detail == fmt::format("{}:{}", SOL_SOCKET, SO_MARK));
  CHECK(pod.counters().sockopt_denied == 1);
}

TEST_CASE("bind and accept are counted, and told when traced") {
  require_network();
  Pod pod("accept", {.hooks = {Hook::kBind4, Hook::kBind6, Hook::kSockOps}, .traces = {Trace::kBind, Trace::kAccept}});
  for (const auto& [family, address, text] :
       {std::tuple{AF_INET, "10.77.0.1", "10.77.0.1:7070/tcp"}, std::tuple{AF_INET6, "fd77::1", "[fd77::1]:7070/tcp"}}) {
    const auto listener = socket_of(pod.dir.path(), family, SOCK_STREAM), client = peer_socket(family, SOCK_STREAM);
    REQUIRE(bind_to(listener, address, 7070) == 0);
    REQUIRE(connect_to(client, address, 7070) == 0);
    REQUIRE(accept_from(listener, kSoon).valid());
    const auto of = [](const auto& events, ProgramEventKind kind) { return std::ranges::count(events, kind, &model::ProgramEvent::kind); };
    const long wanted = family == AF_INET ? 1 : 2;
    const auto events = pod.log.wait(
        [&](const auto& all) { return of(all, ProgramEventKind::kBind) >= wanted && of(all, ProgramEventKind::kAccept) >= wanted; });
    std::vector<model::ProgramEvent> binds, accepts;
    std::ranges::copy_if(events, std::back_inserter(binds), [](const auto& e) { return e.kind == ProgramEventKind::kBind; });
    std::ranges::copy_if(events, std::back_inserter(accepts), [](const auto& e) { return e.kind == ProgramEventKind::kAccept; });
    REQUIRE(binds.size() == static_cast<size_t>(wanted));
    REQUIRE(accepts.size() == static_cast<size_t>(wanted));
    CHECK(binds.back().destination == text);
    const std::string peer = family == AF_INET ? "10.77.0.2" : "[fd77::2]";
    CHECK(accepts.back().destination == fmt::format("{}:{}/tcp", peer, port_of(client)));
    CHECK(accepts.back().detail == "own port 7070");
    CHECK(accepts.back().cgroup_id == pod.dir.handle().id);
  }
  CHECK(pod.counters().binds == 2);
  CHECK(pod.counters().accepts == 2);
}

TEST_CASE("a traced pod's retransmits and round trips are counted") {
  require_network();
  Pod pod("tcp", {.hooks = {Hook::kSockOps}, .traces = {Trace::kTcp}});
  const auto listener = peer_socket(AF_INET, SOCK_STREAM);
  REQUIRE(bind_to(listener, "10.77.0.2", 7171) == 0);
  const auto fd = socket_of(pod.dir.path(), AF_INET, SOCK_STREAM);
  REQUIRE(connect_to(fd, "10.77.0.2", 7171) == 0);
  const auto accepted = accept_from(listener, kSoon);
  for (int i = 0; i < 3; ++i) {
    REQUIRE(send_on(fd) == 0);
    REQUIRE(receives(accepted, kSoon));
  }
  REQUIRE(send_on(accepted) == 0);  // brings the acknowledgement along
  REQUIRE(receives(fd, kSoon));
  CHECK(pod.counters().tcp_rtt_samples > 0);
  CHECK(pod.counters().tcp_retransmits == 0);
  REQUIRE(peer_link(false));
  REQUIRE(send_on(fd) == 0);
  const auto event = pod.event(ProgramEventKind::kTcp);
  REQUIRE(peer_link(true));
  CHECK(event.destination == "10.77.0.2:7171/tcp");
  CHECK(event.detail == "retransmit");
  CHECK(pod.counters().tcp_retransmits > 0);
}

TEST_CASE("an OOM kill names the victim, the pod, and who asked for memory") {
  require_kernel();
  // On a hybrid host the v1 controller; the victim's pod is found by its v2 cgroup all the same.
  const std::string home = fmt::format("/sys/fs/cgroup/memory/pintle-test-{}", ::getpid());
  const bool v1 = std::filesystem::exists("/sys/fs/cgroup/memory/memory.limit_in_bytes");
  const std::string controllers = read_file(bpf::find_cgroup2_mount() + "/cgroup.subtree_control").value_or("");
  if (!v1 && controllers.find("memory") == std::string::npos) SKIP("no memory controller to make an OOM kill with");
  Pod pod("oom", model::default_program_plan());
  require_tracepoints(*pod.node);
  const std::string container = pod.dir.child("c1");
  std::vector<std::filesystem::path> above;  // deepest first
  if (v1) {
    std::error_code error;
    std::filesystem::create_directory(home, error);
    REQUIRE(!error);
    std::ofstream(home + "/memory.limit_in_bytes") << (8 << 20);
    std::ofstream(home + "/memory.swappiness") << 0;
  } else {
    for (auto at = std::filesystem::path(container).parent_path(); at != bpf::find_cgroup2_mount(); at = at.parent_path())
      above.push_back(at);
    for (const auto& at : above | std::views::reverse) std::ofstream(at / "cgroup.subtree_control") << "+memory";
    std::ofstream(container + "/memory.max") << (8 << 20);
  }
  const int status = run_inside(container, [&] {
    if (v1) std::ofstream(home + "/cgroup.procs") << ::getpid();
    volatile char* memory = static_cast<char*>(std::malloc(64 << 20));
    for (size_t i = 0; i < (64 << 20); i += 4096) memory[i] = 1;
    return 1;
  });
  if (v1) (void)::rmdir(home.c_str());
  for (const auto& at : above) std::ofstream(at / "cgroup.subtree_control") << "-memory";  // else it could hold no process of its own
  REQUIRE(WIFSIGNALED(status));                                                            // 64 MiB touched below a limit of 8
  CHECK(WTERMSIG(status) == SIGKILL);
  const auto event = pod.event(ProgramEventKind::kOom);
  CHECK(event.uid == pod.id.uid);
  CHECK(event.cgroup_id != pod.dir.handle().id);                       // the container's own
  CHECK(event.detail == fmt::format("{} {}", event.pid, event.comm));  // it asked for too much itself
  CHECK(pod.counters().ooms == 1);
}

TEST_CASE("records of a ring are numbered without gaps, and the lost make up the rest") {
  EventLog log;
  Node node("g_sequence");
  node.options.sizes.bulk_ring_bytes = node.options.sizes.urgent_ring_bytes = 4096;
  const PodDir dir("kubepods/podsequence");
  auto& attacher = node.start();
  const PodUid uid("sequence");
  REQUIRE(attacher.attach({uid, "", ""}, dir.handle(), {.hooks = {Hook::kConnect4}, .traces = {Trace::kConnect}})->effective());
  const auto connects = [](int count) {
    return [count] {
      for (int i = 0; i < count; ++i)
        if (udp_connect("127.0.0.1", 9) != 0) return 1;
      return 0;
    };
  };
  CHECK(run_inside(dir.path(), connects(500)) == 0);
  const auto before = *attacher.counters(uid);
  REQUIRE(before.events_lost > 0);
  CHECK(before.events_sent + before.events_lost == before.connects + before.exits);  // of 500 and the child's own exit
  attacher.on_event([&](const auto& event) { log.add(event); });
  (void)log.wait([&](const auto& all) { return all.size() >= before.events_sent; });
  CHECK(run_inside(dir.path(), connects(20)) == 0);
  const auto after = *attacher.counters(uid);
  const auto events = log.wait([&](const auto& all) { return all.size() >= after.events_sent; });
  CHECK(events.size() == after.events_sent);
  std::set<uint64_t> bulk, urgent;
  for (const auto& event : events) (event.kind == ProgramEventKind::kConnect ? bulk : urgent).insert(event.sequence);
  CHECK(bulk.size() + urgent.size() == events.size());
  CHECK(*bulk.rbegin() == 519);  // 520 were numbered from 0
  CHECK(520 - bulk.size() == after.events_lost);
  node.stop();
}

TEST_CASE("links of an older schema stay until new ones are there, then go") {
  Node node("g_schema");
  const PodDir dir("kubepods/podschema");
  const PodUid uid("schema");
  auto& attacher = node.start();
  const std::string old = node.options.bpffs + "/g_schema/v1/pods/schema";
  std::filesystem::create_directories(old);
  {
    const auto program = bpf::open_pin(attacher.layout().program("accounting_ingress"));
    REQUIRE(program);
    const auto link = bpf::BpfLink::attach_cgroup(program->get(), dir.handle().dir->get(), bpf::attach_type_of(Hook::kIngress));
    REQUIRE(link);
    REQUIRE(link->pin(old + "/ingress"));
  }
  auto& again = node.start();
  CHECK(*again.list_pinned() == std::vector{uid});
  SECTION("attach replaces them") {
    const auto report = again.attach({uid, "", ""}, dir.handle(), model::default_program_plan());
    REQUIRE(report->effective());
    CHECK(!std::filesystem::exists(node.options.bpffs + "/g_schema/v1"));
    CHECK(*again.list_pinned() == std::vector{uid});
    CHECK(run_inside(dir.path(), [] { return udp_echo(3, 10); }) == 0);
    CHECK(again.counters(uid)->rx_packets == 3);  // by one program, not two
  }
  SECTION("detach removes them") {
    REQUIRE(again.detach(uid));
    CHECK(!std::filesystem::exists(node.options.bpffs + "/g_schema/v1"));
    CHECK(again.list_pinned()->empty());
  }
}

TEST_CASE("a link takes no program of another hook") {
  Node node("g_types");
  const PodDir dir("kubepods/podtypes");
  auto& attacher = node.start();
  const auto connect4 = bpf::open_pin(attacher.layout().program("connect_connect4"));
  const auto connect6 = bpf::open_pin(attacher.layout().program("connect_connect6"));
  REQUIRE(connect4);
  REQUIRE(connect6);
  const auto link = bpf::BpfLink::attach_cgroup(connect4->get(), dir.handle().dir->get(), bpf::attach_type_of(Hook::kConnect4));
  REQUIRE(link);
  CHECK(link->update(connect4->get(), bpf::attach_type_of(Hook::kConnect4)));
  CHECK(link->update(connect6->get(), bpf::attach_type_of(Hook::kConnect6)).error().code == Code::kInvalid);
}
