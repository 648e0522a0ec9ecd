// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Operators' programs on this kernel: loaded, ordered, replaced in place, refused, adopted, removed.
#include <algorithm>
#include <cerrno>
#include <filesystem>

#include <linux/capability.h>
#include <poll.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <fmt/format.h>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include "bpf/inventory.h"
#include "bpf/kernel_object.h"
#include "bpf/link.h"
#include "bpf/pin.h"
#include "bpf/uninstall.h"
#include "codec/pod_program.h"
#include "kernel_fixture.h"

using namespace pintle;
using namespace pintle::kernel_test;
using model::HookState;
using model::ProgramHook;
using model::ProgramOrder;

namespace {

const ports::PodIdentity kPod{PodUid("operated"), "default", "operated"};

std::string object_bytes(const std::string& name) {
  auto bytes = read_file(std::string(PINTLE_TEST_OBJECTS) + "/" + name);
  REQUIRE(bytes);
  return *bytes;
}

model::PodProgram deny_port(ProgramOrder order = ProgramOrder::kAny) {
  model::PodProgram program;
  program.name = "deny-port";
  program.object = "connect.bpf.o";
  program.program = "deny_port";
  program.hook = ProgramHook::kConnect4;
  program.order = order;
  return program;
}

model::ProgramPlan plan_with(const model::PodProgram& program, const Result<ports::LoadedPodProgram>& loaded) {
  model::ProgramPlan plan = kEveryHook;
  REQUIRE(loaded);
  plan.programs.push_back({program.name, program.hook, program.order, program.required, loaded->program_id, {}});
  return plan;
}

bool may_connect(const PodDir& pod, uint16_t port) {
  return run_inside(pod.path(), [&] { return udp_connect("127.0.0.1", port); }) == 0;
}

// The kernel frees after a grace period.
bool goes_away(uint32_t program_id) {
  for (int i = 0; i < 2000; ++i) {
    const UniqueFd fd(bpf_prog_get_fd_by_id(program_id));
    if (!fd.valid()) return true;
    (void)::poll(nullptr, 0, 5);
  }
  return false;
}

bool map_goes_away(uint32_t map_id) {
  for (int i = 0; i < 2000; ++i) {
    const UniqueFd fd(bpf_map_get_fd_by_id(map_id));
    if (!fd.valid()) return true;
    (void)::poll(nullptr, 0, 5);
  }
  return false;
}

const model::PodProgramStatus& only(const Result<model::AttachReport>& report) {
  REQUIRE(report);
  REQUIRE(report->programs.size() == 1);
  INFO(report->programs[0].error);
  return report->programs[0];
}

std::vector<std::string> pins_below(const std::string& folder) {
  std::vector<std::string> out;
  std::error_code error;
  for (std::filesystem::recursive_directory_iterator it(folder, error), end; !error && it != end; it.increment(error))
    if (!it->is_directory()) out.push_back(it->path().filename());
  std::ranges::sort(out);
  return out;
}

}  // namespace

TEST_CASE("an operator's program decides for the pods that have it, beside Pintle's own, and is no stranger") {
  Node node("t_op");
  auto& attacher = node.start();
  const PodDir pod("kubepods/podop"), other("kubepods/podother");
  auto* const programs = attacher.pod_programs();
  REQUIRE(programs != nullptr);
  const auto loaded = programs->load(deny_port(), object_bytes("connect_v1.bpf.o"));
  REQUIRE(loaded);
  CHECK(!loaded->adopted);
  const auto report = attacher.attach(kPod, pod.handle(), plan_with(deny_port(), loaded));
  CHECK(only(report).state == HookState::kAttached);
  CHECK(only(report).program_tag == loaded->tag);
  CHECK(report->effective());
  REQUIRE(attacher.attach({PodUid("plain"), "default", "plain"}, other.handle(), kEveryHook)->effective());
  CHECK(!may_connect(pod, 7001));
  CHECK(may_connect(pod, 7002));
  CHECK(may_connect(other, 7001));
  const auto told = attacher.inspect(kPod.uid);
  CHECK(only(told).state == HookState::kAttached);
  CHECK(only(told).position == 2);
  CHECK(only(told).effective_count == 2);
  CHECK(only(told).neighbours.empty());
  for (const auto& hook : told->hooks) CHECK(hook.neighbours.empty());
  CHECK(attacher.inspect(PodUid("plain"))->programs.empty());
  const SystemClock clock;
  bpf::PinInventory inventory({.layout = attacher.layout(), .held = {}, .ring_counts = {}}, clock);
  const auto known = inventory.programs();
  REQUIRE(known);
  const auto listed = std::ranges::find(*known, "deny_port", &ports::LoadedProgram::name);
  REQUIRE(listed != known->end());
  CHECK(listed->id == loaded->program_id);
  CHECK(listed->links == 1);
  const auto maps = inventory.maps();
  CHECK(std::ranges::count(*maps, "calls", &ports::LoadedMap::name) == 1);
}

