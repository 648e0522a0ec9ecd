// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// What the kernel tests stand on: a mount and a network namespace of the process's own with a bpffs and a loopback, pod cgroups below
// one named after the process, children that start inside a cgroup. Everything is removed at exit; skips name what is missing.
#pragma once

#include <chrono>
#include <compare>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <vector>

#include <sys/types.h>

#include "bpf/libbpf_attacher.h"
#include "ports/cgroup_tree.h"

namespace pintle::kernel_test {

// Makes the namespaces once; SKIPs without root or a cgroup2 mount. The bpffs's path.
const std::string& require_kernel();
// "<cgroup2>/pintle-test-<pid>".
std::string cgroup_home();

// The tests' program sets (ebpf/CMakeLists.txt), as files of our own: an image's may be of whoever built it.
std::string sets_folder();

// What a test may leave out is asked of the kernel, never of the code under test: missing() skips on a kernel that came before the feature,
// and fails on one that has it.
struct KernelVersion {
  int major = 0, minor = 0;
  auto operator<=>(const KernelVersion&) const = default;
};
KernelVersion kernel_version();
void missing(KernelVersion since, const std::string& what);
// "/sys/kernel/btf/vmlinux": CONFIG_DEBUG_INFO_BTF.
bool kernel_has_btf();
// For tests of what the lifecycle programs tell: they load unless this kernel is older than 5.5, without BTF or locked down.
void require_tracepoints(bpf::LibbpfAttacher& attacher);

class PodDir {
 public:
  explicit PodDir(const std::string& name);  // "kubepods/pod…": made, with its parents
  ~PodDir();
  PodDir(const PodDir&) = delete;
  PodDir& operator=(const PodDir&) = delete;
  [[nodiscard]] ports::PodCgroup handle() const;
  [[nodiscard]] const std::string& path() const { return path_; }
  // A container's cgroup inside.
  [[nodiscard]] std::string child(const std::string& name) const;
  void remove() const;
  void make() const;

 private:
  std::string path_;
};

// Runs `body` in a child that is in the cgroup from its first instruction of it on. The wait status.
int run_inside(const std::string& cgroup, const std::function<int()>& body);

// Collects events until a condition holds, at most ten seconds.
class EventLog {
 public:
  void add(const model::ProgramEvent& event);
  [[nodiscard]] std::vector<model::ProgramEvent> wait(const std::function<bool(const std::vector<model::ProgramEvent>&)>& done);

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<model::ProgramEvent> events_;
};

// Sends and receives `count` datagrams of `payload` bytes to itself over 127.0.0.1. 0, or the failing step's number.
int udp_echo(int count, int payload);
// connect() of an UDP socket: no packet is sent. 0, or 1 when refused.
int udp_connect(const std::string& address, uint16_t port);

// An attacher of the test's own folder of pins, which it removes at the end.
class Node {
 public:
  explicit Node(const std::string& folder);
  ~Node();
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;
  bpf::LibbpfAttacher& start();  // a first run, or a restart
  void stop() { attacher_.reset(); }
  bpf::LibbpfAttacher& operator*() const { return *attacher_; }
  bpf::LibbpfAttacher* operator->() const { return attacher_.get(); }
  bpf::LibbpfAttacher::Options options;

 private:
  SystemClock clock_;
  std::unique_ptr<bpf::LibbpfAttacher> attacher_;
};

inline const model::ProgramPlan kEveryHook = model::default_program_plan();

}  // namespace pintle::kernel_test
