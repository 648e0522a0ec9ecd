// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "app/view.h"

#include <algorithm>
#include <future>
#include <map>

#include <unistd.h>

#include <fmt/format.h>

#include "app/doctor.h"
#include "app/version.h"
#include "base/heap.h"
#include "base/unique_fd.h"

namespace pintle::app {
namespace {

int64_t kilobytes_after(const std::string& text, const char* key) {
  const size_t at = text.find(key);
  return at == std::string::npos ? 0 : std::strtoll(text.c_str() + at + std::char_traits<char>::length(key), nullptr, 10) * 1024;
}

std::string not_standalone(const char* what) {
  return fmt::format("{} works in standalone mode only; here the API server owns the pods: use kubectl with its kubeconfig", what);
}

}  // namespace

View::View(Inputs inputs) : in_(std::move(inputs)), started_at_(in_.clock.now()), applier_(in_.control_api) {}

void View::set_problem(const std::string& source, const std::string& origin, const std::string& error, Time now) {
  const MutexLock lock(mu_);
  if (error.empty())
    problems_.erase(origin);
  else
    problems_[origin] = {source, origin, error, now};
}

void View::set_health(const observe::RuntimeHealth& health) {
  const MutexLock lock(mu_);
  health_ = health;
}

void View::set_component(const ports::ComponentState& component) {
  const MutexLock lock(mu_);
  components_[component.name] = component;
}

namespace {

// Empty once the loop has ended.
template <typename Answer>
Answer answer_of(std::future<Answer> future) {
  try {
    return future.get();
  } catch (const std::future_error&) {
    return {};
  }
}

}  // namespace

std::vector<ports::PodRecord> View::snapshot() { return answer_of(in_.loop.snapshot()); }
std::vector<model::AttachReport> View::program_reports() { return answer_of(in_.loop.program_reports()); }

void View::add_live_links(ports::PodRecord& record) {
  if (!record.programs) {  // not attached by this run; pinned by an earlier one?
    if (auto pinned = in_.attacher.inspect(record.pod->uid())) record.programs = *std::move(pinned);
    if (!record.programs) return;
  }
  // What the kernel says now: a link whose cgroup went away is dead, whatever was true when it was made, and a pod that ended has none.
  auto now = in_.attacher.inspect(record.programs->uid);
  if (!now && now.error().code == Code::kNotFound) return record.programs.reset();
  if (now) {
    for (auto& hook : now->hooks) {
      const auto told = std::ranges::find(record.programs->hooks, hook.hook, &model::HookStatus::hook);
      if (told != record.programs->hooks.end() && told->state == model::HookState::kRefused) hook = *told;
    }
    now->cgroup_path = record.programs->cgroup_path;
    record.programs = *std::move(now);
  }
}

ports::AgentStatus View::status() {
  ports::AgentStatus status;
  status.version = kVersion;
  status.mode = config::to_string(in_.config.pintle.mode);
  status.node_name = in_.config.pintle.node_name;
  status.kubeconfig = in_.kubeconfig;
  if (in_.runtime != nullptr) status.runtime_endpoint = in_.config.container_runtime_endpoint;
  status.started_at = started_at_;
  status.pid = ::getpid();
  if (const auto self = read_file("/proc/self/status")) {
    status.rss_bytes = kilobytes_after(*self, "VmRSS:");
    status.anon_bytes = kilobytes_after(*self, "RssAnon:");
  }
  const auto asked = in_.clock.steady();
  const auto records = snapshot();
  status.loop_latency = in_.clock.steady() - asked;
  for (const auto& record : records) {
    ++status.pods;
    for (const auto& container : record.status.container_statuses)
      if (std::holds_alternative<model::StateRunning>(container.state)) ++status.running_containers;
  }
  const auto api_node = in_.node();
  status.api_endpoint = in_.control_api.config().url();
  status.warnings = in_.config.warnings;
  const MutexLock lock(mu_);
  if (in_.runtime != nullptr) {
    status.components.push_back({"runtime", health_.answers && health_.status.runtime_ready.ok,
                                 health_.answers ? health_.status.runtime_ready.message : health_.error});
    status.components.push_back({"network", health_.status.network_ready.ok, health_.status.network_ready.message});
    status.components.push_back(
        {"api", api_node.has_value() || !in_.config.register_node, api_node ? "node registered" : "node not registered yet"});
  }
  status.components.push_back({"cgroups", true, in_.cgroup_layout});
  const auto features = in_.attacher.features();
  const auto missing = std::ranges::count_if(features, [](const auto& feature) { return !feature.available && !feature.optional; });
  status.components.push_back(
      {"ebpf", missing == 0,
       missing == 0 ? "every feature that pods need is available" : fmt::format("{} features are missing: pintlectl doctor", missing)});
  for (const auto& [name, component] : components_) status.components.push_back(component);
  for (const auto& [origin, problem] : problems_) status.problems.push_back(problem);
  return status;
}

std::vector<ports::PodRecord> View::list_pods() {
  auto records = snapshot();
  std::map<PodUid, ports::PodRecord*> of_programs;
  for (auto& record : records) {
    add_live_links(record);
    if (record.programs) of_programs.emplace(record.programs->uid, &record);
  }
  in_.attacher.each_counters([&](const PodUid& uid, const model::PodCounters& counters) {
    if (const auto it = of_programs.find(uid); it != of_programs.end()) it->second->counters = counters;
  });
  return records;
}

std::unique_ptr<ports::Subscription> View::watch_pods(std::function<void(const ports::PodRecord&)> observer) {
  return in_.loop.watch(std::move(observer));
}

std::vector<model::Event> View::recent_events() { return in_.events.list(); }

Result<model::Node> View::node() {
  if (auto known = in_.node()) return *std::move(known);
  return fail(Code::kUnavailable, "the node is not registered with the API yet");
}

Result<ports::ApplyReply> View::apply(const std::string& manifest, const std::string& origin, bool dry_run, std::stop_token stop) {
  if (!standalone()) return fail(Code::kUnsupported, not_standalone("applying a manifest"));
  auto reply = applier_.apply(manifest, origin, dry_run, std::move(stop));
  give_back_heap();
  return reply;
}

Status View::delete_pod(const std::string& namespace_, const std::string& name, std::optional<int64_t> grace_seconds,
                        std::stop_token stop) {
  if (!standalone()) return fail(Code::kUnsupported, not_standalone("deleting a pod"));
  for (const auto& record : snapshot()) {
    if (record.pod->metadata.name != name || record.pod->metadata.namespace_ != namespace_ || record.source == "api") continue;
    return fail(Code::kInvalid,
                fmt::format("pod '{}/{}' is a static pod: remove its manifest from '{}'", namespace_, name, in_.config.static_pod_path));
  }
  return applier_.delete_pod(namespace_, name, grace_seconds, std::move(stop));
}

Result<std::string> View::list_objects_json(const std::string& kind, const std::string& namespace_, std::stop_token stop) {
  return applier_.list_json(kind, namespace_, std::move(stop));
}

std::vector<model::FeatureProbe> View::ebpf_features() { return in_.attacher.features(); }

std::unique_ptr<ports::Subscription> View::watch_ebpf(std::function<void(const model::ProgramEvent&)> observer) {
  return ebpf_observers_.add(std::move(observer));
}

uint64_t View::ebpf_events_lost() { return in_.attacher.events_lost(); }

std::vector<ports::DoctorCheck> View::doctor(std::stop_token stop) {
  return run_doctor({.bpffs = in_.config.pintle.ebpf.bpffs,
                     .runtime_endpoint = in_.config.container_runtime_endpoint,
                     .programs_only = in_.runtime == nullptr,
                     .features = in_.attacher.features(),
                     .program_set = in_.attacher.program_set(),
                     .pods = list_pods(),
                     .runtime = in_.runtime,
                     .nri = in_.nri ? in_.nri() : std::nullopt,
                     .api = [&]() -> Status {
                       PINTLE_TRY(
                           in_.control_api.request({.method = "GET", .path = "/version", .deadline = std::chrono::seconds(5)}, stop));
                       return {};
                     },
                     .api_name = in_.control_api.config().url()});
}

}  // namespace pintle::app
