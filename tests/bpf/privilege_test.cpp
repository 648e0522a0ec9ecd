// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "bpf/privilege.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <fstream>

#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <fmt/format.h>
#include <catch2/catch_test_macros.hpp>

#include "bpf/evidence.h"
#include "bpf/instructions.h"
#include "bpf/kernel_object.h"
#include "bpf/link.h"
#include "bpf/pin.h"
#include "injection.h"

using namespace pintle;
using namespace pintle::bpf;
using namespace pintle::kernel_test;

namespace {

constexpr uid_t kOther = 4242;

// A child's answer: 0, or the number of the step that went wrong.
int in_child(const std::function<int()>& body) {
  const int status = run_inside(cgroup_home(), body);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

// What the daemon does with each capability; 0 when it may.
int use_capability(int number, const std::string& pod, int program, pid_t stranger) {
  const std::string own = fmt::format("/mnt/own-{}", ::getpid());
  switch (number) {
    case CAP_NET_ADMIN: {
      const auto dir = DirFd::open(pod);
      return dir && BpfLink::attach_cgroup(program, dir->get(), BPF_CGROUP_INET_INGRESS) ? 0 : 1;
    }
    case CAP_SYS_ADMIN:
      if (::mkdir(own.c_str(), 0700) != 0 || ::mount("tmpfs", own.c_str(), "tmpfs", 0, nullptr) != 0) return 1;
      return ::umount2(own.c_str(), MNT_DETACH);
    case CAP_CHOWN: return ::mkdir(own.c_str(), 0700) == 0 && ::chown(own.c_str(), static_cast<uid_t>(-1), kOther) == 0 ? 0 : 1;
    case CAP_DAC_OVERRIDE: return UniqueFd(::open("/mnt/theirs", O_RDWR | O_CLOEXEC)).valid() ? 0 : 1;
    case CAP_FOWNER: return ::chmod("/mnt/theirs", 0);
    case CAP_FSETID: {
      struct stat st{};
      return ::chmod("/mnt/group", 02770) == 0 && ::stat("/mnt/group", &st) == 0 && (st.st_mode & S_ISGID) != 0 ? 0 : 1;
    }
    case CAP_KILL: return ::kill(stranger, 0);
    default: return 99;
  }
}

void make_files() {
  const UniqueFd theirs(::open("/mnt/theirs", O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  REQUIRE(::fchown(theirs.get(), kOther, kOther) == 0);
  REQUIRE(::fchmod(theirs.get(), 0) == 0);
  REQUIRE((::mkdir("/mnt/group", 0700) == 0 || errno == EEXIST));
  REQUIRE(::chown("/mnt/group", 0, kOther) == 0);
}

}  // namespace

TEST_CASE("each capability of the node's working set is needed, and with all of them everything goes") {
  (void)require_kernel();
  make_files();
  const PodDir pod("privilege/pod");
  const auto program = try_program({.type = BPF_PROG_TYPE_CGROUP_SKB, .attach_type = BPF_CGROUP_INET_INGRESS});
  REQUIRE(program.err == 0);
  int ends[2];
  REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
  const UniqueFd reader(ends[0]);
  UniqueFd writer(ends[1]);
  const pid_t stranger = ::fork();  // lives until the pipe is closed
  if (stranger == 0) {
    writer.reset();
    char byte = 0;
    if (::setresuid(kOther, kOther, kOther) != 0) ::_exit(1);
    ::_exit(static_cast<int>(::read(reader.get(), &byte, 1)));
  }
  const auto set = working_set(WorkingSet::kNode);
  for (const auto& row : needed_capabilities()) {
    if (!row.after_start) continue;
    INFO(row.name);
    auto without = set;
    std::erase(without, row.number);
    if (row.number == CAP_NET_ADMIN) std::erase(without, CAP_SYS_ADMIN);  // which stands in from 6.9
    const auto with_only = [&](const std::vector<int>& capabilities) {
      return in_child([&] {
        if (::setgroups(0, nullptr) != 0) return 98;
        keep_only(capabilities);
        return use_capability(row.number, pod.path(), program.fd.get(), stranger) == 0 ? 0 : 1;
      });
    };
    CHECK(with_only(set) == 0);
    CHECK(with_only(without) == 1);
  }
  writer.reset();
  int status = 0;
  REQUIRE(::waitpid(stranger, &status, 0) == stranger);
}

TEST_CASE("with CAP_NET_ADMIN alone new pods are attached, links updated and pinned, old ones adopted") {
  Node node("t_dropped");
  const PodDir pod("privilege/podnew");
  const ports::PodIdentity identity{PodUid("new"), "default", "new"};
  auto& attacher = node.start();
  REQUIRE(!attacher.unsupported());
  const auto handle = pod.handle();
  // With the same cgroup storage: kernels of 2026 (6.1.y and 6.12.y too) swap no program for one with another, or none.
  const auto storage = open_pin(attacher.layout().map("pod_slot_ref"));
  REQUIRE(storage);
  const auto other =
      try_program({.type = BPF_PROG_TYPE_CGROUP_SKB,
                   .attach_type = BPF_CGROUP_INET_INGRESS,
                   .instructions = {insn::load_map(1, storage->get()), insn::second_half(), insn::mov_imm(0, 1), insn::exit()}});
  REQUIRE(other.err == 0);
  CHECK(in_child([&] {
          const auto dropped = drop_to_working_set(WorkingSet::kProgramsOnly);
          if (!dropped || dropped->kept_bpf) return 1;
          for (const int gone : {CAP_SYS_ADMIN, CAP_BPF, CAP_PERFMON, CAP_DAC_OVERRIDE})
            if (has_capability(gone)) return 2;
          if (!has_capability(CAP_NET_ADMIN)) return 3;
          const auto report = attacher.attach(identity, handle, kEveryHook);
          if (!report || !report->effective()) return 4;
          const auto link = BpfLink::open(attacher.layout().pod(identity.uid) + "/ingress");
          const auto updated = link ? link->update(other.fd.get(), BPF_CGROUP_INET_INGRESS) : Status(std::unexpected(link.error()));
          if (!updated) {
            std::fprintf(stderr, "%s\n", updated.error().message().c_str());
            return 5;
          }
          const auto mine = program_info(open_pin(attacher.layout().program("accounting_ingress")).value_or(UniqueFd()).get());
          if (!mine) return 6;
          const auto again = attacher.attach(identity, handle, kEveryHook);  // adopts, and puts our program back
          if (!again || !again->effective() || again->hooks[0].program_id != mine->id) return 7;
          if (!attacher.inspect(identity.uid)->effective()) return 8;
          return attacher.counters(identity.uid) ? 0 : 9;
        }) == 0);
  node.stop();
  auto& restarted = node.start();
  CHECK(restarted.inspect(identity.uid)->effective());
  CHECK(restarted.attach(identity, handle, kEveryHook)->hooks.at(0).state == model::HookState::kAdopted);
  REQUIRE(restarted.detach(identity.uid));
}

TEST_CASE("where no tracepoint can be attached to the set is in force all the same, and a restart adopts it") {
  Node node("t_notracing");
  const PodDir pod("privilege/podquiet");
  const ports::PodIdentity identity{PodUid("quiet"), "default", "quiet"};
  const auto handle = pod.handle();
  CHECK(in_child([&] {
          forbid_bpf(BPF_RAW_TRACEPOINT_OPEN);
          uint32_t program = 0;
          LinkId link;
          for (const bool first : {true, false}) {
            auto& attacher = node.start();
            if (attacher.unsupported()) {
              std::fprintf(stderr, "%s\n", attacher.unsupported()->message().c_str());
              return 1;
            }
            if (open_pin(attacher.layout().link("exit"))) return 2;
            const auto report = attacher.attach(identity, handle, kEveryHook);
            if (!report || !report->effective()) return 3;
            const auto& hook = report->hooks.at(0);
            if (first)
              program = hook.program_id, link = hook.link_id;
            else if (hook.state != model::HookState::kAdopted || hook.program_id != program || hook.link_id != link)
              return 4;
            if (attacher.program_set().name != model::kBuiltinSet) return 5;
            node.stop();
          }
          return 0;
        }) == 0);
  auto& restarted = node.start();  // which may attach to them
  CHECK(open_pin(restarted.layout().link("exit")));
  CHECK(restarted.attach(identity, handle, kEveryHook)->effective());
  REQUIRE(restarted.detach(identity.uid));
}

TEST_CASE("what takes more than CAP_NET_ADMIN after the drop is known") {
  (void)require_kernel();
  const auto program = try_program({.type = BPF_PROG_TYPE_CGROUP_SKB, .attach_type = BPF_CGROUP_INET_INGRESS});
  const auto id = program_info(program.fd.get())->id;
  CHECK(in_child([&] {
          if (!drop_to_working_set(WorkingSet::kProgramsOnly)) return 1;
          if (UniqueFd(bpf_prog_get_fd_by_id(id)).valid() || errno != EPERM) return 2;  // names of others
          if (try_program({.type = BPF_PROG_TYPE_CGROUP_SKB, .attach_type = BPF_CGROUP_INET_INGRESS}).err != EPERM) return 3;  // loading
          if (try_map(BPF_MAP_TYPE_RINGBUF, 0, 0, 65536).err != EPERM) return 4;
          return ::mount("bpf", "/mnt", "bpf", 0, nullptr) != 0 && errno == EPERM ? 0 : 5;  // mounting
        }) == 0);
  // The node's set keeps CAP_SYS_ADMIN, which stands in for the two: an honest limit.
  CHECK(in_child([&] {
          const auto dropped = drop_to_working_set(WorkingSet::kNode);
          if (!dropped || std::ranges::find(dropped->names, "CAP_BPF") == dropped->names.end()) return 1;
          if (has_capability(CAP_BPF) || has_capability(CAP_SYS_PTRACE) || has_capability(CAP_SYS_MODULE)) return 2;
          if (!drop_to_working_set(WorkingSet::kNode)->names.empty()) return 3;  // idempotent
          return try_program({.type = BPF_PROG_TYPE_CGROUP_SKB, .attach_type = BPF_CGROUP_INET_INGRESS}).err == 0 ? 0 : 4;
        }) == 0);
}

TEST_CASE("a set that the kernel would not serve is seen before it is too late") {
  (void)require_kernel();
  CHECK(suffices(working_set(WorkingSet::kProgramsOnly)));
  CHECK(has_capability(CAP_SYS_ADMIN));  // tried in another thread
}

TEST_CASE("folders of pins are ours alone, and constants are frozen") {
  Node node("t_modes");
  auto& attacher = node.start();
  REQUIRE(!attacher.unsupported());
  CHECK(check_pin_folder(attacher.layout().root));
  CHECK(check_pin_folder(attacher.layout().pods()));
  REQUIRE(::chmod(attacher.layout().pods().c_str(), 0755) == 0);
  const auto open = check_pin_folder(attacher.layout().pods());
  CHECK(open.error().code == Code::kInvalid);
  CHECK(open.error().message().find("chmod 0700") != std::string::npos);
  CHECK(check_pin_folder("/mnt/absent").error().code == Code::kNotFound);
  CHECK(check_pin_folders(attacher.layout()).error().message() == open.error().message());
  const auto pods = attacher.layout().pods();
  const auto refused = node.start().unsupported();  // what lies in there may be anybody's: not adopted
  REQUIRE(refused);
  CHECK(refused->message().find("chmod 0700") != std::string::npos);
  REQUIRE(::chmod(pods.c_str(), 0700) == 0);
  CHECK(check_pin_folders(node->layout()));
  CHECK(!node.start().unsupported());
  const UniqueFd map(bpf_map_create(BPF_MAP_TYPE_ARRAY, "consts", 4, 8, 1, nullptr));
  CHECK(!is_frozen(map.get()));
  REQUIRE(bpf_map_freeze(map.get()) == 0);
  CHECK(is_frozen(map.get()));
}

TEST_CASE("the unit's bounding set is the table's") {
  std::ifstream unit(PINTLE_SOURCE_DIR "/deploy/systemd/pintled.service");
  std::string found;
  for (std::string line; std::getline(unit, line);)
    if (line.starts_with("CapabilityBoundingSet=")) found = line.substr(line.find('=') + 1);
  CHECK(found == bounding_set());
}
