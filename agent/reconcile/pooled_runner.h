// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Runs actions and probes on pools of threads and hands their results to the loop. Probes have a pool of their own: actions
// that hang never hold them up, nor the other way round.
// Thread rule: start() on the loop's thread; results are posted from the pools.
#pragma once

#include <functional>

#include "reconcile/executor.h"
#include "reconcile/outputs.h"
#include "reconcile/worker_pool.h"

namespace pintle::reconcile {

class PooledRunner final : public ActionRunner {
 public:
  using Done = std::function<void(PodUid, ActionTicket, ActionReply)>;
  PooledRunner(PodExecutor& executor, WorkerPool& pool, Done done) : executor_(executor), pool_(pool), done_(std::move(done)) {}
  void start(const PodUid& uid, ActionTicket ticket, const lifecycle::Action& action, const ActionContext& context,
             std::stop_token stop) override;

 private:
  PodExecutor& executor_;
  WorkerPool& pool_;
  const Done done_;
};

class PooledProbes final : public ProbeRunner {
 public:
  using Done = std::function<void(PodUid, lifecycle::ProbeDone)>;
  PooledProbes(PodExecutor& executor, WorkerPool& pool, Done done) : executor_(executor), pool_(pool), done_(std::move(done)) {}
  void start(const PodUid& uid, const lifecycle::ProbeRun& run, const ActionContext& context, std::stop_token stop) override;

 private:
  PodExecutor& executor_;
  WorkerPool& pool_;
  const Done done_;
};

}  // namespace pintle::reconcile