TEST_CASE("uninstalling takes programs of operators along") {
  Node node("t_op_uninstall");
  const PodDir pod("kubepods/poduninstall");
  const auto loaded = node.start().pod_programs()->load(deny_port(), object_bytes("connect_v1.bpf.o"));
  REQUIRE(node->attach(kPod, pod.handle(), plan_with(deny_port(), loaded))->effective());
  node.stop();
  CHECK(!may_connect(pod, 7001));
  REQUIRE(bpf::remove_pins(node.options));
  CHECK(!bpf::has_pins(node.options));
  CHECK(goes_away(loaded->program_id));
  CHECK(may_connect(pod, 7001));
}

TEST_CASE("the example of the documentation does what it says") {
  Node node("t_op_example");
  auto& attacher = node.start();
  const PodDir pod("kubepods/podexample");
  const auto text = read_file(std::string(PINTLE_SOURCE_DIR) + "/deploy/examples/programs/deny-telnet.yaml");
  REQUIRE(text);
  const auto documents = codec::parse_pod_programs(*text, "deny-telnet.yaml");
  REQUIRE(documents.errors.empty());
  const auto& program = documents.programs.at(0);
  const auto loaded = attacher.pod_programs()->load(program, object_bytes(program.object));
  REQUIRE(attacher.attach(kPod, pod.handle(), plan_with(program, loaded))->effective());
  CHECK(!may_connect(pod, 23));
  CHECK(may_connect(pod, 24));
}

TEST_CASE("the order that is asked for is had, also when Pintle's own link comes later or anew") {
  Node node("t_op_order");
  auto& attacher = node.start();
  const PodDir pod("kubepods/podorder");
  const auto order = GENERATE(ProgramOrder::kBefore, ProgramOrder::kAfter);
  const auto wanted = deny_port(order);
  const auto loaded = attacher.pod_programs()->load(wanted, object_bytes("connect_v1.bpf.o"));
  auto plan = plan_with(wanted, loaded);
  const int place = order == ProgramOrder::kBefore ? 1 : 2;
  const auto features = attacher.features();
  const auto rung = std::ranges::find(features, "BEFORE and AFTER", &model::FeatureProbe::name);
  REQUIRE(rung != features.end());
  const bool orders = rung->available || order == ProgramOrder::kAfter;
  REQUIRE(attacher.attach(kPod, pod.handle(), plan)->effective());
  if (!orders) {
    CHECK(only(attacher.inspect(kPod.uid)).note.find("takes no order") != std::string::npos);
    return;
  }
  CHECK(only(attacher.inspect(kPod.uid)).position == place);
  // Pintle's own goes, and comes back at the end of the list.
  auto without = plan;
  without.hooks = {model::Hook::kIngress, model::Hook::kEgress};
  REQUIRE(attacher.attach(kPod, pod.handle(), without)->effective());
  CHECK(only(attacher.inspect(kPod.uid)).effective_count == 1);
  REQUIRE(attacher.attach(kPod, pod.handle(), plan)->effective());
  CHECK(only(attacher.inspect(kPod.uid)).position == place);
  CHECK(only(attacher.inspect(kPod.uid)).effective_count == 2);
  CHECK(!may_connect(pod, 7001));
}

