// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// One seeded history of a node: users who make and delete pods, containers that end, an API, a runtime with faults, and the
// agent's loop and executor on top, which may be killed at any moment. The invariants are checked as things happen:
//  - no container starts of a pod whose required programs are not in force on its cgroup;
//  - at most one live instance of a container of a pod;
//  - a container of a pod that should just run is never stopped nor started again, whatever else happens;
//  - what the API is told is monotonic: terminal phases stay, a pod that ran is not pending again, restart counts do not fall;
//  - no terminal phase while a container of the pod runs;
//  - what is wanted by nobody ends within a bound, and in the end nothing is left: container, sandbox, pin, cgroup, directory, log, link;
//  - of a pod that is in its source the log of each container's newest instance stays, whether it runs or has ended;
//  - a pod whose calls hang delays no other one.
// Thread rule: one thread, no real clock, no I/O.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "fakes/bpf/fake_program_attacher.h"
#include "fakes/cgroup/fake_cgroup_tree.h"
#include "fakes/cri/fake_container_runtime.h"
#include "fakes/reconcile/node_fakes.h"
#include "fakes/reconcile/runtime_decorator.h"
#include "reconcile/executor.h"
#include "reconcile/pod_loop.h"
#include "sim_core.h"

namespace pintle::sim {

using ports::PodPtr;

// How rough a history is; drawn from the seed.
struct Weather {
  double call_fails = 0;       // percent of calls that fail without effect
  double reply_lost = 0;       // percent of actions whose reply is lost after the effect
  double call_hangs = 0;       // percent of actions that hang for minutes
  double event_lost = 0;       // percent of runtime events that never come
  double crash_per_event = 0;  // percent
  int crash_every = 0;         // … or at every nth event
  bool runtime_outages = false, attach_refusals = false, late_images = false;
  std::string owner;                     // the mark on sandboxes; without one a pod is known by what it left in our own trees
  std::optional<std::string> stuck_pod;  // all calls for this pod hang
  [[nodiscard]] bool calm() const {
    return call_fails + reply_lost + call_hangs + crash_per_event == 0 && crash_every == 0 && !runtime_outages;
  }
};

// What the users and the scripted containers of a pod do.
struct SimPod {
  std::string uid, name;
  bool is_static = false;
  bool reborn = false;  // the same UID came back: its history may begin anew
  bool steady = false;  // no end, no update, no probe: its containers must be left in peace
  Time made_at{};
  std::optional<Time> unwanted_since;
  std::map<std::string, int> crashes;  // per container: how it ends; see life_of()
};

class World {
 public:
  World(uint64_t seed, bool keep_log);
  ~World();
  // Throws Broken.
  void run();

  [[nodiscard]] const EventLog& log() const { return log_; }
  [[nodiscard]] uint64_t events() const { return events_; }

 private:
  class Daemon;
  friend class Daemon;

  // sim_world.cpp
  void step();
  void after(Duration delay, std::function<void()> run) { queue_.at(clock_.now() + delay, std::move(run)); }
  [[nodiscard]] Time now() const { return clock_.now(); }
  [[noreturn]] void broken(std::string what);
  void choose_weather();
  void schedule_outages();
  void settle_down();
  void check_unwanted();
  void check_logs();
  void check_nothing_left();
  // Made by a call that hung in the runtime until its pod was released and the agent that did that was killed, too. Without a mark it may
  // as well be another agent's.
  [[nodiscard]] bool nobody_knows(const fakes::FakeSandbox& sandbox) const;
  void check_stuck_delays_nobody();

  // sim_pods.cpp: users and containers
  void schedule_users();
  void user_acts();
  PodPtr make_pod(const std::string& name, bool is_static);
  void create_pod(const std::string& name, bool is_static);
  void delete_pod(const std::string& uid, int64_t grace);
  void force_delete(const std::string& uid);
  void remove_static(const std::string& uid);
  void update_pod(const std::string& uid);
  void container_starts(const fakes::FakeContainer& container, const fakes::FakeSandbox& sandbox);
  void container_stops(const ContainerId& id);
  [[nodiscard]] static ports::LogTarget log_of(const fakes::FakeContainer& container, const fakes::FakeSandbox& sandbox);
  void end_later(const ContainerId& id, const std::string& uid, const std::string& name, uint32_t attempt);
  void sandbox_dies();
  [[nodiscard]] bool wanted(const std::string& uid) const;

  // sim_api.cpp: the API's side
  void api_write(const std::string& uid, const model::PodStatus& status);
  void api_gone(const std::string& uid);
  void check_status(const std::string& uid, const model::PodStatus& before, const model::PodStatus& after);
  void tell_daemon(const std::string& uid, Duration delay);

  // sim_daemon.cpp
  void start_daemon();
  void crash_daemon(const char* why);
  void runtime_changed(const std::string& uid);

  const uint64_t seed_;
  Chance chance_;
  VirtualClock clock_;
  EventLog log_;
  EventQueue queue_;
  Weather weather_;
  uint64_t events_ = 0;
  bool calm_down_ = false;  // the last part: no more faults, everything is deleted
  Time last_trouble_{};     // of any fault, crash or outage
  bool runtime_down_ = false;

  fakes::FakeContainerRuntime runtime_;
  fakes::RuntimeDecorator<fakes::FakeContainerRuntime> door_;
  std::set<std::string> forgotten_;  // pods that had been released when the agent was killed
  fakes::FakeCgroupTree cgroups_;
  fakes::FakeProgramAttacher programs_;
  fakes::MemoryVolumes volumes_;
  fakes::MemoryLogs logs_;
  fakes::MemoryObjects objects_;
  fakes::ScriptedProber prober_;

  std::map<std::string, PodPtr> api_pods_;        // by uid
  std::map<std::string, PodPtr> static_pods_;     // files
  std::map<std::string, model::PodStatus> told_;  // of every pod ever, as last published by any daemon
  std::map<std::string, SimPod> pods_;            // every pod ever
  std::map<std::string, int> generations_;        // of names
  std::set<std::string> ended_;                   // containers that ended by themselves or were told to
  std::set<std::string> sandbox_lost_;            // pods whose sandbox died: their containers may be started again
  std::shared_ptr<Daemon> daemon_;
  std::vector<std::shared_ptr<Daemon>> dead_daemons_;  // their calls may still be under way
};

}  // namespace pintle::sim
