// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Keeps the node object: registers it (0.1 s doubling to 7 s), then computes its status each 10 s and sends it when it
// changed, or after 5 minutes anyway (facts rows 7.1, 7.4, 7.5). kick() makes it look at once, for readiness changes.
// Thread rule: one thread of its own; facts are asked for on it. kick(), snapshot() and last_error() from any thread.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <thread>

#include "base/backoff.h"
#include "base/mutex.h"
#include "node/node_object.h"
#include "ports/node_api.h"
#include "ports/pod_api.h"

namespace pintle::node {

// When to send a status: a value, so that the rule is a table in the tests.
class StatusPacer {
 public:
  static constexpr Duration kResend = std::chrono::minutes(5);
  [[nodiscard]] bool should_send(const model::NodeStatus& last_known, const model::NodeStatus& now_status, SteadyTime now) const {
    return !sent_at_ || differs_in_meaning(last_known, now_status) || now - *sent_at_ >= kResend;
  }
  void sent(SteadyTime now) { sent_at_ = now; }

 private:
  std::optional<SteadyTime> sent_at_;
};

struct NodeAgentTimes {
  BackoffPolicy registration{std::chrono::milliseconds(100), std::chrono::seconds(7)};
  Duration period = std::chrono::seconds(10);
  Duration first_period = std::chrono::milliseconds(100);  // until Ready, at most first_limit (row 7.5)
  Duration first_limit = std::chrono::seconds(120);
  int tries = 5;
};

class NodeAgent {
 public:
  using FactsReader = std::function<NodeFacts()>;  // may block for as long as a runtime status call may
  // Contract: `api`, `clock` and `events` (may be null) outlive the agent.
  NodeAgent(ports::NodeApi& api, ports::EventSink* events, const Clock& clock, NodeSettings settings, MachineInfo machine,
            FactsReader facts, NodeAgentTimes times = {});
  ~NodeAgent();

  void start();
  // Begins the stop: from now on nothing is sent any more. Returns at once.
  void request_stop();
  // request_stop(), and waits; facts being read are waited for.
  void stop();
  void kick();
  // The node as the API server last had it; nullopt until registered.
  [[nodiscard]] std::optional<model::Node> snapshot();
  // Why the last attempt failed; empty when it did not.
  [[nodiscard]] std::string last_error();

 private:
  void run(std::stop_token stop);
  [[nodiscard]] Status register_once(std::stop_token stop);
  [[nodiscard]] Status report_once(std::stop_token stop);
  [[nodiscard]] bool wait(Duration limit, std::stop_token stop);
  void remember(Status outcome);
  void tell(const model::NodeStatus* before, const model::NodeStatus& after);

  // const after construction
  ports::NodeApi& api_;
  ports::EventSink* const events_;
  const Clock& clock_;
  const NodeSettings settings_;
  const MachineInfo machine_;
  const FactsReader facts_;
  const NodeAgentTimes times_;
  // own thread
  StatusPacer pacer_;
  Mutex mu_;
  ConditionVariable changed_;
  bool kicked_ PINTLE_GUARDED_BY(mu_) = false;
  std::optional<model::Node> node_ PINTLE_GUARDED_BY(mu_);
  std::string last_error_ PINTLE_GUARDED_BY(mu_);
  std::jthread thread_;
};

}  // namespace pintle::node
