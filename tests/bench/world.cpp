// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "bench/world.h"

#include <cerrno>
#include <csignal>
#include <ctime>

#include <arpa/inet.h>
#include <linux/sched.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fmt/format.h>

#include "bpf/uninstall.h"

namespace pintle::bench {

bpf::LibbpfAttacher::Options own_options() {
  bpf::LibbpfAttacher::Options options;
  options.bpffs = fmt::format("/tmp/pintle-bench-{}/none", ::getpid());
  options.own_bpffs = fmt::format("/tmp/pintle-bench-{}", ::getpid());
  options.folder = "bench";
  return options;
}

World::World(bpf::LibbpfAttacher::Options options, cgroup::Layout layout)
    : options_(std::move(options)), tree_(std::move(layout), fmt::format("/pintle-bench-{}", ::getpid())) {}

Result<std::unique_ptr<World>> World::make(const bpf::MapSizes& sizes) {
  PINTLE_ASSIGN_OR_RETURN(cgroup::Layout layout, cgroup::probe_layout());
  layout.v1.clear();  // only identity is needed
  layout.v1_mounts.clear();
  auto options = own_options();
  options.sizes = sizes;
  std::unique_ptr<World> world(new World(std::move(options), std::move(layout)));
  PINTLE_TRY(world->start());
  return world;
}

World::~World() {
  attacher_.reset();
  for (const auto& uid : pods_) (void)tree_.remove_pod(PodUid(uid));
  (void)tree_.remove_root();
  (void)bpf::remove_pins(options_);
}

Status World::start() {
  attacher_ = bpf::LibbpfAttacher::create(options_, clock_);
  if (attacher_->unsupported()) return std::unexpected(*attacher_->unsupported());
  return {};
}

Result<ports::PodCgroup> World::make_pod(const std::string& uid) {
  pods_.insert(uid);
  return tree_.ensure_pod(PodUid(uid), model::QosClass::kBestEffort, {});
}

void World::remove_pod(const std::string& uid) {
  if (attacher_) (void)attacher_->detach(PodUid(uid));
  (void)tree_.remove_pod(PodUid(uid));
  pods_.erase(uid);
}

Result<model::AttachReport> World::attach(const std::string& uid, const ports::PodCgroup& cgroup, const model::ProgramPlan& plan) {
  PINTLE_ASSIGN_OR_RETURN(auto report, attacher_->attach({PodUid(uid), "default", uid}, cgroup, plan));
  for (const auto& hook : report.hooks)
    if (!hook.error.empty()) return fail(Code::kInternal, fmt::format("pod {}: {}", uid, hook.error));
  return report;
}

Result<model::ProgramPlan> World::isolated(const model::PolicyRows& rows, uint32_t policy) {
  PINTLE_TRY(attacher_->policy_tables()->replace(policy, rows));
  auto plan = model::default_program_plan();
  plan.traces.clear();
  plan.network_policy = policy;
  plan.isolate_egress = true;
  plan.network = model::Enforcement::kEnforce;
  return plan;
}

Result<pid_t> spawn(const ports::PodCgroup& cgroup, const std::function<int()>& body) {
  // A container's own: a pod's cgroup hands controllers down, so it may hold no process.
  const std::string container = cgroup.path + "/c";
  if (::mkdir(container.c_str(), 0755) != 0 && errno != EEXIST) return fail_errno(errno, "make " + container);
  PINTLE_ASSIGN_OR_RETURN(const auto dir, DirFd::open(container));
  clone_args args{};
  args.flags = CLONE_INTO_CGROUP;
  args.exit_signal = SIGCHLD;
  args.cgroup = static_cast<__u64>(dir.get());
  const auto child = static_cast<pid_t>(::syscall(SYS_clone3, &args, sizeof args));
  if (child < 0) return fail_errno(errno, "clone into " + container);
  if (child == 0) ::_exit(body());
  return child;
}

Result<int> wait_for(pid_t child) {
  int status = 0;
  if (::waitpid(child, &status, 0) != child) return fail_errno(errno, "wait for a child");
  if (!WIFEXITED(status)) return fail(Code::kInternal, fmt::format("a child was ended by signal {}", WTERMSIG(status)));
  return WEXITSTATUS(status);
}

Status run_in(const ports::PodCgroup& cgroup, const std::function<int()>& body) {
  PINTLE_ASSIGN_OR_RETURN(const pid_t child, spawn(cgroup, body));
  PINTLE_ASSIGN_OR_RETURN(const int code, wait_for(child));
  return code == 0 ? Status{} : fail(Code::kInternal, fmt::format("a child failed at its step {}", code));
}

void* map_shared(size_t size) {
  void* at = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (at == MAP_FAILED) std::abort();
  return at;
}
void unmap_shared(void* at, size_t size) { (void)::munmap(at, size); }

int udp_socket() { return ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0); }

int udp_connect(int socket, uint32_t address, uint16_t port) {
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_addr.s_addr = htonl(address);
  to.sin_port = htons(port);
  return ::connect(socket, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0 ? 0 : errno;
}

void let_pass(Duration duration) {
  (void)::poll(nullptr, 0, static_cast<int>(std::chrono::duration_cast<std::chrono::milliseconds>(duration).count()));
}

int64_t boot_ns() {
  timespec now{};
  (void)::clock_gettime(CLOCK_BOOTTIME, &now);
  return now.tv_sec * 1'000'000'000LL + now.tv_nsec;
}

}  // namespace pintle::bench
