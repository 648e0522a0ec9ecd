// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Hands what the sources deliver to the loop, and their problems to people. Thread rule: take() is
// called by sources::Merge, one call at a time.
#pragma once

#include "app/view.h"
#include "base/time.h"
#include "policy/policy_engine.h"
#include "ports/pod_api.h"
#include "programs/program_registry.h"
#include "reconcile/executor.h"
#include "reconcile/loop_thread.h"
#include "reconcile/pod_objects.h"
#include "sources/merge.h"

namespace pintle::app {

class PodFeed {
 public:
  // Null where no containers are driven.
  struct Driven {
    reconcile::PodExecutor* executor = nullptr;
    reconcile::PodObjects* objects = nullptr;
  };
  // REQUIRES: all outlive this.
  PodFeed(reconcile::LoopThread& loop, Driven driven, View& view, ports::EventSink& events, policy::PolicyEngine& policies,
          programs::ProgramRegistry& programs, const Clock& clock)
      : loop_(loop), driven_(driven), view_(view), events_(events), policies_(policies), programs_(programs), clock_(clock) {}
  void take(sources::PodChanges changes);

 private:
  void refer(const sources::PodChanges& changes);

  reconcile::LoopThread& loop_;
  const Driven driven_;
  View& view_;
  ports::EventSink& events_;
  policy::PolicyEngine& policies_;
  programs::ProgramRegistry& programs_;
  const Clock& clock_;
  bool ready_ = false;
};

}  // namespace pintle::app
