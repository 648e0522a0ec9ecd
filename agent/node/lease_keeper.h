// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Keeps the node's lease in kube-node-lease alive (facts row 7.19): 40 s long, renewed each 10 s, so that the control plane
// knows the node lives however busy the rest of the agent is. It has a thread and, by its LeaseApi, a connection of its own
// and takes no lock that others hold. Without a GET where possible: the last reply's resource version is used.
// Thread rule: start and stop by the owner; last_renewal and last_error from any thread.
#pragma once

#include <functional>
#include <optional>
#include <random>
#include <string>
#include <thread>

#include "base/backoff.h"
#include "base/mutex.h"
#include "base/time.h"
#include "ports/node_api.h"

namespace pintle::node {

struct LeaseSettings {
  std::string node_name;
  std::chrono::seconds duration{40};
  Duration period = std::chrono::seconds(10);
  BackoffPolicy backoff{std::chrono::milliseconds(200), std::chrono::seconds(7)};
  int quick_tries = 5;
};

// The lease to send now: `held` (what the server last told; nullopt: create one) with holder, duration and time set.
[[nodiscard]] model::Lease next_lease(const LeaseSettings& settings, const std::optional<model::Lease>& held, const std::string& node_uid,
                                      Time now);

class LeaseKeeper {
 public:
  // Contract: `api` and `clock` outlive the keeper. `node_uid` gives the node's UID for the owner reference, "" while unknown;
  // it must not block.
  LeaseKeeper(ports::LeaseApi& api, const Clock& clock, LeaseSettings settings, std::function<std::string()> node_uid);
  ~LeaseKeeper();
  void start();
  void stop();
  [[nodiscard]] std::optional<SteadyTime> last_renewal();
  [[nodiscard]] std::string last_error();

 private:
  void run(std::stop_token stop);
  [[nodiscard]] Status renew_once(std::stop_token stop);
  [[nodiscard]] Duration spread(Duration period);

  // const after construction
  ports::LeaseApi& api_;
  const Clock& clock_;
  const LeaseSettings settings_;
  const std::function<std::string()> node_uid_;
  // own thread
  std::optional<model::Lease> held_;
  bool must_create_ = false;
  std::minstd_rand chance_{std::random_device{}()};
  Mutex mu_;
  ConditionVariable stopped_;
  std::optional<SteadyTime> renewed_at_ PINTLE_GUARDED_BY(mu_);
  std::string last_error_ PINTLE_GUARDED_BY(mu_);
  std::jthread thread_;
};

}  // namespace pintle::node
