// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Program sets in this machine's kernel: put in force, checked, refused, rolled back, and found again after a crash. One attacher for many
// cases: sets are loaded one after the other and few at a time, since freeing programs in masses is what kernels bear badly.
#include <algorithm>
#include <cstdio>
#include <filesystem>

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <fmt/format.h>
#include <catch2/catch_test_macros.hpp>

#include "bpf/effective.h"
#include "bpf/link.h"
#include "bpf/pin.h"
#include "kernel_fixture.h"
#include "set/set_abi.h"

using namespace pintle;
using namespace pintle::kernel_test;
using Attempt = model::ProgramSetStatus::Attempt;
using model::Hook;
using model::HookState;

namespace {

const std::vector<Hook> kHooks(std::begin(model::kAllHooks), std::end(model::kAllHooks));
const model::ProgramPlan kAllOfThem{.hooks = kHooks};

ports::PodIdentity identity(const std::string& uid) { return {PodUid(uid), "default", uid}; }

std::vector<LinkId> link_ids(const model::AttachReport& report) {
  std::vector<LinkId> ids;
  for (const auto& hook : report.hooks) ids.push_back(hook.link_id);
  return ids;
}

// The set that every hook of the pod runs; empty: not all the same, or one is not in force.
std::string set_of(bpf::LibbpfAttacher& attacher, const std::string& uid) {
  const auto report = attacher.inspect(PodUid(uid));
  if (!report || !report->effective() || report->hooks.empty()) return {};
  for (const auto& hook : report->hooks)
    if (hook.program_set != report->hooks.front().program_set) return {};
  return report->hooks.front().program_set;
}

size_t programs_of(const std::string& cgroup, Hook hook) {
  const auto dir = DirFd::open(cgroup);
  REQUIRE(dir);
  const SystemClock clock;
  return bpf::query_effective({.cgroup = *dir, .path = cgroup, .attach_type = bpf::attach_type_of(hook)}, clock).running.size();
}

bool has(const std::string& path) { return ::access(path.c_str(), F_OK) == 0; }

struct Sets {
  Node node;
  PodDir pod;
  std::string uid;
  explicit Sets(const std::string& name) : node("t_set_" + name), pod("kubepods/podset" + name), uid("set" + name) {
    node.options.sets_folder = sets_folder();
  }
  bpf::LibbpfAttacher& start() { return node.start(); }
  model::AttachReport attach() {
    auto report = node->attach(identity(uid), pod.handle(), kAllOfThem);
    REQUIRE(report);
    REQUIRE(report->effective());
    return *report;
  }
  uint64_t packets() { return node->counters(PodUid(uid))->tx_packets; }
  void send(int count) const {
    CHECK(run_inside(pod.path(), [count] { return udp_echo(count, 10); }) == 0);
  }
  // Nothing of a switch is left over.
  void check_clean() {
    CHECK_FALSE(has(node->layout().next_set()));
    CHECK_FALSE(has(node->layout().previous_set()));
    CHECK_FALSE(has(node.options.canary_parent + "/pintle-canary"));
    for (const auto hook : kHooks) CHECK(programs_of(pod.path(), hook) == 1);
    const auto pins = bpf::list_pins(node->layout().pod(PodUid(uid)));
    REQUIRE(pins);
    CHECK(pins->size() == kHooks.size());
  }
};

}  // namespace

TEST_CASE("a set that only libbpf can load takes the place of the one in force too") {
  Sets sets("constant");
  auto& attacher = sets.start();
  (void)sets.attach();
  const auto switched = attacher.use_program_set("constant");
  INFO((switched ? std::string() : switched.error().message()));
  REQUIRE(switched);
  CHECK(set_of(attacher, sets.uid) == "constant");
  sets.send(4);
  CHECK(sets.packets() == 4);
  sets.check_clean();
}

