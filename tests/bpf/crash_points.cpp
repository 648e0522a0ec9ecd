// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "crash_points.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <filesystem>
#include <map>
#include <random>
#include <set>

#include <elf.h>
#include <poll.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <fmt/format.h>

#include "bpf/canary.h"
#include "bpf/effective.h"
#include "bpf/libbpf_attacher.h"
#include "bpf/pin.h"
#include "bpf/pod_links.h"

namespace pintle::crash {
namespace {

using model::Hook;

constexpr const char* kFolder = "crash";
constexpr const char* kUntouched = "untouched";
constexpr const char* kPods[] = {kUntouched, "first", "second", "third"};
constexpr const char* kGuest = "guest";  // comes and goes within a point
constexpr int kSwitchEvery = 8;

const model::ProgramPlan kAll{.hooks = std::vector<Hook>(std::begin(model::kAllHooks), std::end(model::kAllHooks))};
const model::ProgramPlan kFew = model::default_program_plan();

enum class Work { kAdopt, kComeAndGo, kChangePlan, kRemade, kSwitchSet };

bool changes_something(uint64_t call) {
  switch (call) {
    case SYS_bpf:
    case SYS_mkdir:
    case SYS_rmdir:
    case SYS_unlink:
    case SYS_rename:
    case SYS_renameat:
    case SYS_renameat2:
    case SYS_unlinkat:
    case SYS_mkdirat: return true;
    default: return false;
  }
}

int count_programs() {
  int count = 0;
  for (uint32_t id = 0; bpf_prog_get_next_id(id, &id) == 0;) ++count;
  return count;
}

// What was killed is freed after a grace period, by a worker of the kernel's.
void wait_until_freed(int programs) {
  for (int i = 0; i < 200 && count_programs() > programs; ++i) (void)::poll(nullptr, 0, 10);
}

class Points {
 public:
  explicit Points(const Options& options) : options_(options), random_(options.seed) {
    attacher_options_.bpffs = options.bpffs;
    attacher_options_.own_bpffs = "";
    attacher_options_.folder = kFolder;
    attacher_options_.sets_folder = options.sets_folder;
    attacher_options_.canary_parent = options.cgroups;
    attacher_options_.keep_set = true;
  }
  ~Points() {
    attacher_.reset();
    std::error_code ignored;
    std::filesystem::remove_all(options_.bpffs + "/" + kFolder, ignored);
    for (const auto* name : kPods) (void)::rmdir(path_of(name).c_str());
    (void)::rmdir(path_of(kGuest).c_str());
    bpf::Canary::sweep(options_.cgroups);
    (void)::rmdir(options_.cgroups.c_str());
  }
  Points(const Points&) = delete;
  Points& operator=(const Points&) = delete;

  Result<Figures> run() {
    PINTLE_TRY(prepare());
    while (figures_.points < options_.points) {
      // Half of the draws would do. A work that hardly ever comes to the call drawn is a fault of this test.
      if (figures_.ended > options_.points + 20)
        return fail(Code::kInternal,
                    fmt::format("{} children ended, {} were killed; the last: {}", figures_.ended, figures_.points, where_));
      PINTLE_TRY(one());
    }
    return figures_;
  }

 private:
  [[nodiscard]] std::string path_of(const std::string& name) const { return options_.cgroups + "/pod" + name; }

  [[nodiscard]] Result<ports::PodCgroup> cgroup_of(const std::string& name) const {
    PINTLE_ASSIGN_OR_RETURN(auto dir, DirFd::open(path_of(name)));
    struct stat st{};
    if (::fstat(dir.get(), &st) != 0) return fail_errno(errno, "stat a pod's cgroup");
    return ports::PodCgroup{std::make_shared<DirFd>(std::move(dir)), CgroupId(st.st_ino), path_of(name), path_of(name)};
  }

  [[nodiscard]] Status make(const std::string& name) const {
    if (::mkdir(path_of(name).c_str(), 0755) != 0 && errno != EEXIST) return fail_errno(errno, fmt::format("make '{}'", path_of(name)));
    return {};
  }

  Status attach(bpf::LibbpfAttacher& attacher, const std::string& name, const model::ProgramPlan& plan) const {
    PINTLE_ASSIGN_OR_RETURN(const auto cgroup, cgroup_of(name));
    PINTLE_TRY(attacher.attach({PodUid(name), "default", name}, cgroup, plan));
    return {};
  }

  Status prepare() {
    std::error_code error;
    std::filesystem::create_directories(options_.cgroups, error);
    if (error) return fail_errno(error.value(), fmt::format("make '{}'", options_.cgroups));
    for (const auto* name : kPods) PINTLE_TRY(make(name));
    PINTLE_TRY(reconcile());
    set_ = attacher_->program_set().name;
    attacher_.reset();
    return {};
  }