TEST_CASE("a new version takes the place of the old one in the same link, and the old one is freed") {
  Node node("t_op_update");
  auto& attacher = node.start();
  const PodDir pod("kubepods/podupdate");
  const auto handle = pod.handle();
  const auto first = attacher.pod_programs()->load(deny_port(), object_bytes("connect_v1.bpf.o"));
  const auto before = attacher.attach(kPod, handle, plan_with(deny_port(), first));
  const LinkId link = only(before).link_id;
  const auto second = attacher.pod_programs()->load(deny_port(), object_bytes("connect_v2.bpf.o"));
  REQUIRE(second);
  CHECK(second->program_id != first->program_id);
  CHECK(!may_connect(pod, 7001));  // until the pod's next attach
  const auto after = attacher.attach(kPod, handle, plan_with(deny_port(), second));
  CHECK(only(after).link_id == link);
  CHECK(only(after).program_id == second->program_id);
  CHECK(may_connect(pod, 7001));
  CHECK(!may_connect(pod, 7002));
  CHECK(goes_away(first->program_id));
  // The same bytes again are no news.
  CHECK(attacher.pod_programs()->load(deny_port(), object_bytes("connect_v2.bpf.o"))->program_id == second->program_id);
}

TEST_CASE("a program that moves to another hook gets a new link before the old one goes") {
  Node node("t_op_move");
  auto& attacher = node.start();
  const PodDir pod("kubepods/podmove");
  const auto bytes = object_bytes("connect_v1.bpf.o");
  const auto first = attacher.pod_programs()->load(deny_port(), bytes);
  const LinkId link = only(attacher.attach(kPod, pod.handle(), plan_with(deny_port(), first))).link_id;
  auto moved = deny_port();
  moved.program = "count_packets";
  moved.hook = ProgramHook::kEgress;
  const auto second = attacher.pod_programs()->load(moved, bytes);
  const auto report = attacher.attach(kPod, pod.handle(), plan_with(moved, second));
  CHECK(only(report).state == HookState::kAttached);
  CHECK(only(report).link_id != link);
  CHECK(only(attacher.inspect(kPod.uid)).hook == ProgramHook::kEgress);
  CHECK(may_connect(pod, 7001));
  CHECK(goes_away(first->program_id));
}

TEST_CASE("maps pinned by name lie in the program's folder, keep their content over versions, and go with it") {
  Node node("t_op_maps");
  auto& attacher = node.start();
  const PodDir pod("kubepods/podmaps");
  const auto layout = attacher.layout();
  const auto first = attacher.pod_programs()->load(deny_port(), object_bytes("connect_v1.bpf.o"));
  REQUIRE(attacher.attach(kPod, pod.handle(), plan_with(deny_port(), first))->effective());
  CHECK(may_connect(pod, 80));
  const std::string pin = layout.operator_folder("deny-port") + "/map_calls";
  const auto map = bpf::open_pin(pin);
  REQUIRE(map);
  const auto id = bpf::map_info(map->get())->id;
  uint32_t zero = 0;
  uint64_t calls = 0;
  REQUIRE(bpf_map_lookup_elem(map->get(), &zero, &calls) == 0);
  CHECK(calls == 1);
  const auto second = attacher.pod_programs()->load(deny_port(), object_bytes("connect_v2.bpf.o"));
  REQUIRE(attacher.attach(kPod, pod.handle(), plan_with(deny_port(), second))->effective());
  CHECK(bpf::map_info(bpf::open_pin(pin)->get())->id == id);
  CHECK(may_connect(pod, 80));
  REQUIRE(bpf_map_lookup_elem(map->get(), &zero, &calls) == 0);
  CHECK(calls == 2);
  for (const auto& path : {"/sys/fs/bpf/calls", "/mnt/bpf/calls"}) CHECK(!bpf::open_pin(path));
}

