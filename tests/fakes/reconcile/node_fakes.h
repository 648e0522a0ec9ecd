// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// What a pod needs of a node besides runtime, cgroups and programs, in memory: directories, config objects, probes. Stateful and
// deterministic. `hooks` are asked before and after an effect: an error before means nothing happened, one after that the
// reply was lost. Thread rule: one thread, unless a test says otherwise.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "ports/object_reader.h"
#include "ports/pod_logs.h"
#include "ports/prober.h"
#include "ports/volume_mounter.h"

namespace pintle::fakes {

struct CallHooks {
  std::function<std::optional<Error>(const char* op)> before, after;

  [[nodiscard]] std::optional<Error> enter(const char* op) const { return before ? before(op) : std::nullopt; }
  [[nodiscard]] std::optional<Error> leave(const char* op) const { return after ? after(op) : std::nullopt; }
};

class MemoryVolumes final : public ports::VolumeMounter {
 public:
  CallHooks hooks;
  std::set<PodUid> directories, mounted;
  std::map<std::string, std::string> messages;  // container id -> what it left

  [[nodiscard]] Result<ports::PreparedVolumes> mount(const model::Pod& pod, const ports::VolumeContext&, std::stop_token stop) override {
    if (auto error = hooks.enter("mount")) return std::unexpected(*error);
    if (stop.stop_requested()) return fail(Code::kCancelled, "mount: given up");
    directories.insert(pod.uid());
    mounted.insert(pod.uid());
    if (auto error = hooks.leave("mount")) return std::unexpected(*error);
    return ports::PreparedVolumes{};
  }
  [[nodiscard]] Result<std::vector<model::Mount>> container_mounts(const model::Pod& pod, const model::Container&, uint32_t,
                                                                   const ports::VolumeContext&, const ports::PreparedVolumes&,
                                                                   const std::vector<std::pair<std::string, std::string>>&) override {
    if (auto error = hooks.enter("container_mounts")) return std::unexpected(*error);
    directories.insert(pod.uid());
    mounted.insert(pod.uid());
    return std::vector<model::Mount>{};
  }
  [[nodiscard]] std::string termination_message(const model::Pod&, const model::Container&, const model::ObservedContainer& dead) override {
    const auto found = messages.find(dead.id.value());
    return found == messages.end() ? std::string() : found->second;
  }
  [[nodiscard]] Status unmount(const PodUid& uid) override {
    if (auto error = hooks.enter("unmount")) return std::unexpected(*error);
    mounted.erase(uid);
    if (auto error = hooks.leave("unmount")) return std::unexpected(*error);
    return {};
  }
  [[nodiscard]] Status remove_folder(const PodUid& uid) override {
    if (auto error = hooks.enter("remove_folder")) return std::unexpected(*error);
    mounted.erase(uid);
    directories.erase(uid);
    if (auto error = hooks.leave("remove_folder")) return std::unexpected(*error);
    return {};
  }
  [[nodiscard]] Result<std::vector<PodUid>> list_pods() override {
    if (auto error = hooks.enter("list_pods")) return std::unexpected(*error);
    return std::vector<PodUid>(directories.begin(), directories.end());
  }
};

// Names are joined by '/': "default/web/uid-1" has "main/0" and "main/0.20260102".
class MemoryLogs final : public ports::PodLogs {
 public:
  CallHooks hooks;
  std::map<std::string, std::set<std::string>> folders;  // of pods: their logs, which a test writes in the runtime's place
  std::map<std::string, std::string> links;              // container id -> "default/web/uid-1/main/0"
  std::set<std::string> foreign;                         // container ids by whose name something else is there

  [[nodiscard]] static std::string folder(const ports::LogOwner& pod) { return pod.namespace_ + "/" + pod.pod + "/" + pod.uid; }
  [[nodiscard]] static std::string file(const ports::LogTarget& log) { return log.container + "/" + std::to_string(log.attempt); }
  void write(const ports::LogTarget& log) { folders[folder({log.namespace_, log.pod, log.uid})].insert(file(log)); }

