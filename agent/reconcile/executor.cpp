// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "reconcile/executor.h"

#include <algorithm>
#include <thread>

#include <fmt/format.h>

#include "base/log.h"
#include "base/unique_fd.h"
#include "lifecycle/admission.h"
#include "lifecycle/container_config.h"
#include "lifecycle/cri_resources.h"
#include "lifecycle/instances.h"
#include "lifecycle/probes.h"
#include "model/defaults.h"
#include "reconcile/pod_cgroup_limits.h"

namespace pintle::reconcile {
namespace {

using namespace lifecycle;
using std::chrono::seconds;

constexpr seconds kLeastGrace{2};  // row 11.5

const model::Container* find_container(const model::Pod& pod, const std::string& name) {
  for (const auto* list : {&pod.spec.containers, &pod.spec.init_containers, &pod.spec.ephemeral_containers})
    for (const auto& container : *list)
      if (container.name == name) return &container;
  return nullptr;
}

ports::VolumeContext volume_context(const ActionContext& context, const std::string& host_hosts_file) {
  ports::VolumeContext out;
  const NodeFacts& node = *context.node;
  out.node_name = node.node_name;
  out.host_ips = node.host_ips;
  out.pod_ips = context.pod_ips;
  out.allocatable = node.allocatable;
  std::string of_host;
  if (context.pod->spec.host_network)
    if (auto text = read_file(host_hosts_file)) of_host = *std::move(text);
  out.hosts_file = hosts_file(*context.pod, context.pod_ips, node, of_host);
  return out;
}

// The objects an environment refers to, fetched; lives as long as the look-ups into it.
struct FetchedObjects {
  std::map<std::string, model::StringMap> config_maps, secrets;

  [[nodiscard]] static ObjectLookup in(const std::map<std::string, model::StringMap>& objects) {
    return [&objects](const std::string& name) -> const model::StringMap* {
      const auto found = objects.find(name);
      return found == objects.end() ? nullptr : &found->second;
    };
  }
};

Result<FetchedObjects> fetch_objects(ports::ObjectReader& reader, const model::Pod& pod, const model::Container& container,
                                     const std::stop_token& stop) {
  FetchedObjects out;
  for (const auto& needed : needed_objects(container)) {
    const bool map = needed.kind == NeededObject::Kind::kConfigMap;
    std::optional<Error> error;
    if (map) {
      auto object = reader.get_config_map(pod.metadata.namespace_, needed.name, stop);
      if (object)
        out.config_maps[needed.name] = std::move(object->data);
      else
        error = std::move(object).error();
    } else {
      auto object = reader.get_secret(pod.metadata.namespace_, needed.name, stop);
      if (object)
        out.secrets[needed.name] = std::move(object->data);
      else
        error = std::move(object).error();
    }
    if (!error || (error->code == Code::kNotFound && needed.optional)) continue;
    return std::unexpected(*std::move(error));
  }
  return out;
}

}  // namespace

DeadlineTimer thread_deadline_timer() {
  return [](Duration delay, std::stop_source target) -> std::shared_ptr<void> {
    return std::make_shared<std::jthread>([delay, target = std::move(target)](const std::stop_token& stop) mutable {
      Mutex mutex;
      ConditionVariable never;
      MutexLock lock(mutex);
      const bool ended = never.wait_for(mutex, stop, delay, [&] { return stop.stop_requested(); });
      if (!ended) target.request_stop();
    });
  };
}

PodExecutor::PodExecutor(ExecutorPorts ports, const Clock& clock, ReadClock& reads, ExecutorOptions options)
    : ports_(ports), clock_(clock), reads_(reads), options_(std::move(options)), puller_(ports.images, options_.max_parallel_pulls) {}

PodExecutor::PodState PodExecutor::state_of(const PodUid& uid) {
  MutexLock lock(mu_);
  return states_[uid];
}

void PodExecutor::pod_changed(const PodPtr& pod) {
  MutexLock lock(mu_);
  if (const auto found = states_.find(pod->uid()); found != states_.end()) found->second.pod = pod;
}

std::map<std::string, std::string> PodExecutor::last_words(const model::ObservedPod& seen) {
  PodPtr pod;
  {
    MutexLock lock(mu_);
    if (const auto found = states_.find(seen.uid); found != states_.end()) pod = found->second.pod;
  }
  std::map<std::string, std::string> words;
  if (pod == nullptr) return words;
  for (const auto& dead : seen.containers) {
    if (dead.state != model::RunState::kExited || !dead.detailed) continue;
    if (const auto* container = find_container(*pod, dead.name))
      words[dead.id.value()] = ports_.volumes.termination_message(*pod, *container, dead);
  }
  return words;
}

void PodExecutor::read_back(const PodUid& uid, ActionReply& reply) {
  reply.mark = reads_.mark();
  auto seen = ports_.runtime.inspect_pod(uid);
  if (!seen) {
    PINTLE_LOG(kDebug, "reconcile", "read-back of '{}': {}", uid.value(), seen.error().message());
    if (!reply.outcome.error) reply.outcome.error = std::move(seen).error();
    return;
  }
  seen->uid = uid;
  reply.outcome.termination_messages = last_words(*seen);
  reply.outcome.observed = *std::move(seen);
}

// Row 15.4: against the other classes, burstable pods weigh what they ask for together. Best-effort's least share is ensure_root()'s.
Status PodExecutor::share_out() {
  MutexLock order(class_mu_);
  int64_t sum = 0;
  {
    MutexLock lock(mu_);
    for (const auto& [uid, state] : states_) sum += state.burstable_milli_cpu;
  }
  if (shared_milli_cpu_ == sum) return {};
  PINTLE_TRY(ports_.cgroups.limit_class(model::QosClass::kBurstable, {.cpu_shares = static_cast<uint64_t>(cpu_shares(sum))}));
  shared_milli_cpu_ = sum;
  return {};
}

// One action under way.
class PodExecutor::Step {
 public:
  Step(PodExecutor& self, const PodUid& uid, const ActionContext& context, std::stop_token stop, ActionReply& reply)
      : self_(self), ports_(self.ports_), uid_(uid), context_(context), pod_(*context.pod), stop_(std::move(stop)), reply_(reply) {}