TEST_CASE("another set takes the place of the one in force: same links, counting goes on, and a restart finds it") {
  Sets sets("next");
  auto& attacher = sets.start();
  REQUIRE(!attacher.unsupported());
  CHECK(attacher.program_set().name == "builtin");
  CHECK_FALSE(attacher.program_set().version.empty());
  const auto before = sets.attach();
  CHECK(set_of(attacher, sets.uid) == "builtin");
  sets.send(3);

  const auto switched = attacher.use_program_set("next");
  INFO((switched ? std::string() : switched.error().message()));
  REQUIRE(switched);
  const auto status = attacher.program_set();
  CHECK(status.name == "next");
  CHECK(status.version == "test-next");
  CHECK(status.attempt == Attempt::kNone);
  CHECK(status.switched == 1);
  const auto now = attacher.inspect(PodUid(sets.uid));
  REQUIRE(now);
  CHECK(link_ids(*now) == link_ids(before));
  CHECK(set_of(attacher, sets.uid) == "next");
  for (size_t i = 0; i < kHooks.size(); ++i) CHECK(now->hooks[i].program_id != before.hooks[i].program_id);
  sets.send(4);
  CHECK(sets.packets() == 7);
  sets.check_clean();
  CHECK(attacher.use_program_set("next"));  // idempotent
  CHECK(attacher.program_set().switched == 1);

  // A pod that comes now gets it, and a restart adopts it: the same programs, not loaded again.
  const PodDir other("kubepods/podsetother");
  REQUIRE(attacher.attach(identity("setother"), other.handle(), kEveryHook)->effective());
  CHECK(set_of(attacher, "setother") == "next");
  sets.node.options.keep_set = true;
  auto& again = sets.start();
  CHECK(again.program_set().name == "next");
  const auto adopted = sets.attach();
  CHECK(link_ids(adopted) == link_ids(before));
  for (size_t i = 0; i < kHooks.size(); ++i) CHECK(adopted.hooks[i].program_id == now->hooks[i].program_id);
  CHECK(sets.packets() == 7);

  // By the configuration, at a start: back again.
  sets.node.options.keep_set = false;
  auto& back = sets.start();
  CHECK(back.program_set().name == "builtin");
  CHECK(link_ids(sets.attach()) == link_ids(before));
  CHECK(set_of(back, sets.uid) == "builtin");
  sets.send(1);
  CHECK(sets.packets() == 8);
  sets.check_clean();
}

TEST_CASE("a set that is none is refused, and no pod has noticed") {
  Sets sets("refused");
  auto& attacher = sets.start();
  REQUIRE(!attacher.unsupported());
  const auto before = sets.attach();
  const auto refused = [&](const std::string& name, const std::string& why) {
    const auto tried = attacher.use_program_set(name);
    REQUIRE_FALSE(tried);
    INFO(name << ": " << tried.error().message());
    CHECK(tried.error().message().find(why) != std::string::npos);
    CHECK(tried.error().message().find(name) != std::string::npos);
    const auto status = attacher.program_set();
    CHECK(status.name == "builtin");
    CHECK(status.wanted == name);
    CHECK(status.attempt == Attempt::kRefused);
    CHECK(status.error == tried.error().message());
  };
  refused("absent", "there are 'builtin', 'bare', 'blind', 'constant', 'next'");
  refused("other-abi", fmt::format("is of ABI 99, this agent of ABI {}", PINTLE_SET_ABI));
  refused("wrong-type", "'connect_connect4' is of type cgroup_sock_addr and attach type 11, the hook connect4 takes");
  refused("blind", "of 4 packets sent it counted 0, of 4 received 0");
  CHECK(attacher.inspect(PodUid(sets.uid))->hooks.size() == kHooks.size());
  CHECK(link_ids(*attacher.inspect(PodUid(sets.uid))) == link_ids(before));
  CHECK(set_of(attacher, sets.uid) == "builtin");
  sets.check_clean();
  CHECK(attacher.use_program_set("builtin"));
  CHECK(attacher.program_set().attempt == Attempt::kNone);
}

