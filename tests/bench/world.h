// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// What the eBPF benchmarks stand on: pins in a bpffs of their own, pod cgroups below one named after the process, and children that are
// in a pod's cgroup from their first instruction on, as a container's are. Everything goes with it. Not for tests: see tests/bpf.
// Thread rule: one thread; spawn() REQUIRES that the body uses nothing a thread of the parent may hold (it is a fork).
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <set>
#include <string>

#include <sys/types.h>

#include "bpf/libbpf_attacher.h"
#include "cgroup/cgroup_fs_tree.h"

namespace pintle::bench {

class World {
 public:
  [[nodiscard]] static Result<std::unique_ptr<World>> make(const bpf::MapSizes& sizes = {});
  ~World();
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  [[nodiscard]] bpf::LibbpfAttacher& attacher() { return *attacher_; }
  [[nodiscard]] const bpf::LibbpfAttacher::Options& options() const { return options_; }
  void stop() { attacher_.reset(); }
  [[nodiscard]] Status start();  // the first time, and after stop()

  [[nodiscard]] Result<ports::PodCgroup> make_pod(const std::string& uid);
  void remove_pod(const std::string& uid);
  // kInternal when a hook was refused.
  [[nodiscard]] Result<model::AttachReport> attach(const std::string& uid, const ports::PodCgroup& cgroup, const model::ProgramPlan& plan);
  // A plan whose egress is decided by `rows`.
  [[nodiscard]] Result<model::ProgramPlan> isolated(const model::PolicyRows& rows, uint32_t policy = 1);

 private:
  World(bpf::LibbpfAttacher::Options options, cgroup::Layout layout);
  const SystemClock clock_;
  const bpf::LibbpfAttacher::Options options_;
  cgroup::CgroupFsTree tree_;
  std::set<std::string> pods_;
  std::unique_ptr<bpf::LibbpfAttacher> attacher_;
};

// Pins in a bpffs of the benchmark's own, gone with it.
[[nodiscard]] bpf::LibbpfAttacher::Options own_options();

// A child that runs `body` in the cgroup and ends with what it returns.
[[nodiscard]] Result<pid_t> spawn(const ports::PodCgroup& cgroup, const std::function<int()>& body);
// Its exit code; kInternal when it was killed.
[[nodiscard]] Result<int> wait_for(pid_t child);
// spawn() and wait_for(); an exit code other than 0 is an error.
[[nodiscard]] Status run_in(const ports::PodCgroup& cgroup, const std::function<int()>& body);

// Memory that children share with their parent; zeroed.
template <typename T>
class Shared {
 public:
  Shared() : value_(static_cast<T*>(map(sizeof(T)))) {}
  ~Shared() { unmap(value_, sizeof(T)); }
  Shared(const Shared&) = delete;
  Shared& operator=(const Shared&) = delete;
  T* operator->() const { return value_; }
  T& operator*() const { return *value_; }

 private:
  static void* map(size_t size);
  static void unmap(void* at, size_t size);
  T* value_;
};
[[nodiscard]] void* map_shared(size_t size);
void unmap_shared(void* at, size_t size);
template <typename T>
void* Shared<T>::map(size_t size) {
  return map_shared(size);
}
template <typename T>
void Shared<T>::unmap(void* at, size_t size) {
  unmap_shared(at, size);
}

// connect() of a datagram socket: no packet is sent. 0 or errno.
int udp_connect(int socket, uint32_t address, uint16_t port);
[[nodiscard]] int udp_socket();
// What a measurement is for, such as an outage, takes its time.
void let_pass(Duration duration);
// Nanoseconds of CLOCK_BOOTTIME, as the programs stamp their events.
[[nodiscard]] int64_t boot_ns();

// 10.77.0.9, which scripts/bench gives to the loopback device of its namespace: policy never asks about 127.0.0.1.
inline constexpr uint32_t kElsewhere = 0x0a4d0009;

}  // namespace pintle::bench