  void operator()(const EnsureCgroup&) {
    const auto qos = pod_.status.qos_class.value_or(model::qos_class(pod_.spec));
    auto cgroup = ports_.cgroups.ensure_pod(uid_, qos, pod_cgroup_limits(pod_.spec, qos, self_.options_.pod_pids_limit));
    if (!cgroup) return failed(std::move(cgroup).error());
    reply_.outcome.value = CgroupReady{cgroup->id, cgroup->path, cgroup->runtime_parent};
    const auto requests = lifecycle::pod_requests(pod_.spec);
    const auto cpu = requests.find("cpu");
    const bool counts = qos == model::QosClass::kBurstable && cpu != requests.end();
    keep([&](PodState& state) {
      state.cgroup = *std::move(cgroup);
      state.burstable_milli_cpu = counts ? cpu->second.milli() : 0;
    });
    take(self_.share_out());
  }
  void operator()(const FindCgroup&) { failed({Code::kUnsupported, 0, "the cgroups of this agent's pods are made, not looked for"}); }
  void operator()(const AttachPrograms&) {
    const auto cgroup = self_.state_of(uid_).cgroup;
    if (!cgroup) return failed({Code::kGone, 0, fmt::format("attach programs to pod '{}': its cgroup is not open", uid_.value())});
    Result<model::ProgramPlan> plan = ports_.planner == nullptr ? model::default_program_plan() : ports_.planner->plan_for(pod_);
    if (!plan) return failed(std::move(plan).error(), std::string(lifecycle::kProgramPlanRefused));
    auto report = ports_.programs.attach({uid_, pod_.metadata.namespace_, pod_.metadata.name}, *cgroup, *plan);
    if (!report) return failed(std::move(report).error(), lifecycle::attach_failure(*plan));
    reply_.outcome.value = *std::move(report);
  }
  void operator()(const MountVolumes&) {
    auto volumes = ports_.volumes.mount(pod_, volume_context(context_, self_.options_.host_hosts_file), stop_);
    if (!volumes) return failed(std::move(volumes).error());
    if (!volumes->kept.empty())
      PINTLE_LOG(kWarning, "reconcile", "pod '{}': {}; it shows what it did before", pod_.full_name(), volumes->kept);
    const bool first = !self_.state_of(uid_).volumes;
    keep([&](PodState& state) { state.volumes = *std::move(volumes); });
    if (!first || context_.observed == nullptr) return;
    // Started by an earlier run of the agent, which may have come no further.
    for (const auto& instance : context_.observed->containers) link_log(instance.name, instance.attempt, instance.id);
  }
  void operator()(const EnsureImage& action) {
    CredentialLookup credentials;
    if (self_.options_.credentials)
      credentials = [this](const std::string& name, std::stop_token stop) {
        return self_.options_.credentials(pod_, name, std::move(stop));
      };
    auto image = self_.puller_.ensure(action.image, action.policy, credentials, stop_);
    if (!image) return failed(std::move(image.error().error), std::move(image.error().reason));
    reply_.outcome.value = std::move(image->image);
    reply_.outcome.pulled = image->pulled;
  }
  void operator()(const RunSandbox& action) {
    run_sandbox(action);
    self_.read_back(uid_, reply_);
  }
  void operator()(const StartContainer& action) {
    start(action);
    self_.read_back(uid_, reply_);
    settle_start(action);
  }
  void operator()(const StopContainer& action) {
    stop_container(action);
    self_.read_back(uid_, reply_);
  }
  void operator()(const RemoveContainer& action) { runtime_call(remove_container(action.id)); }
  void operator()(const StopSandbox& action) { runtime_call(ports_.runtime.stop_sandbox(action.id)); }
  void operator()(const RemoveSandbox& action) { runtime_call(ports_.runtime.remove_sandbox(action.id)); }
  void operator()(const InspectPod&) { self_.read_back(uid_, reply_); }
  void operator()(const UnmountVolumes&) {
    take(ports_.volumes.unmount(uid_));
    if (!reply_.outcome.error) keep([](PodState& state) { state.volumes.reset(); });
  }
  void operator()(const DetachPrograms&) {
    take(ports_.programs.detach(uid_));
    if (!reply_.outcome.error && ports_.planner != nullptr) ports_.planner->forget(uid_);
  }
  void operator()(const RemoveCgroup&) {
    keep([](PodState& state) { state.cgroup.reset(); });  // an open directory would keep the removed cgroup alive
    take(ports_.cgroups.remove_pod(uid_));
    if (reply_.outcome.error) return;
    forget();
    if (const auto shared = self_.share_out(); !shared)
      PINTLE_LOG(kWarning, "reconcile", "{}; the next pod that comes or goes sets it", shared.error().message());
  }
  void operator()(const RemoveFiles&) {
    take(remove_files());
    forget();
  }

