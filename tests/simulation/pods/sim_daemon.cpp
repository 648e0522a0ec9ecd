// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "sim_daemon.h"

#include "observe/group.h"

namespace pintle::sim {
namespace {

reconcile::ExecutorOptions executor_options(const std::string& owner) {
  reconcile::ExecutorOptions options;
  options.owner = owner;
  options.host_hosts_file = "/nonexistent";
  options.deadline = [](Duration, std::stop_source) { return std::shared_ptr<void>(); };
  return options;
}

std::shared_ptr<const lifecycle::NodeFacts> facts(bool runtime_ready) {
  auto node = std::make_shared<lifecycle::NodeFacts>();
  node->node_name = "node";
  node->host_ips = {"192.0.2.1"};
  node->runtime_ready = runtime_ready;
  node->network_ready = true;
  node->allocatable = {
      {"cpu", Quantity::from_value(8)}, {"memory", Quantity::from_value(int64_t{16} << 30)}, {"pods", Quantity::from_value(110)}};
  return node;
}

}  // namespace

World::Daemon::Daemon(World& world)
    : world_(world),
      executor_({world.cgroups_, world.programs_, world.volumes_, world.logs_, world.door_, world.door_, world.objects_, world.prober_},
                world.clock_, reads_, executor_options(world.weather_.owner)),
      loop_({*this, *this, *this, *this, nullptr, world.weather_.owner}) {}

void World::Daemon::boot() {
  const auto self = shared_from_this();
  poll_runtime();
  audit();
  for (const auto& [uid, pod] : world_.api_pods_) source_tells(uid);
  for (const auto& [uid, pod] : world_.static_pods_) source_tells(uid);
  world_.after(world_.chance_.between(milliseconds(0), milliseconds(200)), [self] {
    if (self->alive_) self->loop_.set_sources_ready(self->world_.now());
    self->plan_wake();
  });
}

void World::Daemon::plan_wake() {
  const auto next = loop_.next_wake();
  if (!alive_ || !next || (wake_planned_ && *wake_planned_ <= *next)) return;
  wake_planned_ = *next;
  world_.queue_.at(std::max(*next, world_.now()), [self = shared_from_this(), at = *next] {
    if (self->wake_planned_ == at) self->wake_planned_.reset();
    if (self->alive_) self->loop_.wake(self->world_.now());
    self->plan_wake();
  });
}

void World::Daemon::source_tells(const std::string& uid) {
  const auto tell = [&](const std::map<std::string, PodPtr>& pods, const char* source) {
    const auto found = pods.find(uid);
    if (found != pods.end()) loop_.set_pod(found->second, source, world_.now());
    return found != pods.end();
  };
  if (!tell(world_.api_pods_, "api") && !tell(world_.static_pods_, "file")) loop_.remove_pod(PodUid(uid), world_.now());
  plan_wake();
}

void World::Daemon::poll_runtime() {
  if (!alive_) return;
  const auto status = world_.door_.status();
  const bool ok = status && status->runtime_ready.ok;
  if (ok != runtime_ok_ || !told_node_) {
    told_node_ = true;
    runtime_ok_ = ok;
    world_.log_.add(world_.now(), "agent: runtime {}", ok ? "ready" : "down");
    loop_.set_node(facts(ok), world_.now());
    plan_wake();
  }
  world_.after(seconds(5), [self = shared_from_this()] { self->poll_runtime(); });
}

void World::Daemon::audit() {
  if (!alive_) return;
  const auto self = shared_from_this();
  const auto mark = reads_.mark();
  auto sandboxes = world_.door_.list_sandboxes();
  auto containers = world_.door_.list_containers();
  auto cgroups = world_.cgroups_.list_pods();
  auto pins = world_.programs_.list_pinned();
  auto folders = world_.volumes_.list_pods();
  if (sandboxes && containers) {
    std::vector<PodUid> leftovers;
    for (const auto* list : {&cgroups, &pins, &folders})
      if (*list) leftovers.insert(leftovers.end(), (*list)->begin(), (*list)->end());
    auto pods = observe::group_by_pod(*std::move(sandboxes), *std::move(containers));
    const Duration late = world_.chance_.one_in(8) ? world_.chance_.between(milliseconds(1), seconds(3)) : Duration(milliseconds(3));
    world_.after(late, [self, mark, pods = std::move(pods), leftovers = std::move(leftovers)] {
      if (!self->alive_) return;
      self->loop_.observe_all(pods, leftovers, mark, self->world_.now());
      self->plan_wake();
    });
  }
  world_.after(loop_.runtime_read() ? seconds(10) : seconds(1), [self] { self->audit(); });
}

void World::Daemon::look_at(const std::string& uid) {
  if (!alive_) return;
  const auto mark = reads_.mark();
  auto seen = world_.door_.inspect_pod(PodUid(uid));
  if (!seen) return;
  seen->uid = PodUid(uid);
  reconcile::Observation observation{*seen, executor_.last_words(*seen), mark};
  const Duration late = world_.chance_.one_in(10) ? world_.chance_.between(milliseconds(1), seconds(4)) : Duration(milliseconds(2));
  world_.after(late, [self = shared_from_this(), observation = std::move(observation)] {
    if (!self->alive_) return;
    self->loop_.observe(observation, self->world_.now());
    self->plan_wake();
  });
}

Duration World::Daemon::time_of(const lifecycle::Action& action) {
  auto& chance = world_.chance_;
  if (const auto* stop = std::get_if<lifecycle::StopContainer>(&action))
    return chance.one_in(3) ? chance.between(milliseconds(1), stop->grace) : chance.between(milliseconds(1), milliseconds(300));
  if (std::holds_alternative<lifecycle::EnsureImage>(action)) return chance.between(milliseconds(1), seconds(4));
  return chance.between(milliseconds(1), milliseconds(120));
}

void World::Daemon::start(const PodUid& uid, reconcile::ActionTicket ticket, const lifecycle::Action& action,
                          const reconcile::ActionContext& context, std::stop_token stop) {
  auto call = std::make_shared<Call>(Call{uid, ticket, action, context, std::move(stop), false, false, nullptr});
  const auto self = shared_from_this();
  Duration delay = time_of(action);
  const bool stuck = world_.weather_.stuck_pod == uid.value();
  if (!world_.calm_down_ && (stuck || world_.chance_.percent(world_.weather_.call_hangs))) {
    call->hung = true;
    delay = world_.chance_.between(minutes(2), minutes(5));
    if (!stuck) world_.last_trouble_ = std::max(world_.last_trouble_, world_.now() + delay);
  }
  world_.log_.add(world_.now(), "agent: {}: {}{}", uid.value(), lifecycle::describe(action), call->hung ? " (hangs)" : "");
  // A call that is cancelled answers soon, whatever it was waiting for.
  call->on_stop = std::make_unique<std::stop_callback<std::function<void()>>>(
      call->stop, std::function<void()>([self, weak = std::weak_ptr(call)] {
        if (const auto held = weak.lock()) self->world_.after(milliseconds(1), [self, held] { self->run(held); });
      }));
  world_.after(delay, [self, call] { self->run(call); });
}

void World::Daemon::run(const std::shared_ptr<Call>& call) {
  if (std::exchange(call->ran, true)) return;
  World& world = world_;
  if (!alive_ && world.chance_.one_in(2)) return;  // died with the daemon
  reconcile::ActionReply reply;
  const bool faults = !world.calm_down_;
  if (call->hung && world.chance_.one_in(2)) {
    reply.outcome.error = Error{Code::kUnavailable, 0, "deadline exceeded"};
    reply.mark = reads_.mark();
  } else {
    // A ghost's work is cut off after some calls; one that hangs in the runtime can still have its effect, but no other follows.
    int calls_left = alive_ ? 1 << 20 : call->hung ? 1 : static_cast<int>(world.chance_.below(5));
    world.door_.hooks.before = [&](const char* op) -> std::optional<Error> {
      if (calls_left-- <= 0) return Error{Code::kUnavailable, 0, std::string(op) + ": cut off"};
      if (!faults || !world.chance_.percent(world.weather_.call_fails)) return std::nullopt;
      world.last_trouble_ = std::max(world.last_trouble_, world.now());
      return Error{Code::kUnavailable, 0, std::string(op) + ": connection refused"};
    };
    world.door_.hooks.after = [&](const char* op) -> std::optional<Error> {
      if (!faults || !world.chance_.percent(world.weather_.reply_lost)) return std::nullopt;
      world.last_trouble_ = std::max(world.last_trouble_, world.now());
      return Error{Code::kUnavailable, 0, std::string(op) + ": connection reset before the answer"};
    };
    world.volumes_.hooks = world.logs_.hooks = world.door_.hooks;
    if (faults && world.chance_.percent(world.weather_.call_fails))
      for (const char* op : {"ensure_pod", "remove_pod"}) world.cgroups_.faults.fail(op, 1, {Code::kUnavailable, 0, "cgroup busy"});
    if (faults && world.chance_.percent(world.weather_.call_fails))
      for (const char* op : {"attach", "detach"}) world.programs_.faults.fail(op, 1, {Code::kUnavailable, 0, "bpf busy"});
    if (const auto* stop = std::get_if<lifecycle::StopContainer>(&call->action); stop != nullptr && !call->stop.stop_requested())
      world.container_stops(stop->id);
    reply = executor_.execute(call->uid, call->action, call->context, call->stop);
    world.door_.hooks = {};
    world.volumes_.hooks = world.logs_.hooks = {};
    world.cgroups_.faults.clear();
    world.programs_.faults.clear();
    if (faults && world.chance_.percent(world.weather_.reply_lost)) {
      world.last_trouble_ = std::max(world.last_trouble_, world.now());
      reply.outcome = {};
      reply.outcome.error = Error{Code::kUnavailable, 0, "the answer was lost"};
      reply.mark = reads_.mark();
    }
  }
  if (!alive_) return;
  world.log_.add(world.now(), "agent: {}: {}: {}", call->uid.value(), lifecycle::describe(call->action),
                 reply.outcome.error ? reply.outcome.error->message() : "done");
  world.after(world.chance_.between(milliseconds(0), milliseconds(30)),
              [self = shared_from_this(), call, reply = std::move(reply)]() mutable {
                if (!self->alive_) return;
                self->loop_.action_done(call->uid, call->ticket, std::move(reply), self->world_.now());
                self->plan_wake();
              });
}

void World::Daemon::start(const PodUid& uid, const lifecycle::ProbeRun& run, const reconcile::ActionContext& context,
                          std::stop_token stop) {
  world_.after(world_.chance_.between(milliseconds(1), milliseconds(500)), [self = shared_from_this(), uid, run, context, stop] {
    if (!self->alive_ || stop.stop_requested()) return;
    auto done = self->executor_.probe(run, context, stop);
    self->loop_.probe_done(uid, done, self->world_.now());
    self->plan_wake();
  });
}

void World::Daemon::publish(reconcile::StatusUpdate update) {
  const std::string uid = update.pod->metadata.uid;
  if (!alive_) return;
  if (model::is_terminal(update.status->phase))
    for (const auto& [id, container] : world_.runtime_.containers())
      if (container.seen.uid.value() == uid && container.seen.state == model::RunState::kRunning)
        world_.broken(fmt::format("{} is told to be {} while container {} runs", uid, to_string(update.status->phase), id.value()));
  if (update.source != "api") return world_.api_write(uid, *update.status);  // no API object: only checked
  Pending& pending = pending_[uid];
  pending.update = std::move(update);
  if (!std::exchange(pending.sending, true)) send(uid, world_.chance_.between(milliseconds(1), milliseconds(40)));
}

void World::Daemon::send(const std::string& uid, Duration delay) {
  world_.after(delay, [self = shared_from_this(), uid] {
    const auto found = self->pending_.find(uid);
    if (!self->alive_ || found == self->pending_.end()) return;
    World& world = self->world_;
    if (!world.calm_down_ && world.chance_.percent(world.weather_.call_fails))
      return self->send(uid, world.chance_.between(milliseconds(100), seconds(2)));
    const auto update = found->second.update;
    found->second.sending = false;
    if (!world.api_pods_.contains(uid)) return;
    world.api_write(uid, *update.status);
    const auto& pod = *world.api_pods_.at(uid);
    if (update.finished && pod.metadata.deletion_timestamp && model::is_terminal(pod.status.phase)) world.api_gone(uid);
  });
}

void World::start_daemon() {
  if (daemon_ != nullptr && daemon_->alive()) return;
  log_.add(now(), "agent: starts");
  daemon_ = std::make_shared<Daemon>(*this);
  daemon_->boot();
}

void World::crash_daemon(const char* why) {
  if (daemon_ == nullptr || !daemon_->alive()) return;
  log_.add(now(), "agent: killed ({})", why);
  last_trouble_ = std::max(last_trouble_, now());
  daemon_->kill();
  programs_.restart();
  dead_daemons_.push_back(daemon_);
  for (const auto& [uid, pod] : pods_)
    if (!wanted(uid) && !volumes_.directories.contains(PodUid(uid))) forgotten_.insert(uid);
  for (const auto& [uid, pod] : static_pods_) told_.erase(uid);  // no API object keeps their status
  after(chance_.between(milliseconds(10), seconds(4)), [this] { start_daemon(); });
}

void World::runtime_changed(const std::string& uid) {
  if (!calm_down_ && chance_.percent(weather_.event_lost)) return;
  const int copies = chance_.one_in(6) ? 2 : 1;
  for (int i = 0; i < copies; ++i) {
    const Duration late =
        chance_.one_in(12) ? chance_.between(milliseconds(1), seconds(2)) : chance_.between(milliseconds(1), milliseconds(10));
    after(late, [this, uid] {
      if (daemon_ != nullptr) daemon_->look_at(uid);
    });
  }
}

}  // namespace pintle::sim
