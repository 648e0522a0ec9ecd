// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "sim_world.h"

#include <algorithm>

#include "sim_daemon.h"

namespace pintle::sim {
namespace {

// Everything that is not wanted has ended this long after the last trouble: grace, an audit, the steps between.
constexpr Duration kUnwantedBound = seconds(120);
// Back-offs and hung calls of the rough part included.
constexpr Duration kSettleBound = minutes(30);

}  // namespace

World::World(uint64_t seed, bool keep_log) : seed_(seed), chance_(seed), runtime_(&clock_), door_(runtime_) {
  log_.keep = keep_log;
  choose_weather();
  runtime_.add_image("img-a:1");
  runtime_.add_pullable("img-b:1");
  if (!weather_.late_images) runtime_.add_pullable("img-late:1");
  runtime_.on_start_container = [this](const fakes::FakeContainer& container, const fakes::FakeSandbox& sandbox) {
    container_starts(container, sandbox);
  };
}

World::~World() = default;

void World::broken(std::string what) {
  log_.add(now(), "BROKEN: {}", what);
  throw Broken{std::move(what)};
}

void World::choose_weather() {
  if (seed_ % 3 == 0) weather_.owner = "this agent";
  const uint64_t kind = seed_ % 8;
  if (kind == 0) return;  // nothing goes wrong
  if (kind == 1) {
    weather_.stuck_pod = "web-1";
    return;
  }
  const double rates[] = {0, 0, 1, 4, 12};
  weather_.call_fails = rates[chance_.below(std::size(rates))];
  weather_.reply_lost = rates[chance_.below(std::size(rates))];
  weather_.call_hangs = chance_.one_in(4) ? 1 : 0;
  weather_.event_lost = chance_.one_in(3) ? 40 : 0;
  if (chance_.one_in(2)) weather_.crash_per_event = chance_.one_in(2) ? 0.3 : 1.5;
  if (chance_.one_in(6)) weather_.crash_every = static_cast<int>(20 + chance_.below(150));
  weather_.runtime_outages = chance_.one_in(4);
  weather_.attach_refusals = chance_.one_in(4);
  weather_.late_images = chance_.one_in(3);
}

void World::schedule_outages() {
  const uint64_t outages = weather_.runtime_outages ? 1 + chance_.below(3) : 0;
  for (uint64_t i = 0; i < outages; ++i)
    after(chance_.between(seconds(5), minutes(3)), [this] {
      if (calm_down_) return;
      log_.add(now(), "runtime goes down");
      runtime_.set_down(true);
      const Duration time = chance_.between(seconds(1), seconds(60));
      last_trouble_ = std::max(last_trouble_, now() + time);
      after(time, [this] {
        log_.add(now(), "runtime is back");
        runtime_.set_down(false);
      });
    });
  if (weather_.attach_refusals)
    after(chance_.between(seconds(0), seconds(60)), [this] {
      if (calm_down_) return;
      programs_.refused.insert(chance_.one_in(2) ? model::Hook::kEgress : model::Hook::kConnect4);
      after(chance_.between(seconds(1), seconds(60)), [this] { programs_.refused.clear(); });
    });
  if (weather_.late_images) after(chance_.between(seconds(10), seconds(100)), [this] { runtime_.add_pullable("img-late:1"); });
}

void World::step() {
  clock_.set(queue_.next());
  queue_.pop()();
  ++events_;
  if (events_ % 64 == 0) {
    runtime_.clear_calls();
    runtime_.faults().forget_calls();
    cgroups_.faults.forget_calls();
    programs_.faults.forget_calls();
  }
  if (calm_down_) return;
  if (weather_.crash_every > 0 && events_ % static_cast<uint64_t>(weather_.crash_every) == 0) crash_daemon("at every nth event");
  if (weather_.crash_per_event > 0 && chance_.percent(weather_.crash_per_event)) crash_daemon("by chance");
}

void World::run() {
  start_daemon();
  schedule_users();
  schedule_outages();
  for (int i = 1; i < 60; ++i)
    after(seconds(10 * i), [this] {
      check_unwanted();
      check_logs();
    });
  const Time end = now() + minutes(4);
  while (!queue_.empty() && queue_.next() < end) step();
  check_stuck_delays_nobody();
  settle_down();
}

void World::check_unwanted() {
  if (weather_.stuck_pod) return;
  for (const auto& [id, container] : runtime_.containers()) {
    if (container.seen.state != model::RunState::kRunning) continue;
    const SimPod& sim = pods_.at(container.seen.uid.value());
    if (!sim.unwanted_since || wanted(sim.uid)) continue;
    if (now() - std::max(*sim.unwanted_since, last_trouble_) > kUnwantedBound)
      broken(fmt::format("container {} of {} runs {} after it was wanted last", id.value(), sim.uid,
                         format_duration(std::chrono::duration_cast<seconds>(now() - *sim.unwanted_since))));
  }
}

void World::check_logs() {
  for (const auto& [id, container] : runtime_.containers()) {
    const auto sandbox = runtime_.sandboxes().find(container.seen.sandbox_id);
    if (container.seen.state == model::RunState::kCreated || sandbox == runtime_.sandboxes().end()) continue;
    const auto log = log_of(container, sandbox->second);
    if (!wanted(log.uid) || pods_.at(log.uid).reborn) continue;
    const bool newest = std::ranges::none_of(runtime_.containers(), [&](const auto& other) {
      const auto& seen = other.second.seen;
      return seen.uid == container.seen.uid && other.second.config.name == log.container && seen.attempt > container.seen.attempt;
    });
    const auto folder = logs_.folders.find(fakes::MemoryLogs::folder({log.namespace_, log.pod, log.uid}));
    const bool there = folder != logs_.folders.end() && folder->second.contains(fakes::MemoryLogs::file(log));
    if (newest && !there) broken(fmt::format("the log {}/{} of {} is gone", log.container, log.attempt, log.uid));
    if (weather_.calm() && container.seen.state == model::RunState::kRunning && now() - container.seen.started_at > seconds(5) &&
        !logs_.links.contains(id.value()))
      broken(fmt::format("no link leads to the log {}/{} of {}", log.container, log.attempt, log.uid));
  }
}

void World::check_stuck_delays_nobody() {
  if (!weather_.stuck_pod) return;
  for (const auto& [uid, pod] : api_pods_) {
    const SimPod& sim = pods_.at(uid);
    if (!sim.steady || uid == *weather_.stuck_pod || pod->metadata.deletion_timestamp || now() - sim.made_at < seconds(60)) continue;
    if (pod->status.phase != model::Phase::kRunning) {
      const auto record = daemon_->loop().find(PodUid(uid));
      broken(fmt::format("{} is {} a minute after it was made, while calls for {} hang: {}", uid, to_string(pod->status.phase),
                         *weather_.stuck_pod, record ? record->explanation : "not in the table"));
    }
  }
}

void World::settle_down() {
  calm_down_ = true;
  log_.add(now(), "the weather calms down; everything is deleted");
  runtime_.set_down(false);
  programs_.refused.clear();
  runtime_.add_pullable("img-late:1");
  const auto api = api_pods_;
  for (const auto& [uid, pod] : api) {
    if (chance_.one_in(4))
      force_delete(uid);
    else
      delete_pod(uid, static_cast<int64_t>(1 + chance_.below(30)));
  }
  const auto files = static_pods_;
  for (const auto& [uid, pod] : files) remove_static(uid);
  const Time end = now() + kSettleBound;
  const auto clean = [&] {
    return daemon_ != nullptr && daemon_->alive() && daemon_->loop().runtime_read() && daemon_->loop().size() == 0 && api_pods_.empty() &&
           std::ranges::all_of(runtime_.sandboxes(), [&](const auto& sandbox) { return nobody_knows(sandbox.second); }) &&
           runtime_.containers().empty() && cgroups_.pods().empty() && volumes_.directories.empty() && logs_.folders.empty() &&
           logs_.links.empty() && programs_.list_pinned()->empty();
  };
  // A look every now and then is enough: the queue is never empty, the agent audits.
  for (uint64_t n = 0; !queue_.empty() && queue_.next() < end; ++n) {
    step();
    if (n % 32 == 0 && clean()) return;
  }
  check_nothing_left();
}

bool World::nobody_knows(const fakes::FakeSandbox& sandbox) const {
  return weather_.owner.empty() && forgotten_.contains(sandbox.config.uid);
}

void World::check_nothing_left() {
  std::string left;
  for (const auto& [uid, pod] : api_pods_) left += fmt::format(" pod {} in the API ({});", uid, to_string(pod->status.phase));
  for (const auto& [id, sandbox] : runtime_.sandboxes())
    if (!nobody_knows(sandbox)) left += fmt::format(" sandbox {} of {};", id.value(), sandbox.config.uid);
  for (const auto& [id, container] : runtime_.containers())
    left += fmt::format(" container {} of {};", id.value(), container.seen.uid.value());
  for (const auto& [uid, cgroup] : cgroups_.pods()) left += fmt::format(" cgroup of {};", uid.value());
  const auto pinned = programs_.list_pinned();
  for (const auto& uid : *pinned) left += fmt::format(" pins of {};", uid.value());
  for (const auto& uid : volumes_.directories) left += fmt::format(" directory of {};", uid.value());
  for (const auto& [folder, logs] : logs_.folders) left += fmt::format(" {} logs in {};", logs.size(), folder);
  for (const auto& [id, log] : logs_.links) left += fmt::format(" link of {} to {};", id, log);
  if (daemon_ != nullptr)
    for (const auto& record : daemon_->loop().snapshot())
      left += fmt::format(" in the table: {} ({}: {});", record.pod->metadata.uid, record.source, record.explanation);
  if (!left.empty()) broken(fmt::format("left after {}:{}", format_duration(std::chrono::duration_cast<seconds>(kSettleBound)), left));
}

}  // namespace pintle::sim