 private:
  void failed(Error error, std::string reason = {}) {
    reply_.outcome.error = std::move(error);
    reply_.outcome.reason = std::move(reason);
  }
  void take(Status status) {
    if (!status) failed(std::move(status).error());
  }
  void runtime_call(Status status) {
    take(std::move(status));
    self_.read_back(uid_, reply_);
  }
  template <typename Change>
  void keep(Change change) {
    MutexLock lock(self_.mu_);
    change(self_.states_[uid_]);
  }
  [[nodiscard]] Result<model::SandboxConfig> sandbox_config(uint32_t attempt) const {
    auto config = make_sandbox_config(pod_, *context_.node, context_.cgroup_parent, attempt);
    if (config && !self_.options_.owner.empty()) config->annotations[std::string(kOwnerAnnotation)] = self_.options_.owner;
    return config;
  }

  void forget() {
    MutexLock lock(self_.mu_);
    self_.states_.erase(uid_);
  }

  [[nodiscard]] ports::LogTarget log_of(const std::string& container, uint32_t attempt) const {
    const auto& meta = pod_.metadata;
    return {meta.namespace_, meta.name, uid_.value(), container, static_cast<int32_t>(attempt)};
  }
  // Row 17.6. What collects logs by these links misses the container; that is no reason to keep it from running.
  void link_log(const std::string& container, uint32_t attempt, const ContainerId& id) const {
    if (const auto linked = ports_.logs.link(log_of(container, attempt), id); !linked)
      PINTLE_LOG(kWarning, "reconcile", "container '{}' of pod '{}': {}; ignoring", container, pod_.full_name(), linked.error().message());
  }
  // The logs first: while the runtime has the record, they are found by it again.
  [[nodiscard]] Status remove_container(const ContainerId& id) const {
    if (const auto log = log_to_remove(id)) PINTLE_TRY(ports_.logs.remove_container(*log, id));
    return ports_.runtime.remove_container(id);
  }
  // Row 20.3. None when it isn't known, or another instance writes to it: then the pod's end removes it.
  [[nodiscard]] std::optional<ports::LogTarget> log_to_remove(const ContainerId& id) const {
    if (context_.observed == nullptr || pod_.metadata.namespace_.empty()) return std::nullopt;
    const auto& all = context_.observed->containers;
    const auto found = std::ranges::find(all, id, &model::ObservedContainer::id);
    if (found == all.end()) return std::nullopt;
    const auto same = std::ranges::count_if(all, [&](const auto& c) { return c.name == found->name && c.attempt == found->attempt; });
    return same == 1 ? std::optional(log_of(found->name, found->attempt)) : std::nullopt;
  }
  [[nodiscard]] Status remove_files() const {
    PINTLE_TRY(ports_.logs.remove_pod({pod_.metadata.namespace_, pod_.metadata.name, uid_.value()}));
    return ports_.volumes.remove_folder(uid_);
  }

