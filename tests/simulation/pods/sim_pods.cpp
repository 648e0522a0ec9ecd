// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Users, and what runs in containers.
#include <algorithm>

#include "model/defaults.h"
#include "sim_world.h"

namespace pintle::sim {
namespace {

constexpr const char* kNames[] = {"web", "db", "job", "agent", "cron", "cache"};

model::Container container(std::string name, std::string image) {
  model::Container out;
  out.name = std::move(name);
  out.image = std::move(image);
  return out;
}

}  // namespace

ports::LogTarget World::log_of(const fakes::FakeContainer& container, const fakes::FakeSandbox& sandbox) {
  const auto& of = sandbox.config;
  return {of.namespace_, of.name, of.uid, container.config.name, static_cast<int32_t>(container.config.attempt)};
}

bool World::wanted(const std::string& uid) const {
  if (static_pods_.contains(uid)) return true;
  const auto found = api_pods_.find(uid);
  return found != api_pods_.end() && !found->second->metadata.deletion_timestamp;
}

PodPtr World::make_pod(const std::string& name, bool is_static) {
  auto pod = std::make_shared<model::Pod>();
  const std::string uid = fmt::format("{}-{}", name, ++generations_[name]);
  SimPod& sim = pods_[uid];
  sim = {uid, name, is_static, false, chance_.percent(40), now(), std::nullopt, {}};
  auto& meta = pod->metadata;
  meta.name = name;
  meta.uid = uid;
  meta.generation = 1;
  meta.creation_timestamp = now();
  const char* policies[] = {"required", "best-effort", "off"};
  meta.annotations[std::string(model::kEbpfPolicyAnnotation)] = policies[chance_.below(3)];
  auto& spec = pod->spec;
  spec.termination_grace_period_seconds = static_cast<int64_t>(chance_.below(30)) + 1;
  spec.host_network = chance_.one_in(5);
  spec.restart_policy = sim.steady || is_static ? model::RestartPolicy::kAlways : static_cast<model::RestartPolicy>(chance_.below(3));
  const uint64_t inits = chance_.below(3), mains = 1 + chance_.below(3);
  for (uint64_t i = 0; i < inits; ++i) {
    spec.init_containers.push_back(container(fmt::format("init{}", i), "img-a:1"));
    if (chance_.one_in(3)) spec.init_containers.back().restart_policy = model::RestartPolicy::kAlways;
    sim.crashes[spec.init_containers.back().name] = sim.steady ? 0 : static_cast<int>(chance_.below(2));
  }
  for (uint64_t i = 0; i < mains; ++i) {
    const bool late = weather_.late_images && !sim.steady && chance_.one_in(3);
    spec.containers.push_back(container(fmt::format("c{}", i), late ? "img-late:1" : chance_.one_in(2) ? "img-a:1" : "img-b:1"));
    sim.crashes[spec.containers.back().name] = sim.steady ? 0 : static_cast<int>(chance_.below(4));
    if (!sim.steady && chance_.one_in(4)) {
      model::Probe probe;
      probe.action = model::TcpSocketAction{};
      probe.period_seconds = 10;
      (chance_.one_in(2) ? spec.containers.back().liveness_probe : spec.containers.back().readiness_probe) = probe;
    }
    if (chance_.one_in(6)) spec.containers.back().lifecycle.pre_stop = model::SleepAction{1};
    if (chance_.one_in(8)) spec.containers.back().lifecycle.post_start = model::SleepAction{1};
  }
  model::apply_defaults(*pod);
  return pod;
}

void World::create_pod(const std::string& name, bool is_static) {
  const auto pod = make_pod(name, is_static);
  const std::string& uid = pod->metadata.uid;
  log_.add(now(), "user: create {} ({}{}, {} containers, {} init)", uid, is_static ? "static, " : "",
           pods_[uid].steady ? "steady" : "moody", pod->spec.containers.size(), pod->spec.init_containers.size());
  (is_static ? static_pods_ : api_pods_)[uid] = pod;
  tell_daemon(uid, chance_.between(milliseconds(1), milliseconds(50)));
}

void World::delete_pod(const std::string& uid, int64_t grace) {
  auto& known = api_pods_.at(uid);
  auto pod = std::make_shared<model::Pod>(*known);
  if (pod->metadata.deletion_timestamp && *pod->metadata.deletion_grace_period_seconds <= grace) return;
  log_.add(now(), "user: delete {} with grace {}", uid, grace);
  pod->metadata.deletion_timestamp = now() + seconds(grace);
  pod->metadata.deletion_grace_period_seconds = grace;
  known = std::move(pod);
  pods_[uid].unwanted_since = pods_[uid].unwanted_since.value_or(now());
  tell_daemon(uid, chance_.between(milliseconds(1), milliseconds(50)));
}

void World::force_delete(const std::string& uid) {
  log_.add(now(), "user: force delete {}", uid);
  pods_[uid].unwanted_since = pods_[uid].unwanted_since.value_or(now());
  api_gone(uid);
}

void World::remove_static(const std::string& uid) {
  log_.add(now(), "user: remove file of {}", uid);
  static_pods_.erase(uid);
  pods_[uid].unwanted_since = now();
  tell_daemon(uid, milliseconds(1));
}

void World::update_pod(const std::string& uid) {
  if (pods_[uid].steady) return;
  auto& known = api_pods_.at(uid);
  auto pod = std::make_shared<model::Pod>(*known);
  if (chance_.one_in(2)) {
    pod->metadata.labels["touched"] = fmt::format("{}", chance_.below(1000));
  } else {
    pod->spec.containers.front().image = pod->spec.containers.front().image == "img-a:1" ? "img-b:1" : "img-a:1";
    ++pod->metadata.generation;
  }
  log_.add(now(), "user: update {}", uid);
  known = std::move(pod);
  tell_daemon(uid, chance_.between(milliseconds(1), milliseconds(50)));
}

void World::user_acts() {
  const std::string name = kNames[chance_.below(std::size(kNames))];
  std::string in_api, in_files;
  for (const auto& [uid, pod] : api_pods_)
    if (pod->metadata.name == name) in_api = uid;
  for (const auto& [uid, pod] : static_pods_)
    if (pod->metadata.name == name) in_files = uid;
  if (in_api.empty() && in_files.empty()) return create_pod(name, chance_.one_in(5));
  if (!in_files.empty()) {
    if (!chance_.one_in(3)) return;
    const PodPtr again = static_pods_.at(in_files);
    remove_static(in_files);
    if (chance_.one_in(2)) return;
    // Put back unchanged (the same UID) or changed (another one, of the same name).
    if (chance_.one_in(2))
      return after(chance_.between(milliseconds(1), seconds(20)), [this, again] {
        for (const auto& [uid, pod] : static_pods_)
          if (pod->metadata.name == again->metadata.name) return;
        for (const auto& [uid, pod] : api_pods_)
          if (pod->metadata.name == again->metadata.name) return;
        if (calm_down_) return;
        log_.add(now(), "user: put back file of {}", again->metadata.uid);
        static_pods_[again->metadata.uid] = again;
        pods_[again->metadata.uid].unwanted_since.reset();
        pods_[again->metadata.uid].reborn = true;
        pods_[again->metadata.uid].steady = false;
        tell_daemon(again->metadata.uid, milliseconds(1));
      });
    return create_pod(name, true);
  }
  switch (chance_.below(8)) {
    case 0:
    case 1: return delete_pod(in_api, static_cast<int64_t>(chance_.below(30)) + 1);
    case 2: return delete_pod(in_api, 1);
    case 3:
      force_delete(in_api);
      if (chance_.one_in(2)) create_pod(name, false);
      return;
    case 4:
    case 5: return update_pod(in_api);
    case 6: return sandbox_dies();
    default: return;
  }
}

void World::schedule_users() {
  const uint64_t acts = 6 + chance_.below(14);
  Duration at{};
  for (uint64_t i = 0; i < acts; ++i) {
    at += chance_.one_in(3) ? chance_.between(milliseconds(0), milliseconds(800)) : chance_.between(seconds(1), seconds(25));
    after(at, [this] {
      if (!calm_down_) user_acts();
    });
  }
}

void World::sandbox_dies() {
  std::vector<SandboxId> ready;
  for (const auto& [id, sandbox] : runtime_.sandboxes())
    if (sandbox.seen.state == model::SandboxState::kReady) ready.push_back(id);
  if (ready.empty()) return;
  const SandboxId id = ready[chance_.below(ready.size())];
  const std::string uid = runtime_.sandboxes().at(id).config.uid;
  log_.add(now(), "sandbox {} of {} dies", id.value(), uid);
  sandbox_lost_.insert(uid);
  for (const auto& [container_id, container] : runtime_.containers())
    if (container.seen.sandbox_id == id) ended_.insert(container_id.value());
  runtime_.kill_sandbox(id);
  runtime_changed(uid);
}

void World::container_starts(const fakes::FakeContainer& container, const fakes::FakeSandbox& sandbox) {
  const std::string& uid = sandbox.config.uid;
  const SimPod& sim = pods_.at(uid);
  log_.add(now(), "container {} of {} starts: {}#{}", container.seen.id.value(), uid, container.config.name, container.config.attempt);
  for (const auto& [id, other] : runtime_.containers()) {
    const auto at = runtime_.sandboxes().find(other.seen.sandbox_id);
    if (id != container.seen.id && at != runtime_.sandboxes().end() && at->second.config.uid == uid &&
        other.config.name == container.config.name && other.seen.state == model::RunState::kRunning)
      broken(fmt::format("two live instances of '{}' of {}: {} and {}", container.config.name, uid, id.value(), container.seen.id.value()));
  }
  const auto policy = sandbox.config.annotations.find(std::string(model::kEbpfPolicyAnnotation));
  if (policy != sandbox.config.annotations.end() && policy->second == "required") {
    const auto* cgroup = cgroups_.find(PodUid(uid));
    if (cgroup == nullptr) broken(fmt::format("{} starts a container without a cgroup", uid));
    for (const auto hook : model::kDefaultHooks)
      if (!programs_.has(PodUid(uid), hook))
        broken(fmt::format("{} requires its programs and starts a container without {}", uid, to_string(hook)));
  }
  if (sim.steady && container.config.attempt > 0 && container.config.name.starts_with("c") && !sandbox_lost_.contains(uid))
    broken(fmt::format("container '{}' of {} never failed and is started again (attempt {})", container.config.name, uid,
                       container.config.attempt));
  logs_.write(log_of(container, sandbox));
  end_later(container.seen.id, uid, container.config.name, container.config.attempt);
}

void World::end_later(const ContainerId& id, const std::string& uid, const std::string& name, uint32_t attempt) {
  const SimPod& sim = pods_.at(uid);
  const auto mood = sim.crashes.find(name);
  const int kind = mood == sim.crashes.end() ? 0 : mood->second;
  const PodPtr pod = api_pods_.contains(uid) ? api_pods_.at(uid) : static_pods_.contains(uid) ? static_pods_.at(uid) : nullptr;
  bool sidecar = false;
  if (pod != nullptr)
    for (const auto& init : pod->spec.init_containers)
      sidecar = sidecar || (init.name == name && init.restart_policy == model::RestartPolicy::kAlways);
  const bool init = name.starts_with("init") && !sidecar;
  if (!init && (kind == 0 || (kind == 1 && chance_.one_in(2)))) return;  // runs on
  int code = 0;
  if (init ? kind == 1 && attempt < 2 && chance_.one_in(2) : kind >= 2) code = static_cast<int>(1 + chance_.below(200));
  const Duration life = init ? chance_.between(milliseconds(1), seconds(3)) : chance_.between(milliseconds(1), seconds(60));
  after(life, [this, id, uid, code] {
    const auto found = runtime_.containers().find(id);
    if (found == runtime_.containers().end() || found->second.seen.state != model::RunState::kRunning) return;
    log_.add(now(), "container {} of {} exits with {}", id.value(), uid, code);
    ended_.insert(id.value());
    volumes_.messages[id.value()] = fmt::format("bye {}", code);
    runtime_.exit_container(id, code);
    runtime_changed(uid);
  });
}

// The runtime was asked to stop a container: who asked for that?
void World::container_stops(const ContainerId& id) {
  const auto found = runtime_.containers().find(id);
  if (found == runtime_.containers().end() || found->second.seen.state != model::RunState::kRunning) return;
  const std::string uid = found->second.seen.uid.value();
  log_.add(now(), "container {} of {} is stopped", id.value(), uid);
  const SimPod& sim = pods_.at(uid);
  const bool main = found->second.config.name.starts_with("c");
  if (sim.steady && main && wanted(uid) && !sim.unwanted_since && !sandbox_lost_.contains(uid))
    broken(fmt::format("container '{}' of {} is healthy and wanted, and is stopped", found->second.config.name, uid));
}

}  // namespace pintle::sim
