// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <future>
#include <map>
#include <ranges>
#include <sstream>
#include <utility>

#include <poll.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fmt/format.h>
#include <catch2/catch_test_macros.hpp>

#include "bpf/cgroup_programs.h"
#include "bpf/effective.h"
#include "bpf/inventory.h"
#include "bpf/link.h"
#include "bpf/pin.h"
#include "bpf/raw_call.h"
#include "bpftool.h"
#include "injection.h"

using namespace pintle;
using namespace pintle::bpf;
using namespace pintle::kernel_test;
using nlohmann::json;

namespace {

const ports::PodIdentity kPod{PodUid("agrees"), "default", "agrees"};

struct Scene {
  explicit Scene(const std::string& folder) : node(folder) {
    require_bpftool();
    REQUIRE(!node.start().unsupported());
    REQUIRE(node->attach(kPod, pod.handle(), kEveryHook)->effective());
  }
  Node node;
  PodDir pod{"agrees/pod"};
  SystemClock clock;
};

// bpftool's names of our hooks.
std::string bpftool_name(model::Hook hook) { return libbpf_bpf_attach_type_str(static_cast<bpf_attach_type>(attach_type_of(hook))); }

std::map<std::string, std::vector<uint32_t>> ids_by_type(const json& list) {
  std::map<std::string, std::vector<uint32_t>> out;
  for (const auto& entry : list) out[entry.at("attach_type")].push_back(entry.at("id"));
  return out;
}

}  // namespace

TEST_CASE("bpftool link tells of each hook what inspect tells") {
  Scene scene("t_tool_link");
  const auto report = scene.node->inspect(kPod.uid);
  REQUIRE(report);
  REQUIRE(report->hooks.size() == 4);
  for (const auto& hook : report->hooks) {
    const json link = bpftool_json(fmt::format("link show id {}", hook.link_id.value()));
    CHECK(link.at("type") == "cgroup");
    CHECK(link.at("prog_id") == hook.program_id);
    CHECK(link.at("cgroup_id") == report->cgroup_id.value());
    CHECK(link.at("attach_type") == bpftool_name(hook.hook));
    const json program = bpftool_json(fmt::format("prog show id {}", hook.program_id));
    CHECK(program.at("tag") == hook.program_tag);
  }
}

TEST_CASE("bpftool cgroup show and tree tell the programs that effective tells, foreign ones too") {
  Scene scene("t_tool_cgroup");
  const auto above = DirFd::open(cgroup_home() + "/agrees"), dir = DirFd::open(scene.pod.path());
  REQUIRE(above);
  REQUIRE(dir);
  const auto foreign = try_program({.type = BPF_PROG_TYPE_CGROUP_SKB, .attach_type = BPF_CGROUP_INET_INGRESS});
  const auto beside = create_cgroup_link({.program_fd = foreign.fd.get(), .cgroup_fd = dir->get(), .attach_type = BPF_CGROUP_INET_INGRESS});
  const auto over = create_cgroup_link({.program_fd = foreign.fd.get(), .cgroup_fd = above->get(), .attach_type = BPF_CGROUP_INET_INGRESS});
  REQUIRE(beside);
  REQUIRE(over);
  const auto report = scene.node->inspect(kPod.uid);
  const auto own = ids_by_type(bpftool_json("cgroup show " + scene.pod.path()));
  const auto running = ids_by_type(bpftool_json("cgroup show " + scene.pod.path() + " effective"));
  for (const auto& hook : report->hooks) {
    const auto view = query_effective({*dir, scene.pod.path(), attach_type_of(hook.hook), hook.program_id}, scene.clock);
    const auto name = bpftool_name(hook.hook);
    INFO(name);
    REQUIRE(running.contains(name));
    CHECK(running.at(name) == view.running);
    CHECK(running.at(name).at(static_cast<size_t>(view.position) - 1) == hook.program_id);
    std::vector<uint32_t> here = {hook.program_id};
    for (const auto& neighbour : view.neighbours)
      if (neighbour.cgroup == scene.pod.path()) here.push_back(neighbour.id);
    auto told = own.at(name);
    std::ranges::sort(told);
    std::ranges::sort(here);
    CHECK(told == here);
    CHECK(view.neighbours.size() == (hook.hook == model::Hook::kIngress ? 2 : 0));
  }
  const json tree = bpftool_json("cgroup tree " + cgroup_home());
  for (const auto& group : tree) {
    const std::string path = group.at("cgroup");
    if (path != scene.pod.path()) continue;
    CHECK(ids_by_type(group.at("programs")) == own);
  }
  CHECK(std::ranges::any_of(tree, [&](const json& group) { return group.at("cgroup") == scene.pod.path(); }));
}