TEST_CASE("a restart adopts programs and links as they are") {
  Node node("t_op_adopt");
  const PodDir pod("kubepods/podadopt");
  const auto handle = pod.handle();
  node.start();
  const auto bytes = object_bytes("connect_v1.bpf.o");
  const auto first = node->pod_programs()->load(deny_port(), bytes);
  const LinkId link = only(node->attach(kPod, handle, plan_with(deny_port(), first))).link_id;
  node.stop();
  CHECK(!may_connect(pod, 7001));  // in force without the agent
  node.start();
  CHECK(*node->pod_programs()->list_loaded() == std::vector<std::string>{"deny-port"});
  CHECK(only(node->inspect(kPod.uid)).state == HookState::kAdopted);
  // A source has not told yet: what is attached stays.
  auto unknown = kEveryHook;
  unknown.all_programs_known = false;
  REQUIRE(node->attach(kPod, handle, unknown));
  CHECK(only(node->inspect(kPod.uid)).link_id == link);
  // Not declared in a version that loads: it is still no stranger.
  auto refused = kEveryHook;
  refused.programs.push_back({"deny-port", ProgramHook::kConnect4, ProgramOrder::kAny, true, 0, "the newest is refused"});
  REQUIRE(node->attach(kPod, handle, refused)->effective());
  const auto kept = node->inspect(kPod.uid);
  CHECK(only(kept).link_id == link);
  CHECK(only(kept).error == "the newest is refused");
  for (const auto& hook : kept->hooks) CHECK(hook.neighbours.empty());
  const auto again = node->pod_programs()->load(deny_port(), bytes);
  CHECK(again->adopted);
  CHECK(again->program_id == first->program_id);
  const auto report = node->attach(kPod, handle, plan_with(deny_port(), again));
  CHECK(only(report).state == HookState::kAdopted);
  CHECK(only(report).link_id == link);
  // Another version while the agent was away: the same link all the same.
  node.stop();
  node.start();
  const auto newer = node->pod_programs()->load(deny_port(), object_bytes("connect_v2.bpf.o"));
  CHECK(!newer->adopted);
  CHECK(only(node->attach(kPod, handle, plan_with(deny_port(), newer))).link_id == link);
  CHECK(!may_connect(pod, 7002));
}

TEST_CASE("what no plan names any more, and what is unloaded, leaves nothing") {
  Node node("t_op_gone");
  auto& attacher = node.start();
  const PodDir pod("kubepods/podgone2");
  const auto bytes = object_bytes("connect_v1.bpf.o");
  auto loaded = attacher.pod_programs()->load(deny_port(), bytes);
  REQUIRE(attacher.attach(kPod, pod.handle(), plan_with(deny_port(), loaded))->effective());
  REQUIRE(attacher.attach(kPod, pod.handle(), kEveryHook)->effective());
  CHECK(attacher.inspect(kPod.uid)->programs.empty());
  CHECK(may_connect(pod, 7001));
  REQUIRE(attacher.attach(kPod, pod.handle(), plan_with(deny_port(), loaded))->effective());
  CHECK(!may_connect(pod, 7001));
  const UniqueFd program(bpf_prog_get_fd_by_id(loaded->program_id));
  const auto maps = bpf::program_info(program.get())->map_ids;
  REQUIRE(!maps.empty());
  REQUIRE(attacher.pod_programs()->unload("deny-port"));
  CHECK(may_connect(pod, 7001));
  CHECK(attacher.inspect(kPod.uid)->programs.empty());
  CHECK(attacher.pod_programs()->list_loaded()->empty());
  CHECK(pins_below(attacher.layout().operators()).empty());
  for (const auto& pin : pins_below(attacher.layout().pod(kPod.uid))) CHECK(!pin.starts_with("op_"));
  CHECK(attacher.pod_programs()->unload("deny-port"));  // absent is success
  const_cast<UniqueFd&>(program).reset();
  CHECK(goes_away(loaded->program_id));
  for (const auto id : maps) CHECK(map_goes_away(id));
  // A pod that ends takes its links with it.
  loaded = attacher.pod_programs()->load(deny_port(), bytes);
  REQUIRE(attacher.attach(kPod, pod.handle(), plan_with(deny_port(), loaded))->effective());
  REQUIRE(attacher.detach(kPod.uid));
  CHECK(attacher.list_pinned()->empty());
  CHECK(may_connect(pod, 7001));
}