  // What an agent's first look after a start comes to.
  Status reconcile() {
    attacher_ = bpf::LibbpfAttacher::create(attacher_options_, clock_);
    if (attacher_->unsupported()) return std::unexpected(*attacher_->unsupported());
    PINTLE_ASSIGN_OR_RETURN(const auto pinned, attacher_->list_pinned());
    for (const auto& uid : pinned)
      if (std::ranges::find(kPods, uid.value()) == std::end(kPods)) PINTLE_TRY(attacher_->detach(uid));
    for (const auto* name : kPods) PINTLE_TRY(attach(*attacher_, name, kAll));
    return {};
  }

  // In the child. Its errors are the kill's, or found by what is left.
  void work(Work kind) const {
    const auto attacher = bpf::LibbpfAttacher::create(attacher_options_, clock_);
    switch (kind) {
      case Work::kAdopt:
        for (const auto* name : kPods) (void)attach(*attacher, name, kAll);
        break;
      case Work::kComeAndGo:
        (void)attach(*attacher, kGuest, kAll);
        (void)attacher->detach(PodUid("third"));
        (void)attach(*attacher, "third", kAll);
        (void)attacher->detach(PodUid(kGuest));
        break;
      case Work::kChangePlan:
        (void)attach(*attacher, "first", kFew);
        (void)attach(*attacher, "first", kAll);
        break;
      case Work::kRemade: (void)attach(*attacher, "second", kAll); break;
      case Work::kSwitchSet: (void)attacher->use_program_set(set_ == "next" ? "builtin" : "next"); break;
    }
  }

  struct Child {
    int stops = 0;  // calls until its end, or its death before (even) or after (odd) the one of that number
    bool killed = false;
  };
  Result<Child> run_child(Work kind, int kill_at) {
    const pid_t pid = ::fork();
    if (pid < 0) return fail_errno(errno, "fork");
    if (pid == 0) {
      if (::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) != 0) ::_exit(3);
      (void)::raise(SIGSTOP);
      work(kind);
      ::_exit(0);
    }
    int status = 0;
    if (::waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status)) return fail(Code::kUnsupported, "this process may not trace its child");
    (void)::ptrace(PTRACE_SETOPTIONS, pid, nullptr, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL);
    int stops = 0;
    for (long deliver = 0;;) {
      if (::ptrace(PTRACE_SYSCALL, pid, nullptr, deliver) != 0 || ::waitpid(pid, &status, 0) != pid)
        return fail_errno(errno, "trace a child");
      if (!WIFSTOPPED(status)) return Child{stops, false};
      deliver = WSTOPSIG(status) == (SIGTRAP | 0x80) ? 0 : WSTOPSIG(status);
      if (deliver != 0 || !is_change(pid)) continue;
      if (stops++ != kill_at) continue;
      (void)::kill(pid, SIGKILL);
      (void)::waitpid(pid, &status, 0);
      if (!WIFSIGNALED(status)) return fail(Code::kInternal, fmt::format("{}: the child outlived its kill", where_));
      return Child{stops, true};
    }
  }

