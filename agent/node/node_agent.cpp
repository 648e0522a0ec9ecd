// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "node/node_agent.h"

#include <fmt/format.h>

namespace pintle::node {
namespace {

// Facts whose reading was cut short are not the node's.
std::unexpected<Error> stopped_while_reading() { return fail(Code::kCancelled, "read the node's facts: stopped"); }

}  // namespace

NodeAgent::NodeAgent(ports::NodeApi& api, ports::EventSink* events, const Clock& clock, NodeSettings settings, MachineInfo machine,
                     FactsReader facts, NodeAgentTimes times)
    : api_(api),
      events_(events),
      clock_(clock),
      settings_(std::move(settings)),
      machine_(std::move(machine)),
      facts_(std::move(facts)),
      times_(times) {}
NodeAgent::~NodeAgent() { stop(); }

void NodeAgent::start() {
  thread_ = std::jthread([this](std::stop_token stop) { run(std::move(stop)); });
}
void NodeAgent::request_stop() { thread_.request_stop(); }
void NodeAgent::stop() {
  request_stop();
  if (thread_.joinable()) thread_.join();
}
void NodeAgent::kick() {
  {
    const MutexLock lock(mu_);
    kicked_ = true;
  }
  changed_.notify_all();
}
std::optional<model::Node> NodeAgent::snapshot() {
  const MutexLock lock(mu_);
  return node_;
}
std::string NodeAgent::last_error() {
  const MutexLock lock(mu_);
  return last_error_;
}

bool NodeAgent::wait(Duration limit, std::stop_token stop) {
  const MutexLock lock(mu_);
  (void)changed_.wait_for(mu_, stop, limit, [this]() PINTLE_REQUIRES(mu_) { return kicked_; });
  kicked_ = false;
  return !stop.stop_requested();
}

void NodeAgent::remember(Status outcome) {
  const MutexLock lock(mu_);
  last_error_ = outcome ? "" : outcome.error().context;
}

void NodeAgent::run(std::stop_token stop) {
  Backoff backoff(times_.registration);
  for (;;) {
    Status done = register_once(stop);
    const bool registered = done.has_value();
    remember(std::move(done));
    if (registered) break;
    if (!wait(backoff.next(), stop)) return;
  }
  const SteadyTime begun = clock_.steady();
  bool was_ready = false;
  while (!stop.stop_requested()) {
    Status done;
    for (int attempt = 0; attempt < times_.tries; ++attempt) {
      done = report_once(stop);
      if (done || stop.stop_requested()) break;
    }
    remember(std::move(done));
    if (const auto node = snapshot(); node && is_ready(node->status)) was_ready = true;
    const bool starting = !was_ready && clock_.steady() - begun < times_.first_limit;
    if (!wait(starting ? times_.first_period : times_.period, stop)) return;
  }
}

Status NodeAgent::register_once(std::stop_token stop) {
  const model::Node wanted = node_to_register(settings_, machine_, facts_(), clock_.now());
  if (stop.stop_requested()) return stopped_while_reading();
  auto made = api_.create_node(wanted, stop);
  if (!made && made.error().code == Code::kAlreadyExists) {
    PINTLE_ASSIGN_OR_RETURN(model::Node existing, api_.get_node(settings_.name, stop));
    if (reconcile_metadata(existing, wanted)) {
      made = api_.patch_node_metadata(existing, stop);
    } else {
      made = std::move(existing);
    }
  } else if (made) {
    tell(nullptr, made->status);
  }
  if (!made) return std::unexpected(with_context(std::move(made).error(), fmt::format("register node '{}'", settings_.name)));
  const MutexLock lock(mu_);
  node_ = *std::move(made);
  return {};
}

Status NodeAgent::report_once(std::stop_token stop) {
  auto last_known = snapshot();
  if (!last_known) return fail(Code::kInternal, "report node status: not registered");
  const model::NodeStatus status = status_of(settings_, machine_, facts_(), last_known->status, clock_.now());
  if (stop.stop_requested()) return stopped_while_reading();
  if (!pacer_.should_send(last_known->status, status, clock_.steady())) return {};
  auto patched = api_.patch_node_status(*last_known, status, stop);
  if (!patched) {
    Error error = std::move(patched).error();
    if (error.code == Code::kNotFound) {
      PINTLE_TRY(register_once(stop));  // someone deleted the node: the next try reports on the new one
    } else if (error.code != Code::kCancelled) {
      // What we believe the server has may be what is wrong.
      if (auto fresh = api_.get_node(settings_.name, stop)) {
        const MutexLock lock(mu_);
        node_ = *std::move(fresh);
      }
    }
    return std::unexpected(with_context(std::move(error), "report node status"));
  }
  pacer_.sent(clock_.steady());
  tell(&last_known->status, status);
  const MutexLock lock(mu_);
  node_ = *std::move(patched);
  return {};
}

void NodeAgent::tell(const model::NodeStatus* before, const model::NodeStatus& after) {
  if (events_ == nullptr) return;
  for (const auto& event : events_of(settings_.name, before, after, clock_.now())) events_->record(event);
}

}  // namespace pintle::node
