// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include <iostream>
#include <iterator>

#include "app/node_facts.h"
#include "bench/bench.h"
#include "cgroup/cgroup_fs_tree.h"
#include "codec/objects.h"
#include "cri/cri_runtime.h"
#include "lifecycle/container_config.h"
#include "model/defaults.h"
#include "node/machine_info.h"
#include "reconcile/pod_cgroup_limits.h"
#include "volumes/fs_volume_mounter.h"

namespace pintle::bench {
namespace {

// The benchmark's pods name no objects.
class NoObjects final : public ports::ObjectReader {
 public:
  Result<model::ConfigMap> get_config_map(const std::string&, const std::string& name, std::stop_token) override { return none(name); }
  Result<model::Secret> get_secret(const std::string&, const std::string& name, std::stop_token) override { return none(name); }
  Result<ports::IssuedToken> request_token(const ports::TokenRequest& request, std::stop_token) override { return none(request.pod_name); }

 private:
  static std::unexpected<Error> none(const std::string& name) { return fail(Code::kNotFound, "no object '" + name + "' here"); }
};

// What the agent would hand to the runtime for this pod, by the agent's own functions.
struct Prepared {
  model::SandboxConfig sandbox;
  model::ContainerConfig container;
};

Result<Prepared> prepare(const config::AgentConfig& config, const model::Pod& pod, ports::CgroupTree& cgroups,
                         ports::VolumeMounter& volumes) {
  PINTLE_ASSIGN_OR_RETURN(const auto machine, node::read_machine_info("/", config.pintle.root_dir));
  const auto addresses = app::node_addresses(config);
  const auto facts = app::node_facts(config, addresses, app::node_settings(config, addresses, machine), machine);
  const auto qos = model::qos_class(pod.spec);
  PINTLE_ASSIGN_OR_RETURN(const auto cgroup,
                          cgroups.ensure_pod(pod.uid(), qos, reconcile::pod_cgroup_limits(pod.spec, qos, config.pod_pids_limit)));
  const ports::VolumeContext context{.node_name = facts.node_name,
                                     .host_ips = facts.host_ips,
                                     .pod_ips = {},
                                     .allocatable = facts.allocatable,
                                     .hosts_file = lifecycle::hosts_file(pod, {}, facts, {})};
  PINTLE_ASSIGN_OR_RETURN(const auto mounted, volumes.mount(pod, context, {}));
  const auto& container = pod.spec.containers.front();
  lifecycle::EnvSources sources{{facts.node_name, facts.host_ips, {}, facts.allocatable}, {}, {}, {}};
  PINTLE_ASSIGN_OR_RETURN(auto env, lifecycle::resolve_env(pod, container, sources));
  PINTLE_ASSIGN_OR_RETURN(auto mounts, volumes.container_mounts(pod, container, 0, context, mounted, env));
  Prepared out;
  PINTLE_ASSIGN_OR_RETURN(out.sandbox, lifecycle::make_sandbox_config(pod, facts, cgroup.runtime_parent, 0));
  PINTLE_ASSIGN_OR_RETURN(out.container,
                          lifecycle::make_container_config(pod, container, facts, {{}, 0, std::move(env), std::move(mounts), {}}));
  return out;
}

}  // namespace

// The calls that starting a one-container pod takes, with what the agent would say in each, and nothing else: run the sandbox, read it
// back, look the image up, create, start, read back. Cgroup, volumes and configurations are made before the clock starts; the
// removal is not timed.
Result<Figures> cri_pod_bench(const std::string& config_path, const std::string& root) {
  PINTLE_ASSIGN_OR_RETURN(const auto config, config::load(config_path));
  const std::string text(std::istreambuf_iterator<char>(std::cin), {});
  PINTLE_ASSIGN_OR_RETURN(model::Pod pod, codec::decode_pod(text));
  PINTLE_ASSIGN_OR_RETURN(const auto runtime, cri::CriRuntime::create({.runtime_endpoint = config.container_runtime_endpoint}));
  PINTLE_TRY(runtime->version());  // the connection is made before the clock starts
  PINTLE_ASSIGN_OR_RETURN(auto layout, cgroup::probe_layout());
  // A tree like the agent's beside it: a pod in the agent's own would be a left-over to it, and be ended.
  cgroup::CgroupFsTree cgroups(std::move(layout), config.cgroup_root + "/raw");
  PINTLE_TRY(cgroups.ensure_root({}));
  NoObjects objects;
  const SystemClock clock;
  volumes::FsVolumeMounter volumes(root, objects, clock);
  PINTLE_ASSIGN_OR_RETURN(auto prepared, prepare(config, pod, cgroups, volumes));
  auto& [sandbox, container] = prepared;

  const StopWatch watch;
  PINTLE_ASSIGN_OR_RETURN(const auto sandbox_id, runtime->run_sandbox(sandbox, {}));
  PINTLE_TRY(runtime->inspect_pod(pod.uid()));
  PINTLE_ASSIGN_OR_RETURN(const auto found, runtime->find_image(container.user_specified_image));
  if (!found) return fail(Code::kNotFound, "image '" + container.user_specified_image + "' is not in the runtime");
  container.image_ref = found->id;
  PINTLE_ASSIGN_OR_RETURN(const auto container_id, runtime->create_container(sandbox_id, container, sandbox, {}));
  PINTLE_TRY(runtime->start_container(container_id));
  PINTLE_TRY(runtime->inspect_pod(pod.uid()));
  const double seconds = watch.seconds();

  PINTLE_TRY(runtime->stop_container(container_id, std::chrono::seconds(0), {}));
  PINTLE_TRY(runtime->stop_sandbox(sandbox_id));
  PINTLE_TRY(runtime->remove_sandbox(sandbox_id));
  PINTLE_TRY(volumes.unmount(pod.uid()));
  PINTLE_TRY(volumes.remove_folder(pod.uid()));
  PINTLE_TRY(cgroups.remove_pod(pod.uid()));
  PINTLE_TRY(cgroups.remove_root());
  return Figures{{"raw_ms", seconds * 1000}};
}

}  // namespace pintle::bench