  // At the entry of a call; its exit has the same number, which is remembered.
  bool is_change(pid_t pid) {
    __ptrace_syscall_info info{};
    if (::ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof info, &info) <= 0) return false;
    if (info.op == PTRACE_SYSCALL_INFO_ENTRY) last_call_ = info.entry.nr;
    return changes_something(last_call_);
  }

  Status one() {
    const bool switching = (figures_.points + figures_.ended) % kSwitchEvery == kSwitchEvery - 1;
    const Work kind = switching ? Work::kSwitchSet : static_cast<Work>(random_() % 4);
    PINTLE_TRY(make(kGuest));
    if (kind == Work::kRemade) {
      if (::rmdir(path_of("second").c_str()) != 0) return fail_errno(errno, "remove a pod's cgroup");
      PINTLE_TRY(make("second"));
    }
    const auto before = links_of(kUntouched);
    const int programs = count_programs();
    // The first time of each kind nobody is killed: that is how many calls there are.
    const auto known = calls_.find(kind);
    const int kill_at = known == calls_.end() ? -1 : static_cast<int>(random_() % static_cast<uint64_t>(known->second));
    where_ = fmt::format("seed {}, point {}, work {}, killed at stop {} of {}", options_.seed, figures_.points, static_cast<int>(kind),
                         kill_at, known == calls_.end() ? 0 : known->second);
    PINTLE_ASSIGN_OR_RETURN(const auto child, run_child(kind, kill_at));
    if (known == calls_.end()) calls_[kind] = std::max(child.stops, 1), figures_.calls += child.stops;
    ++(child.killed ? figures_.points : figures_.ended);
    look_at_the_moment();
    PINTLE_TRY(reconcile());
    look_afterwards(before);
    const auto set = attacher_->program_set().name;
    figures_.switches += set != set_ ? 1 : 0;
    set_ = set;
    attacher_.reset();
    (void)::rmdir(path_of(kGuest).c_str());
    wait_until_freed(programs);
    return {};
  }

  void fault(int& counter, const std::string& what) {
    ++counter;
    if (figures_.first_fault.empty()) figures_.first_fault = fmt::format("{}: {}", where_, what);
  }

  [[nodiscard]] std::map<Hook, LinkId> links_of(const std::string& name) const {
    std::map<Hook, LinkId> links;
    for (const auto hook : model::kAllHooks) {
      const auto link = bpf::BpfLink::open(bpf::hook_pin(layout().pod(PodUid(name)), hook));
      const auto info = link ? link->info() : Result<bpf::LinkInfo>(std::unexpected(link.error()));
      if (info) links[hook] = info->id;
    }
    return links;
  }
  [[nodiscard]] bpf::PinLayout layout() const { return {fmt::format("{}/{}/{}", options_.bpffs, kFolder, bpf::kSchema)}; }

  [[nodiscard]] size_t running(const std::string& name, Hook hook) const {
    const auto dir = DirFd::open(path_of(name));
    if (!dir) return 0;
    return bpf::query_effective({.cgroup = *dir, .path = path_of(name), .attach_type = bpf::attach_type_of(hook)}, clock_).running.size();
  }

  // No agent runs. A pod whose hooks were not what the work was about has every one of them.
  void look_at_the_moment() {
    for (const auto* name : {kUntouched})
      for (const auto hook : model::kAllHooks)
        if (running(name, hook) == 0)
          fault(figures_.without_programs, fmt::format("pod '{}' has no program on hook {}", name, model::to_string(hook)));
    for (const auto hook : kFew.hooks)  // fewer hooks or more: these were in both plans
      if (running("first", hook) == 0)
        fault(figures_.without_programs, fmt::format("pod 'first' has no program on hook {}", model::to_string(hook)));
  }

  void look_afterwards(const std::map<Hook, LinkId>& before) {
    if (links_of(kUntouched) != before) fault(figures_.changed_links, "the untouched pod has other links");
    for (const auto* name : kPods) look_at_pod(name);
    std::set<std::string> wanted(std::begin(kPods), std::end(kPods));
    for (const auto& name : bpf::list_pins(layout().pods()).value_or(std::vector<std::string>()))
      if (!wanted.contains(name))
        fault(name.starts_with(bpf::kPendingPrefix) ? figures_.left_folders : figures_.orphan_pins, "pods/" + name);
    const std::set<std::string> folders{"prog", "map", "link", "node", "operators", "pods"};
    for (const auto& name : bpf::list_pins(layout().root).value_or(std::vector<std::string>()))
      if (!folders.contains(name)) fault(figures_.left_folders, name);
    if (const auto programs = bpf::list_pins(layout().set()); !programs || programs->size() != model::kHookCount + 1)
      fault(figures_.orphan_pins, "prog/ has not a pin for each hook and the record");
    struct stat st{};
    if (::stat(fmt::format("{}/{}", options_.cgroups, bpf::kCanaryCgroup).c_str(), &st) == 0)
      fault(figures_.left_folders, "the check's cgroup");
    look_at_rows();
  }

  void look_at_pod(const std::string& name) {
    const auto report = attacher_->inspect(PodUid(name));
    std::set<std::string> sets;
    size_t in_force = 0;
    if (report)
      for (const auto& hook : report->hooks) {
        sets.insert(hook.program_set);
        in_force += hook.state == model::HookState::kAttached || hook.state == model::HookState::kAdopted ? 1 : 0;
      }
    if (in_force != model::kHookCount) fault(figures_.missing_hooks, fmt::format("pod '{}' has {} hooks in force", name, in_force));
    if (sets.size() != 1 || sets.contains(""))
      fault(figures_.mixed_sets, fmt::format("pod '{}' has programs of {} sets", name, sets.size()));
    for (const auto hook : model::kAllHooks)
      if (running(name, hook) != 1)
        fault(figures_.missing_hooks,
              fmt::format("pod '{}' runs {} programs on hook {}", name, running(name, hook), model::to_string(hook)));
    const auto pins = bpf::list_pins(layout().pod(PodUid(name))).value_or(std::vector<std::string>());
    for (const auto& pin : pins)
      if (!model::parse_hook(pin)) fault(figures_.orphan_pins, fmt::format("pods/{}/{}", name, pin));
  }

  void look_at_rows() {
    const auto rows = bpf::open_pin(layout().map("lifecycle_pods"));
    if (!rows) return;  // no tracepoint programs here
    std::set<uint64_t> cgroups;
    for (const auto* name : kPods)
      if (const auto cgroup = cgroup_of(name)) cgroups.insert(cgroup->id.value());
    uint64_t key = 0;
    for (const uint64_t* previous = nullptr; bpf_map_get_next_key(rows->get(), previous, &key) == 0; previous = &key)
      if (!cgroups.contains(key)) fault(figures_.leaked_slots, fmt::format("a row for cgroup {}", key));
  }

  const Options options_;
  bpf::LibbpfAttacher::Options attacher_options_;
  SystemClock clock_;
  std::mt19937_64 random_;
  Figures figures_;
  std::string where_, set_;
  std::map<Work, int> calls_;
  uint64_t last_call_ = 0;
  std::unique_ptr<bpf::LibbpfAttacher> attacher_;
};

}  // namespace

Result<Figures> run_crash_points(const Options& options) { return Points(options).run(); }

}  // namespace pintle::crash
