// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include <algorithm>

#include "sim_daemon.h"

namespace pintle::sim {
namespace {

int rank(model::Phase phase) { return model::is_terminal(phase) ? 2 : phase == model::Phase::kRunning ? 1 : 0; }

}  // namespace

void World::check_status(const std::string& uid, const model::PodStatus& before, const model::PodStatus& after_it) {
  if (model::is_terminal(before.phase) && before.phase != after_it.phase)
    broken(fmt::format("{} was {} and is told to be {}", uid, to_string(before.phase), to_string(after_it.phase)));
  if (rank(after_it.phase) < rank(before.phase))
    broken(fmt::format("{} was {} and is told to be {}", uid, to_string(before.phase), to_string(after_it.phase)));
  const auto compare = [&](const std::vector<model::ContainerStatus>& old, const std::vector<model::ContainerStatus>& fresh) {
    for (const auto& was : old) {
      const auto is = std::ranges::find_if(fresh, [&](const auto& c) { return c.name == was.name; });
      if (is == fresh.end()) broken(fmt::format("{}: the status of '{}' is gone", uid, was.name));
      if (is->restart_count < was.restart_count)
        broken(fmt::format("{}: restarts of '{}' fell from {} to {}", uid, was.name, was.restart_count, is->restart_count));
    }
  };
  compare(before.container_statuses, after_it.container_statuses);
  compare(before.init_container_statuses, after_it.init_container_statuses);
}

void World::api_write(const std::string& uid, const model::PodStatus& status) {
  const auto before = told_.find(uid);
  if (before != told_.end() && !pods_.at(uid).reborn) check_status(uid, before->second, status);
  if (before == told_.end() || before->second.phase != status.phase) log_.add(now(), "api: {} is {}", uid, to_string(status.phase));
  told_[uid] = status;
  const auto in_api = api_pods_.find(uid);
  if (in_api == api_pods_.end() || in_api->second->status == status) return;
  auto pod = std::make_shared<model::Pod>(*in_api->second);
  pod->status = status;
  if (model::is_terminal(status.phase)) pods_[uid].unwanted_since = pods_[uid].unwanted_since.value_or(now());
  in_api->second = std::move(pod);
  tell_daemon(uid, chance_.between(milliseconds(1), milliseconds(60)));
}

void World::api_gone(const std::string& uid) {
  if (api_pods_.erase(uid) == 0) return;
  log_.add(now(), "api: {} is gone", uid);
  tell_daemon(uid, chance_.between(milliseconds(1), milliseconds(60)));
}

void World::tell_daemon(const std::string& uid, Duration delay) {
  after(delay, [this, uid] {
    if (daemon_ != nullptr && daemon_->alive()) daemon_->source_tells(uid);
  });
}

}  // namespace pintle::sim