namespace {

struct BadObject {
  const char *what, *object, *program;
  ProgramHook hook;
  int sys_errno;
  const char* words;
};

}  // namespace

TEST_CASE("a bad object is refused with its reason, and what was in force stays") {
  Node node("t_op_bad");
  auto& attacher = node.start();
  const PodDir pod("kubepods/podbad");
  const auto good = attacher.pod_programs()->load(deny_port(), object_bytes("connect_v1.bpf.o"));
  const auto plan = plan_with(deny_port(), good);
  const LinkId link = only(attacher.attach(kPod, pod.handle(), plan)).link_id;
  const BadObject rows[] = {
      {"no such program", "connect_v1.bpf.o", "nobody", ProgramHook::kConnect4, ENOENT, "it has deny_port, count_packets, no_sockets"},
      {"wrong section", "connect_v1.bpf.o", "deny_port", ProgramHook::kConnect6, EINVAL,
       "is in section \"cgroup/connect4\", which is not for hook connect6: write SEC(\"cgroup/connect6\")"},
      {"wrong type", "connect_v1.bpf.o", "no_sockets", ProgramHook::kConnect4, EINVAL, "is not for hook connect4"},
      {"verifier", "bad.bpf.o", "no_null_check", ProgramHook::kConnect4, EACCES, "invalid mem access 'map_value_or_null'"},
      {"license", "bad.bpf.o", "no_license", ProgramHook::kConnect6, EINVAL, "cannot call GPL-restricted function"},
      {"map too large", "maps.bpf.o", "remember", ProgramHook::kConnect4, E2BIG, "16777216 are allowed"},
  };
  for (const auto& row : rows) {
    INFO(row.what);
    auto wanted = deny_port();
    wanted.program = row.program;
    wanted.hook = row.hook;
    const auto refused = attacher.pod_programs()->load(wanted, object_bytes(row.object));
    REQUIRE(!refused);
    INFO(refused.error().message());
    CHECK(refused.error().code == Code::kInvalid);
    CHECK(refused.error().sys_errno == row.sys_errno);
    CHECK(refused.error().message().find(row.words) != std::string::npos);
    CHECK(!may_connect(pod, 7001));
  }
  for (const auto& [bytes, words] : {std::pair<std::string, const char*>{"", "is empty"},
                                     {"#!/bin/sh\n", "is not an ELF file"},
                                     {*read_file("/proc/self/exe"), ""},
                                     {std::string("\x7f"
                                                  "ELF\2\1\1",
                                                  7) +
                                          std::string(200, '\0'),
                                      "no BPF object"},
                                     {std::string(bpf::kMostObjectBytes + 1, 'x'), "1048576 are allowed"}}) {
    const auto refused = attacher.pod_programs()->load(deny_port(), bytes);
    REQUIRE(!refused);
    INFO(refused.error().message());
    CHECK(refused.error().message().find(words) != std::string::npos);
  }
  CHECK(only(attacher.attach(kPod, pod.handle(), plan)).link_id == link);
  CHECK(!may_connect(pod, 7001));
}

TEST_CASE("a program that was never loaded is a refused row, and its pod's own hooks are in force") {
  Node node("t_op_refused");
  auto& attacher = node.start();
  const PodDir pod("kubepods/podrefused");
  auto plan = kEveryHook;
  plan.programs.push_back({"broken", ProgramHook::kConnect4, ProgramOrder::kAny, true, 0, "program 'broken' was refused: it is bad"});
  const auto report = attacher.attach(kPod, pod.handle(), plan);
  CHECK(only(report).state == HookState::kRefused);
  CHECK(only(report).error == "program 'broken' was refused: it is bad");
  CHECK(report->hooks_effective());
  CHECK(!report->required_effective());
  CHECK(only(attacher.inspect(kPod.uid)).state == HookState::kRefused);
}

