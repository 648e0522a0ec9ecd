// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// The agent inside a simulated history: PodLoop and PodExecutor as they are, with the world's queue in place of threads. An
// action has its effect at one time and its reply at a later one; a daemon that was killed stays as a ghost, since what it had
// asked for may still happen.
#pragma once

#include "sim_world.h"

namespace pintle::sim {

class World::Daemon final : public reconcile::ActionRunner,
                            public reconcile::ProbeRunner,
                            public reconcile::StatusSink,
                            public ports::EventSink,
                            public std::enable_shared_from_this<World::Daemon> {
 public:
  explicit Daemon(World& world);
  void boot();
  void kill() { alive_ = false; }
  [[nodiscard]] bool alive() const { return alive_; }
  [[nodiscard]] reconcile::PodLoop& loop() { return loop_; }

  void source_tells(const std::string& uid);
  void look_at(const std::string& uid);
  void plan_wake();

  // --- outputs of the loop ---
  void start(const PodUid& uid, reconcile::ActionTicket ticket, const lifecycle::Action& action, const reconcile::ActionContext& context,
             std::stop_token stop) override;
  void start(const PodUid& uid, const lifecycle::ProbeRun& run, const reconcile::ActionContext& context, std::stop_token stop) override;
  void publish(reconcile::StatusUpdate update) override;
  void forget(const PodUid& uid) override { pending_.erase(uid.value()); }
  void record(const model::Event&) override {}

 private:
  struct Call {
    PodUid uid;
    reconcile::ActionTicket ticket;
    lifecycle::Action action;
    reconcile::ActionContext context;
    std::stop_token stop;
    bool hung = false, ran = false;
    std::unique_ptr<std::stop_callback<std::function<void()>>> on_stop;
  };
  struct Pending {
    reconcile::StatusUpdate update;
    bool sending = false;
  };

  void run(const std::shared_ptr<Call>& call);
  [[nodiscard]] Duration time_of(const lifecycle::Action& action);
  void send(const std::string& uid, Duration delay);
  void audit();
  void poll_runtime();

  World& world_;
  bool alive_ = true, runtime_ok_ = false, told_node_ = false;
  reconcile::ReadClock reads_;
  reconcile::PodExecutor executor_;
  reconcile::PodLoop loop_;
  std::map<std::string, Pending> pending_;
  std::optional<Time> wake_planned_;
};

}  // namespace pintle::sim
