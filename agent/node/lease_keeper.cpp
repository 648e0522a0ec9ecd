// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "node/lease_keeper.h"

#include <fmt/format.h>

namespace pintle::node {

model::Lease next_lease(const LeaseSettings& settings, const std::optional<model::Lease>& held, const std::string& node_uid, Time now) {
  model::Lease out = held.value_or(model::Lease{});
  out.metadata.name = settings.node_name;
  out.metadata.namespace_ = "kube-node-lease";
  out.holder_identity = settings.node_name;
  out.duration_seconds = static_cast<int32_t>(settings.duration.count());
  out.renew_time = now;
  if (out.metadata.owner_references.empty() && !node_uid.empty())
    out.metadata.owner_references.push_back({.api_version = "v1", .kind = "Node", .name = settings.node_name, .uid = node_uid});
  return out;
}

LeaseKeeper::LeaseKeeper(ports::LeaseApi& api, const Clock& clock, LeaseSettings settings, std::function<std::string()> node_uid)
    : api_(api), clock_(clock), settings_(std::move(settings)), node_uid_(std::move(node_uid)) {}
LeaseKeeper::~LeaseKeeper() { stop(); }

void LeaseKeeper::start() {
  thread_ = std::jthread([this](std::stop_token stop) { run(std::move(stop)); });
}
void LeaseKeeper::stop() {
  thread_.request_stop();
  if (thread_.joinable()) thread_.join();
}
std::optional<SteadyTime> LeaseKeeper::last_renewal() {
  const MutexLock lock(mu_);
  return renewed_at_;
}
std::string LeaseKeeper::last_error() {
  const MutexLock lock(mu_);
  return last_error_;
}

// One step towards a renewed lease; after an error the next call takes the next best way.
Status LeaseKeeper::renew_once(std::stop_token stop) {
  if (!held_ && !must_create_) {
    auto existing = api_.get_lease(settings_.node_name, stop);
    if (existing)
      held_ = *std::move(existing);
    else if (existing.error().code == Code::kNotFound)
      must_create_ = true;
    else
      return std::unexpected(std::move(existing).error());
  }
  const model::Lease wanted = next_lease(settings_, held_, node_uid_(), clock_.now());
  auto reply = must_create_ ? api_.create_lease(wanted, stop) : api_.update_lease(wanted, stop);
  if (!reply) {
    const Code code = reply.error().code;
    // Someone else wrote, deleted or created it: look at what there is now.
    if (code == Code::kGone || code == Code::kNotFound || code == Code::kAlreadyExists) {
      held_.reset();
      must_create_ = code == Code::kNotFound && !must_create_;
    }
    return std::unexpected(std::move(reply).error());
  }
  held_ = *std::move(reply);
  must_create_ = false;
  return {};
}

// Up to 4 % longer, so that nodes that began together do not stay together.
Duration LeaseKeeper::spread(Duration period) {
  return period + std::chrono::duration_cast<Duration>(period * std::uniform_real_distribution<>(0, 0.04)(chance_));
}

void LeaseKeeper::run(std::stop_token stop) {
  Backoff backoff(settings_.backoff);
  int failures = 0;
  while (!stop.stop_requested()) {
    Status done = renew_once(stop);
    const bool ok = done.has_value();
    // The first tries follow at once (a conflict needs no more); then with back-off, so that a lease is never 7 s late.
    const bool quick = !ok && done.error().code != Code::kUnavailable && ++failures < settings_.quick_tries;
    const MutexLock lock(mu_);
    last_error_ = ok ? "" : fmt::format("renew lease '{}': {}", settings_.node_name, done.error().context);
    if (ok) {
      renewed_at_ = clock_.steady();
      backoff.reset();
      failures = 0;
    }
    if (quick) continue;
    (void)stopped_.wait_for(mu_, stop, ok ? spread(settings_.period) : backoff.next(), [] { return false; });
  }
}

}  // namespace pintle::node