TEST_CASE("the inventory agrees with bpftool prog and map") {
  Scene scene("t_tool_prog");
  PinInventory inventory({.layout = scene.node->layout()}, scene.clock);
  const auto programs = inventory.programs();
  REQUIRE(programs);
  CHECK(programs->size() >= 4);
  for (const auto& program : *programs) {
    INFO(program.name);
    const json told = bpftool_json(fmt::format("prog show id {}", program.id));
    CHECK(told.at("type") == program.type);
    CHECK(told.at("tag") == program.tag);
    CHECK(program.name.starts_with(told.value("name", "").substr(0, 15)));
    CHECK(told.at("bytes_xlated") == program.xlated_bytes);
    CHECK(told.value("bytes_jited", uint64_t{0}) == program.jited_bytes);
    CHECK(told.at("bytes_memlock") == program.memlock_bytes);
    CHECK(told.value("map_ids", std::vector<uint32_t>()) == program.map_ids);
    const auto age = program.loaded_at - Time(std::chrono::seconds(told.at("loaded_at").get<int64_t>()));
    CHECK(std::chrono::abs(age) < std::chrono::seconds(3));
    CHECK(program.verified_insns > 0);
  }
  const auto maps = inventory.maps();
  REQUIRE(maps);
  for (const auto& map : *maps) {
    INFO(map.name);
    const json told = bpftool_json(fmt::format("map show id {}", map.id));
    CHECK(told.at("type") == map.type);
    CHECK(told.value("name", "") == map.name);
    CHECK(told.at("bytes_key") == map.key_bytes);
    CHECK(told.at("bytes_value") == map.value_bytes);
    CHECK(told.at("max_entries") == map.max_entries);
    CHECK(told.at("bytes_memlock") == map.memlock_bytes);
  }
  const auto cost = inventory.cost();
  REQUIRE(cost);
  CHECK(cost->programs == programs->size());
  CHECK(cost->maps == maps->size());
  CHECK(cost->links >= 4);  // and those of the tracepoints
  uint64_t bytes = 0;
  for (const auto& program : *programs) bytes += program.memlock_bytes;
  for (const auto& map : *maps) bytes += map.memlock_bytes;
  CHECK(cost->kernel_bytes == bytes);
  const auto report = scene.node->inspect(kPod.uid);
  for (const auto& hook : report->hooks) {
    const auto program = std::ranges::find(*programs, hook.program_id, &ports::LoadedProgram::id);
    const bool shared = hook.hook == model::Hook::kIngress || hook.hook == model::Hook::kEgress;
    CHECK(program->links == (shared ? 2 : 1));
    CHECK(program->hook ==
          (shared ? "egress,ingress" : model::to_string(hook.hook)));  // the kernel's names are cut, and two of them the same then
  }
}

TEST_CASE("pins that somebody has removed are named, and what is loaded is told all the same") {
  Scene scene("t_tool_gone");
  const auto layout = scene.node->layout();
  PinInventory inventory({.layout = layout}, scene.clock);
  const auto before = inventory.programs();
  REQUIRE(before);
  CHECK(inventory.missing_pins().empty());
  const auto attached = scene.node->inspect(kPod.uid);
  REQUIRE(attached);
  const auto told = [&](uint32_t id) {
    const auto now = inventory.programs();
    if (!now) FAIL(now.error().message());
    const auto row = std::ranges::find(*now, id, &ports::LoadedProgram::id);
    REQUIRE(row != now->end());
    return *row;
  };
  const auto& hook = *std::ranges::find_if(attached->hooks, [](const auto& one) { return one.hook == model::Hook::kConnect4; });
  SECTION("one") {
    const std::string pin = layout.program("connect_connect4");
    REQUIRE(::unlink(pin.c_str()) == 0);
    CHECK(inventory.missing_pins() == std::vector{pin});
    CHECK(inventory.programs()->size() == before->size());
    CHECK(inventory.dump(hook.program_id, false));
  }
  SECTION("the record of the set") {
    REQUIRE(::unlink(layout.program("set").c_str()) == 0);
    CHECK(inventory.missing_pins() == std::vector{layout.program("set")});
    CHECK(inventory.programs()->size() == before->size());
  }
  SECTION("all, with their folder") {
    const auto names = list_pins(layout.set());
    REQUIRE(names);
    for (const auto& name : *names) REQUIRE(::unlink(layout.program(name).c_str()) == 0);
    REQUIRE(::rmdir(layout.set().c_str()) == 0);
    CHECK(inventory.missing_pins().size() == model::kHookCount + 1);
    CHECK(inventory.maps());
    CHECK(inventory.cost());
  }
  CHECK(told(hook.program_id).hook == "connect4");
  CHECK(told(hook.program_id).links == 1);
  scene.node.start();  // the next run makes them anew
  CHECK(inventory.missing_pins().empty());
}