  void run_sandbox(const RunSandbox& action) {
    const auto config = sandbox_config(action.attempt);
    if (!config) return failed(config.error());
    if (auto made = ports_.runtime.run_sandbox(*config, stop_); !made) failed(std::move(made).error());
  }

  [[nodiscard]] Result<EnvList> environment(const model::Container& container) const {
    PINTLE_ASSIGN_OR_RETURN(const FetchedObjects objects, fetch_objects(ports_.objects, pod_, container, stop_));
    const NodeFacts& node = *context_.node;
    EnvSources sources{{node.node_name, node.host_ips, context_.pod_ips, node.allocatable},
                       FetchedObjects::in(objects.config_maps),
                       FetchedObjects::in(objects.secrets),
                       {}};
    if (self_.options_.services) {
      PINTLE_ASSIGN_OR_RETURN(sources.services, self_.options_.services(pod_, stop_));
    }
    return resolve_env(pod_, container, sources);
  }

  [[nodiscard]] Result<model::ContainerConfig> container_config(const StartContainer& action, const model::Container& container) const {
    PINTLE_ASSIGN_OR_RETURN(EnvList env, environment(container));
    const auto volumes = self_.state_of(uid_).volumes;
    if (!volumes) return fail(Code::kUnavailable, fmt::format("start container '{}': the pod's volumes are not mounted", action.name));
    PINTLE_ASSIGN_OR_RETURN(auto mounts,
                            ports_.volumes.container_mounts(pod_, container, action.attempt,
                                                            volume_context(context_, self_.options_.host_hosts_file), *volumes, env));
    return make_container_config(pod_, container, *context_.node, {action.image, action.attempt, std::move(env), std::move(mounts), {}});
  }

  void start(const StartContainer& action) {
    const SteadyTime begun = self_.clock_.steady();
    const auto* container = find_container(pod_, action.name);
    const auto* sandbox = context_.observed == nullptr ? nullptr : newest_sandbox(*context_.observed);
    if (container == nullptr || sandbox == nullptr)
      return failed(
          {Code::kGone, 0, fmt::format("start container '{}': its {} is gone", action.name, container == nullptr ? "spec" : "sandbox")},
          "CreateContainerError");
    auto config = container_config(action, *container);
    if (!config) return failed(std::move(config).error(), "CreateContainerConfigError");
    const auto of_sandbox = sandbox_config(sandbox->attempt);
    if (!of_sandbox) return failed(of_sandbox.error(), "CreateContainerConfigError");
    auto id = ports_.runtime.create_container(sandbox->id, *config, *of_sandbox, stop_);
    if (!id) return failed(std::move(id).error(), "CreateContainerError");
    reply_.outcome.created_after = self_.clock_.steady() - begun;
    if (stop_.stop_requested()) return failed({Code::kCancelled, 0, fmt::format("start container '{}': given up", action.name)});
    if (auto started = ports_.runtime.start_container(*id); !started) return failed(std::move(started).error(), "RunContainerError");
    reply_.outcome.started_after = self_.clock_.steady() - begun;
    link_log(action.name, action.attempt, *id);
    post_start(*container, *id);
  }