namespace {

// What a DaemonSet's container has.
bool keep_three_capabilities() {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2]{};
  for (const int number : {CAP_BPF, CAP_PERFMON, CAP_NET_ADMIN}) data[number / 32].effective |= 1U << (number % 32);
  for (auto& word : data) word.permitted = word.effective;
  return ::syscall(SYS_capset, &header, data) == 0;
}

}  // namespace

TEST_CASE("three capabilities are enough to load, attach, replace, adopt and remove") {
  require_kernel();
  const PodDir pod("kubepods/podthree");
  const auto handle = pod.handle();
  const auto v1 = object_bytes("connect_v1.bpf.o"), v2 = object_bytes("connect_v2.bpf.o");
  const int status = run_inside(cgroup_home(), [&] {
    if (!keep_three_capabilities()) return 2;
    const SystemClock clock;
    const bpf::LibbpfAttacher::Options options{.bpffs = "/mnt/bpf", .own_bpffs = "", .folder = "t_op_three"};
    const auto plan = [](const ports::LoadedPodProgram& loaded) {
      model::ProgramPlan out = kEveryHook;
      out.programs.push_back({"deny-port", ProgramHook::kConnect4, ProgramOrder::kBefore, true, loaded.program_id, {}});
      return out;
    };
    LinkId link;
    {
      const auto attacher = bpf::LibbpfAttacher::create(options, clock);
      if (attacher->unsupported()) return 3;
      const auto first = attacher->pod_programs()->load(deny_port(), v1);
      if (!first) return 4;
      const auto report = attacher->attach(kPod, handle, plan(*first));
      if (!report || !report->effective()) return 5;
      link = report->programs[0].link_id;
    }
    const auto attacher = bpf::LibbpfAttacher::create(options, clock);
    const auto second = attacher->pod_programs()->load(deny_port(), v2);
    if (!second) return 6;
    const auto report = attacher->attach(kPod, handle, plan(*second));
    if (!report || !report->effective() || report->programs[0].link_id != link) return 7;
    const auto told = attacher->inspect(kPod.uid);
    if (!told || told->programs[0].position != (report->programs[0].note.empty() ? 1 : 2) || !told->programs[0].neighbours.empty())
      return 8;
    if (!attacher->pod_programs()->unload("deny-port") || !attacher->detach(kPod.uid)) return 9;
    return attacher->pod_programs()->list_loaded()->empty() ? 0 : 10;
  });
  std::error_code error;
  std::filesystem::remove_all("/mnt/bpf/t_op_three", error);
  CHECK(WEXITSTATUS(status) == 0);
  CHECK(WIFEXITED(status));
}

TEST_CASE("without the kernel's BTF an object that needs it is refused, and says so") {
  require_kernel();
  if (!kernel_has_btf()) SKIP("this kernel has no BTF to hide");
  Node node("t_op_btf");
  auto& attacher = node.start();
  auto wanted = deny_port();
  wanted.program = "by_task";
  const auto with = attacher.pod_programs()->load(wanted, object_bytes("core.bpf.o"));
  INFO((with ? std::string() : with.error().message()));
  CHECK(with);
  REQUIRE(attacher.pod_programs()->unload(wanted.name));
  REQUIRE(::mount("tmpfs", "/sys/kernel/btf", "tmpfs", 0, nullptr) == 0);
  const auto without = attacher.pod_programs()->load(wanted, object_bytes("core.bpf.o"));
  REQUIRE(::umount("/sys/kernel/btf") == 0);
  REQUIRE(!without);
  INFO(without.error().message());
  CHECK(without.error().sys_errno != 0);
  CHECK(without.error().message().find("BTF") != std::string::npos);
}
