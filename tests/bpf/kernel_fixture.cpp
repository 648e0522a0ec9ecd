// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "kernel_fixture.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include <arpa/inet.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fmt/format.h>
#include <catch2/catch_test_macros.hpp>

#include "bpf/evidence.h"

namespace pintle::kernel_test {
namespace {

pid_t owner = 0;

void remove_home() {
  if (::getpid() != owner) return;  // a forked child leaves its parent's cgroups alone
  std::error_code error;
  std::vector<std::string> folders{cgroup_home()};
  for (std::filesystem::recursive_directory_iterator it(cgroup_home(), error), end; !error && it != end; it.increment(error))
    if (it->is_directory(error)) folders.push_back(it->path().string());
  for (auto it = folders.rbegin(); it != folders.rend(); ++it) (void)::rmdir(it->c_str());
}

bool loopback_up() {
  const UniqueFd fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request{};
  std::strcpy(request.ifr_name, "lo");
  request.ifr_flags = IFF_UP;
  return ::ioctl(fd.get(), SIOCSIFFLAGS, &request) == 0;
}

// The reason to skip; empty: ready.
std::string prepare(std::string& bpffs) {
  if (::geteuid() != 0) return "needs root";
  if (bpf::find_cgroup2_mount().empty()) return "no cgroup2 file system is mounted";
  if (::unshare(CLONE_NEWNS | CLONE_NEWNET) != 0) return fmt::format("no namespaces of its own: {}", std::strerror(errno));
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return "can't make mounts private";
  // Over /mnt, and in this namespace only: nothing to remove afterwards.
  if (::mount("tmpfs", "/mnt", "tmpfs", 0, nullptr) != 0 || ::mkdir("/mnt/bpf", 0700) != 0) return "can't mount a tmpfs";
  if (::mount("bpf", "/mnt/bpf", "bpf", 0, nullptr) != 0) return fmt::format("can't mount a bpffs: {}", std::strerror(errno));
  if (!loopback_up()) return "can't bring the loopback up";
  owner = ::getpid();
  (void)cgroup_home();  // made before the handler is registered, so destroyed after it has run
  (void)std::atexit(remove_home);
  bpffs = "/mnt/bpf";
  return {};
}

}  // namespace

const std::string& require_kernel() {
  static std::string bpffs;
  static const std::string missing = prepare(bpffs);
  if (!missing.empty()) SKIP(missing);
  return bpffs;
}

KernelVersion kernel_version() {
  utsname names{};
  KernelVersion out;
  if (::uname(&names) == 0) (void)std::sscanf(names.release, "%d.%d", &out.major, &out.minor);
  return out;
}

void missing(KernelVersion since, const std::string& what) {
  const auto here = kernel_version();
  INFO(fmt::format("{}: kernels have it since {}.{}, this is {}.{}", what, since.major, since.minor, here.major, here.minor));
  REQUIRE(here < since);
  SKIP(fmt::format("{}: came with {}.{}, this is {}.{}", what, since.major, since.minor, here.major, here.minor));
}

bool kernel_has_btf() { return ::access("/sys/kernel/btf/vmlinux", F_OK) == 0; }

void require_tracepoints(bpf::LibbpfAttacher& attacher) {
  const auto features = attacher.features();
  const auto probe = std::ranges::find(features, "tracepoint programs", &model::FeatureProbe::name);
  REQUIRE(probe != features.end());
  if (probe->available) return;
  if (!kernel_has_btf()) SKIP("this kernel has no BTF, and so no tracepoint programs");
  if (read_file("/sys/kernel/security/lockdown").value_or("").find("[confidentiality]") != std::string::npos)
    SKIP("this kernel is locked down, which forbids tracepoint programs");
  missing({5, 17}, "tracepoint programs: " + probe->detail);
}

std::string cgroup_home() {
  static const std::string home = fmt::format("{}/pintle-test-{}", bpf::find_cgroup2_mount(), ::getpid());
  return home;
}

std::string sets_folder() {
  static const std::string folder = [] {
    (void)require_kernel();  // whose tmpfs it lies in
    const std::string copy = "/mnt/sets";
    std::error_code error;
    for (std::filesystem::directory_iterator it(PINTLE_SETS_DIR, error), end; !error && it != end; it.increment(error)) {
      const auto to = std::filesystem::path(copy) / it->path().filename();
      std::filesystem::create_directories(to, error);
      std::filesystem::copy_file(it->path() / "pintle_cgroup.bpf.o", to / "pintle_cgroup.bpf.o", error);
    }
    REQUIRE(error.message() == std::error_code().message());
    return copy;
  }();
  return folder;
}

PodDir::PodDir(const std::string& name) : path_(cgroup_home() + "/" + name) { make(); }
PodDir::~PodDir() { remove(); }

void PodDir::make() const {
  std::error_code error;
  std::filesystem::create_directories(path_, error);
  REQUIRE(!error);
}

void PodDir::remove() const {
  std::error_code error;
  for (std::filesystem::directory_iterator it(path_, error), end; !error && it != end; it.increment(error))
    if (it->is_directory(error)) (void)::rmdir(it->path().c_str());
  (void)::rmdir(path_.c_str());
}

ports::PodCgroup PodDir::handle() const {
  auto dir = DirFd::open(path_);
  REQUIRE(dir);
  struct stat st{};
  REQUIRE(::fstat(dir->get(), &st) == 0);
  return {std::make_shared<DirFd>(std::move(*dir)), CgroupId(st.st_ino), path_, path_.substr(bpf::find_cgroup2_mount().size())};
}

std::string PodDir::child(const std::string& name) const {
  const std::string path = path_ + "/" + name;
  if (::mkdir(path.c_str(), 0755) != 0) REQUIRE(errno == EEXIST);
  return path;
}

int run_inside(const std::string& cgroup, const std::function<int()>& body) {
  int go[2];
  REQUIRE(::pipe2(go, O_CLOEXEC) == 0);
  const UniqueFd reader(go[0]);
  UniqueFd writer(go[1]);
  const pid_t pid = ::fork();
  REQUIRE(pid >= 0);
  if (pid == 0) {
    char byte = 0;
    writer.reset();
    if (::read(reader.get(), &byte, 1) != 1) ::_exit(120);
    ::_exit(body());
  }
  std::error_code error;
  std::filesystem::create_directories(cgroup, error);  // the home, where no pod was made yet
  REQUIRE(!error);
  const auto dir = DirFd::open(cgroup);
  REQUIRE(dir);
  const auto moved = write_file_at(*dir, "cgroup.procs", std::to_string(pid));
  if (moved) (void)!::write(writer.get(), "g", 1);
  writer.reset();
  int status = 0;
  REQUIRE(::waitpid(pid, &status, 0) == pid);
  REQUIRE(moved);
  return status;
}

void EventLog::add(const model::ProgramEvent& event) {
  const std::lock_guard lock(mutex_);
  events_.push_back(event);
  changed_.notify_all();
}

std::vector<model::ProgramEvent> EventLog::wait(const std::function<bool(const std::vector<model::ProgramEvent>&)>& done) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, std::chrono::seconds(10), [&] { return done(events_); });
  return events_;
}