  void post_start(const model::Container& container, const ContainerId& id) {
    if (!container.lifecycle.post_start) return;
    auto hook = ports_.prober.run_hook({id, container, first_ip()}, *container.lifecycle.post_start, stop_);
    if (!hook)
      failed(with_context(std::move(hook).error(), fmt::format("postStart of container '{}'", container.name)), "PostStartHookError");
  }

  // A start whose answer was lost, or that was made by an earlier run of the agent, has happened all the same.
  void settle_start(const StartContainer& action) {
    if (reply_.outcome.reason != "RunContainerError" || !reply_.outcome.observed) return;
    for (const auto& instance : reply_.outcome.observed->containers) {
      if (instance.name != action.name || instance.attempt != action.attempt) continue;
      if (instance.state != model::RunState::kRunning) return;
      reply_.outcome.error.reset();
      reply_.outcome.reason.clear();
      link_log(action.name, action.attempt, instance.id);
      if (const auto* container = find_container(pod_, action.name)) post_start(*container, instance.id);
      return;
    }
  }

  // preStop eats the grace period; what is left of it, but never less than two seconds, is the runtime's (rows 11.2, 11.5).
  void stop_container(const StopContainer& action) {
    const SteadyTime begun = self_.clock_.steady();
    const auto* container = find_container(pod_, action.name);
    if (action.run_pre_stop && container != nullptr && container->lifecycle.pre_stop) {
      std::stop_source ending;
      const std::stop_callback chain(stop_, [&ending] { ending.request_stop(); });
      const auto timer = self_.options_.deadline(action.grace, ending);
      const auto hook = ports_.prober.run_hook({action.id, *container, first_ip()}, *container->lifecycle.pre_stop, ending.get_token());
      if (!hook)
        PINTLE_LOG(kWarning, "reconcile", "preStop of container '{}' of pod '{}': {}; ignoring", action.name, pod_.full_name(),
                   hook.error().message());
      if (stop_.stop_requested()) return failed({Code::kCancelled, 0, fmt::format("stop container '{}': given up", action.name)});
    }
    const auto used = std::chrono::floor<seconds>(self_.clock_.steady() - begun);
    take(ports_.runtime.stop_container(action.id, std::max(action.grace - used, kLeastGrace), stop_));
    if (reply_.outcome.error && reply_.outcome.error->code == Code::kNotFound) reply_.outcome.error.reset();
  }

  [[nodiscard]] std::string first_ip() const { return context_.pod_ips.empty() ? std::string() : context_.pod_ips.front(); }

  PodExecutor& self_;
  const ExecutorPorts& ports_;
  const PodUid& uid_;
  const ActionContext& context_;
  const model::Pod& pod_;
  const std::stop_token stop_;
  ActionReply& reply_;
};

ActionReply PodExecutor::execute(const PodUid& uid, const Action& action, const ActionContext& context, std::stop_token stop) {
  ActionReply reply;
  const TraceScope scope(context.trace);  // for the calls to the runtime and the API, and for what is logged meanwhile
  const SteadyTime begun = clock_.steady();
  if (!std::holds_alternative<RemoveCgroup>(action) && !std::holds_alternative<RemoveFiles>(action)) {
    MutexLock lock(mu_);
    states_[uid].pod = context.pod;
  }
  std::visit(Step(*this, uid, context, std::move(stop), reply), action);
  if (!reply.outcome.observed) reply.mark = reads_.mark();
  reply.outcome.took = clock_.steady() - begun;
  return reply;
}

ProbeDone PodExecutor::probe(const ProbeRun& run, const ActionContext& context, std::stop_token stop) {
  ProbeDone done{run, ProbeResult::kError, {}};
  const auto* container = find_container(*context.pod, run.container);
  const auto* probe = container == nullptr ? nullptr : probe_of(*container, run.kind);
  if (probe == nullptr) {
    done.output = "the container has no such probe any more";
    return done;
  }
  auto report =
      ports_.prober.probe({run.id, *container, context.pod_ips.empty() ? std::string() : context.pod_ips.front()}, *probe, std::move(stop));
  done.output = std::move(report.output);
  switch (report.outcome) {
    case ports::ProbeOutcome::kSuccess: done.result = ProbeResult::kSuccess; break;
    case ports::ProbeOutcome::kFailure: done.result = ProbeResult::kFailure; break;
    case ports::ProbeOutcome::kError: done.result = ProbeResult::kError; break;
  }
  return done;
}

}  // namespace pintle::reconcile