TEST_CASE("a ring's unread bytes are told, and what was read is gone") {
  Scene scene("t_tool_ring");
  PinInventory inventory({.layout = scene.node->layout(), .ring_counts = [&] { return scene.node->ring_counts(); }}, scene.clock);
  const auto bulk = [&] {
    const auto cost = inventory.cost();
    REQUIRE(cost);
    const auto ring = std::ranges::find(cost->rings, "bulk_events", &ports::RingUse::name);
    REQUIRE(ring != cost->rings.end());
    return *ring;
  };
  CHECK(bulk().unread_bytes == 0);
  CHECK(run_inside(scene.pod.path(), [] { return udp_connect("127.0.0.1", 9); }) == 0);
  const auto after = bulk();
  CHECK(after.unread_bytes > 0);
  CHECK(after.unread_bytes < after.bytes);
  CHECK(after.received == 0);
  CHECK(after.lost == 0);

  std::promise<void> seen;
  scene.node->on_event([&, told = false](const model::ProgramEvent& event) mutable {
    if (event.kind == model::ProgramEventKind::kConnect && !std::exchange(told, true)) seen.set_value();
  });
  REQUIRE(seen.get_future().wait_for(std::chrono::seconds(10)) == std::future_status::ready);
  for (int i = 0; i < 500 && bulk().unread_bytes != 0; ++i) (void)::poll(nullptr, 0, 10);  // told to the programs once all is read
  CHECK(bulk().received >= 1);
  CHECK(bulk().unread_bytes == 0);
  scene.node->on_event(nullptr);
}

TEST_CASE("a ring that nobody reads tells what it lost, and maps how much of them is used") {
  Scene scene("t_tool_lost");
  PinInventory inventory({.layout = scene.node->layout(),
                          .ring_counts = [&] { return scene.node->ring_counts(); },
                          .slots_in_use = [&] { return scene.node->slots_in_use(); }},
                         scene.clock);
  CHECK(run_inside(scene.pod.path(), [] {
          for (int i = 0; i < 5000; ++i) (void)udp_connect("127.0.0.1", 9);  // 256 KiB hold 3,640 records of 72 bytes
          return 0;
        }) == 0);
  const auto counters = scene.node->counters(kPod.uid);
  REQUIRE(counters);
  CHECK(counters->events_lost > 0);
  uint64_t lost = 0;
  const auto cost = inventory.cost();
  REQUIRE(cost);
  for (const auto& ring : cost->rings) lost += ring.lost;
  CHECK(lost == counters->events_lost);
  CHECK(lost == scene.node->events_lost());
  const auto maps = inventory.maps();
  REQUIRE(maps);
  const auto of = [&](const char* name) { return *std::ranges::find(*maps, name, &ports::LoadedMap::name); };
  CHECK(of("pod_slots").entries == 2);  // one pod's, and nobody's
  CHECK(of("pod_slot_ref").entries >= 1);
  CHECK_FALSE(of("bulk_events").entries);
  CHECK_FALSE(of("program_set").entries);
  CHECK(of("policy_flows").evicts);
}

TEST_CASE("dumps hold the instructions that bpftool shows") {
  Scene scene("t_tool_dump");
  PinInventory inventory({.layout = scene.node->layout()}, scene.clock);
  const auto programs = inventory.programs();
  // bpftool reads all symbols of the kernel each time, which takes seconds where the processor is emulated.
  const size_t most = std::getenv("PINTLE_TEST_EMULATED") != nullptr ? 2 : programs->size();
  for (const auto& program : *programs | std::views::take(most)) {
    INFO(program.name);
    const auto dump = inventory.dump(program.id, false);
    REQUIRE(dump);
    // Line by line: place and opcode, and the whole text where no address or map is named.
    std::istringstream ours(*dump), theirs(bpftool(fmt::format("prog dump xlated id {}", program.id)));
    size_t lines = 0;
    std::string wanted, line;
    while (std::getline(theirs, wanted)) {
      const auto opcode = wanted.find(": (");
      if (opcode == std::string::npos || wanted.find_first_not_of(" 0123456789") != opcode) continue;  // source lines, function names
      REQUIRE(std::getline(ours, line));
      ++lines;
      const auto trimmed = [](const std::string& text) { return text.substr(text.find_first_not_of(' ')); };
      const std::string left = trimmed(line), right = trimmed(wanted);
      const bool named = left.find("call ") != std::string::npos || left.find("(18)") != std::string::npos;
      if (named)
        CHECK(left.substr(0, left.find(')')) == right.substr(0, right.find(')')));
      else
        CHECK(left == right);
    }
    CHECK(lines > 0);
    CHECK(!std::getline(ours, line));
    const auto machine = inventory.dump(program.id, true);
    if (program.jited_bytes > 0) {
      REQUIRE(machine);
      CHECK(static_cast<uint64_t>(std::ranges::count(*machine, '\n')) == (program.jited_bytes + 15) / 16);
    }
  }
  CHECK(inventory.dump(0, false).error().code == Code::kNotFound);
  // One that has a pin of its own: what only a link holds is not found without CAP_SYS_ADMIN.
  const auto pinned = std::ranges::find_if(*programs, [](const auto& program) { return program.name.starts_with("accounting_"); });
  REQUIRE(pinned != programs->end());
  const auto id = pinned->id;
  CHECK(run_inside(cgroup_home(), [&] {
          keep_only({});
          const auto refused = inventory.dump(id, false);
          return !refused && refused.error().code == Code::kUnsupported ? 0 : 1;
        }) == 0);
}