  [[nodiscard]] Status link(const ports::LogTarget& log, const ContainerId& id) override {
    if (auto error = hooks.enter("link_log")) return std::unexpected(*error);
    const std::string in = folder({log.namespace_, log.pod, log.uid});
    if (const auto found = folders.find(in); found == folders.end() || !found->second.contains(file(log))) return {};
    if (foreign.contains(id.value())) return fail(Code::kAlreadyExists, "link: something else is there");
    links[id.value()] = in + "/" + file(log);
    if (auto error = hooks.leave("link_log")) return std::unexpected(*error);
    return {};
  }
  [[nodiscard]] Status remove_container(const ports::LogTarget& log, const ContainerId& id) override {
    if (auto error = hooks.enter("remove_log")) return std::unexpected(*error);
    links.erase(id.value());
    if (const auto found = folders.find(folder({log.namespace_, log.pod, log.uid})); found != folders.end())
      std::erase_if(found->second, [&](const auto& name) { return name == file(log) || name.starts_with(file(log) + "."); });
    if (auto error = hooks.leave("remove_log")) return std::unexpected(*error);
    return {};
  }
  [[nodiscard]] Status remove_pod(const ports::LogOwner& pod) override {
    if (auto error = hooks.enter("remove_logs")) return std::unexpected(*error);
    const auto of_pod = [&](const std::string& in) { return pod.namespace_.empty() ? in.ends_with("/" + pod.uid) : in == folder(pod); };
    for (auto at = folders.begin(); at != folders.end();) {
      const std::string in = at->first + "/";
      if (of_pod(at->first)) std::erase_if(links, [&](const auto& link) { return link.second.starts_with(in); });
      at = of_pod(at->first) ? folders.erase(at) : std::next(at);
    }
    if (auto error = hooks.leave("remove_logs")) return std::unexpected(*error);
    return {};
  }
};

class MemoryObjects final : public ports::ObjectReader {
 public:
  std::map<std::string, model::ConfigMap> config_maps;  // "namespace/name"
  std::map<std::string, model::Secret> secrets;

  [[nodiscard]] Result<model::ConfigMap> get_config_map(const std::string& namespace_, const std::string& name, std::stop_token) override {
    return find(config_maps, "configmap", namespace_, name);
  }
  [[nodiscard]] Result<model::Secret> get_secret(const std::string& namespace_, const std::string& name, std::stop_token) override {
    return find(secrets, "secret", namespace_, name);
  }
  [[nodiscard]] Result<ports::IssuedToken> request_token(const ports::TokenRequest&, std::stop_token) override {
    return fail(Code::kUnsupported, "no tokens here");
  }

 private:
  template <typename Object>
  static Result<Object> find(const std::map<std::string, Object>& objects, const char* kind, const std::string& namespace_,
                             const std::string& name) {
    const auto found = objects.find(namespace_ + "/" + name);
    if (found == objects.end()) return fail(Code::kNotFound, std::string(kind) + " '" + namespace_ + "/" + name + "' not found");
    return found->second;
  }
};

class ScriptedProber final : public ports::Prober {
 public:
  // Unset: success.
  std::function<ports::ProbeReport(const ports::ProbeTarget&, const model::Probe&)> on_probe;
  std::function<Status(const ports::ProbeTarget&, const model::HookAction&, std::stop_token)> on_hook;
  std::vector<std::string> hooks_run;  // names of containers

  [[nodiscard]] ports::ProbeReport probe(const ports::ProbeTarget& target, const model::Probe& probe, std::stop_token) override {
    return on_probe ? on_probe(target, probe) : ports::ProbeReport{ports::ProbeOutcome::kSuccess, {}};
  }
  [[nodiscard]] Status run_hook(const ports::ProbeTarget& target, const model::HookAction& action, std::stop_token stop) override {
    hooks_run.push_back(target.spec.name);
    return on_hook ? on_hook(target, action, std::move(stop)) : Status{};
  }
};

}  // namespace pintle::fakes