int udp_echo(int count, int payload) {
  const UniqueFd fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  auto* raw = reinterpret_cast<sockaddr*>(&address);
  if (::bind(fd.get(), raw, length) != 0) return 1;
  if (::getsockname(fd.get(), raw, &length) != 0) return 2;
  std::string data(static_cast<size_t>(payload), 'x');
  for (int i = 0; i < count; ++i) {
    if (::sendto(fd.get(), data.data(), data.size(), 0, raw, length) != payload) return 3;
    if (::recv(fd.get(), data.data(), data.size(), 0) != payload) return 4;
  }
  return 0;
}

int udp_connect(const std::string& address, uint16_t port) {
  sockaddr_storage storage{};
  socklen_t length = 0;
  if (auto* v4 = reinterpret_cast<sockaddr_in*>(&storage); ::inet_pton(AF_INET, address.c_str(), &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = htons(port);
    length = sizeof *v4;
  } else {
    auto* v6 = reinterpret_cast<sockaddr_in6*>(&storage);
    if (::inet_pton(AF_INET6, address.c_str(), &v6->sin6_addr) != 1) return 2;
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(port);
    length = sizeof *v6;
  }
  const UniqueFd fd(::socket(storage.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  return ::connect(fd.get(), reinterpret_cast<sockaddr*>(&storage), length) == 0 ? 0 : 1;
}

Node::Node(const std::string& folder) {
  options.bpffs = require_kernel();
  options.own_bpffs = "";
  options.folder = folder;
  options.canary_parent = cgroup_home();
}

Node::~Node() {
  stop();
  std::error_code error;
  std::filesystem::remove_all(options.bpffs + "/" + options.folder, error);
}

bpf::LibbpfAttacher& Node::start() {
  attacher_.reset();  // the one before must be gone: two would read one ring
  attacher_ = bpf::LibbpfAttacher::create(options, clock_);
  return *attacher_;
}

}  // namespace pintle::kernel_test