TEST_CASE("a set whose check fails once pods have it is rolled back") {
  Sets sets("back");
  std::vector<std::string> seen;
  sets.node.options.more_checks_for_test = [&](const bpf::ProgramSet& set, bool first) -> Status {
    seen.push_back(set_of(*sets.node, sets.uid));
    return first || set.name() == "builtin" ? Status() : fail(Code::kInvalid, "the test says no");
  };
  auto& attacher = sets.start();
  REQUIRE(!attacher.unsupported());
  const auto before = sets.attach();
  sets.send(2);
  const auto tried = attacher.use_program_set("next");
  REQUIRE_FALSE(tried);
  CHECK(tried.error().message() == "the test says no");
  CHECK(seen == std::vector<std::string>{"builtin", "next"});  // before any pod had it, and after all had
  const auto status = attacher.program_set();
  CHECK(status.name == "builtin");
  CHECK(status.attempt == Attempt::kRolledBack);
  CHECK(status.wanted == "next");
  CHECK(status.wanted_version == "test-next");
  CHECK(status.rolled_back == 1);
  CHECK(link_ids(*attacher.inspect(PodUid(sets.uid))) == link_ids(before));
  CHECK(set_of(attacher, sets.uid) == "builtin");
  sets.send(2);
  CHECK(sets.packets() == 4);
  sets.check_clean();
}

TEST_CASE("a program without the links' storage comes by a new link, attached before the old one is dropped") {
  Sets sets("bare");
  auto& attacher = sets.start();
  REQUIRE(!attacher.unsupported());
  (void)sets.attach();
  const auto switched = attacher.use_program_set("bare");
  INFO((switched ? std::string() : switched.error().message()));
  REQUIRE(switched);
  CHECK(set_of(attacher, sets.uid) == "bare");
  sets.check_clean();
  REQUIRE(attacher.use_program_set("builtin"));
  CHECK(set_of(attacher, sets.uid) == "builtin");
  sets.check_clean();
}

TEST_CASE("a crash in the middle of a switch: wholly the old set, or wholly the new one") {
  Sets sets("crash");
  // The daemon is killed where the check looks: a copy of the process does the switch and ends without a word.
  const auto killed_at = [&](bool first) {
    sets.node.options.more_checks_for_test = [first](const bpf::ProgramSet&, bool now) -> Status {
      if (now == first) ::_exit(0);
      return {};
    };
    sets.node.stop();
    const pid_t pid = ::fork();
    REQUIRE(pid >= 0);
    if (pid == 0) {
      auto& attacher = sets.start();
      (void)attacher.use_program_set("next");
      ::_exit(1);
    }
    int status = 0;
    REQUIRE(::waitpid(pid, &status, 0) == pid);
    CHECK(status == 0);
    sets.node.options.more_checks_for_test = {};
  };
  REQUIRE(!sets.start().unsupported());
  const auto before = sets.attach();
  for (const bool first : {true, false}) {
    killed_at(first);
    auto& attacher = sets.start();
    CHECK(attacher.program_set().name == "builtin");
    CHECK(link_ids(sets.attach()) == link_ids(before));
    CHECK(set_of(attacher, sets.uid) == "builtin");
    sets.check_clean();
  }
  // Between the renames of a commit: it was decided.
  REQUIRE(sets.node->use_program_set("next"));
  const auto layout = sets.node->layout();
  sets.node.stop();
  REQUIRE(std::rename(layout.set().c_str(), layout.next_set().c_str()) == 0);
  REQUIRE(bpf::make_pin_folder(layout.previous_set()));
  sets.node.options.keep_set = true;
  CHECK(sets.start().program_set().name == "next");
  CHECK(link_ids(sets.attach()) == link_ids(before));
  CHECK(set_of(*sets.node, sets.uid) == "next");
  sets.check_clean();
}

