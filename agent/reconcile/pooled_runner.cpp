// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "reconcile/pooled_runner.h"

namespace pintle::reconcile {

void PooledRunner::start(const PodUid& uid, ActionTicket ticket, const lifecycle::Action& action, const ActionContext& context,
                         std::stop_token stop) {
  pool_.submit(
      [this, uid, ticket, action, context, stop = std::move(stop)] { done_(uid, ticket, executor_.execute(uid, action, context, stop)); });
}

void PooledProbes::start(const PodUid& uid, const lifecycle::ProbeRun& run, const ActionContext& context, std::stop_token stop) {
  pool_.submit([this, uid, run, context, stop = std::move(stop)] { done_(uid, executor_.probe(run, context, stop)); });
}

}  // namespace pintle::reconcile