TEST_CASE("what a start can't put in order is told with errno and object, and mended once it can be") {
  Sets sets("left");
  REQUIRE(!sets.start().unsupported());
  (void)sets.attach();
  const auto layout = sets.node->layout();
  const auto told = [&] { return sets.node->program_set().leftovers; };
  CHECK(told().empty());
  sets.node.stop();
  SECTION("a folder that can't be emptied") {
    const std::string stuck = layout.next_set() + "/stuck";
    REQUIRE(bpf::make_pin_folder(stuck));
    REQUIRE(!sets.start().unsupported());
    REQUIRE(told().size() == 1);
    CHECK(told()[0].sys_errno == EISDIR);
    CHECK(told()[0].error == fmt::format("clear up after a switch of program sets: unpin '{}': Is a directory", stuck));
    CHECK(set_of(*sets.node, sets.uid) == "builtin");
    CHECK(sets.node->use_program_set("builtin"));  // tried again, in vain
    CHECK(told().size() == 1);
    REQUIRE(::rmdir(stuck.c_str()) == 0);
    CHECK(sets.node->use_program_set("builtin"));
    CHECK(told().empty());
  }
  SECTION("a folder that can't be renamed") {
    // Of the commit's renames one was done; a mount over the folder keeps it where it is.
    REQUIRE(std::rename(layout.set().c_str(), layout.next_set().c_str()) == 0);
    REQUIRE(bpf::make_pin_folder(layout.previous_set()));
    REQUIRE(::mount(layout.next_set().c_str(), layout.next_set().c_str(), nullptr, MS_BIND, nullptr) == 0);
    REQUIRE(!sets.start().unsupported());
    REQUIRE_FALSE(told().empty());
    CHECK(told()[0].sys_errno == EBUSY);
    CHECK(told()[0].error.find(fmt::format("rename '{}' to '{}': Device or resource busy", layout.next_set(), layout.set())) !=
          std::string::npos);
    REQUIRE(::umount2(layout.next_set().c_str(), MNT_DETACH) == 0);
    CHECK(sets.node->use_program_set("builtin"));
    CHECK(told().empty());
  }
  SECTION("a pod's link that can't be moved") {
    const std::string folder = layout.pod(PodUid(sets.uid)) + "/";
    const auto swap_pins = [&] {
      REQUIRE(::renameat2(AT_FDCWD, (folder + "connect4").c_str(), AT_FDCWD, (folder + "sendmsg4").c_str(), RENAME_EXCHANGE) == 0);
    };
    swap_pins();
    REQUIRE(bpf::make_pin_folder(layout.next_set()));  // a switch was cut short
    REQUIRE(!sets.start().unsupported());
    REQUIRE(told().size() == 1);
    CHECK(told()[0].error.find("move pods to program set 'builtin'") == 0);
    CHECK(told()[0].error.find(fmt::format("pod '{}', hook 'connect4': update link: it is of attach type", sets.uid)) != std::string::npos);
    swap_pins();
    CHECK(sets.node->use_program_set("builtin"));
    CHECK(told().empty());
  }
  REQUIRE(sets.attach().effective());
  CHECK(set_of(*sets.node, sets.uid) == "builtin");
  sets.check_clean();
}

TEST_CASE("where no cgroup may be made, the kernel runs a set's packet programs on a packet of ours") {
  Sets sets("testrun");
  sets.node.options.canary_parent = "";
  auto& attacher = sets.start();
  REQUIRE(!attacher.unsupported());
  (void)sets.attach();
  const auto blind = attacher.use_program_set("blind");
  REQUIRE_FALSE(blind);
  CHECK(blind.error().message().find("did not count a packet") != std::string::npos);
  const auto next = attacher.use_program_set("next");
  INFO((next ? std::string() : next.error().message()));
  CHECK(next);
  CHECK(set_of(attacher, sets.uid) == "next");
}
