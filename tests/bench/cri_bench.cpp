// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "bench/bench.h"
#include "cri/cri_runtime.h"

namespace pintle::bench {

// The calls that starting a one-container pod takes, and nothing else: run the sandbox, read its address, look the image up,
// create, start, read back. Removal is not timed.
Result<Figures> cri_pod_bench(const std::string& endpoint, const std::string& parent, const std::string& image, const std::string& name,
                              const std::string& logs) {
  PINTLE_ASSIGN_OR_RETURN(const auto runtime, cri::CriRuntime::create({.runtime_endpoint = endpoint}));
  PINTLE_TRY(runtime->version());  // the connection is made before the clock starts
  model::SandboxConfig sandbox{.name = name, .namespace_ = "bench", .uid = "bench-" + name, .hostname = name};
  sandbox.log_directory = logs + "/" + name;
  sandbox.cgroup_parent = parent;
  sandbox.labels = {{std::string(model::kLabelPodName), name},
                    {std::string(model::kLabelPodNamespace), "bench"},
                    {std::string(model::kLabelPodUid), sandbox.uid}};
  sandbox.security.namespaces.pid = model::NamespaceMode::kContainer;
  model::ContainerConfig container{
      .name = "c0", .user_specified_image = image, .command = {"sh", "-c", "while true; do sleep 1; done"}, .log_path = "c0.log"};
  container.labels = sandbox.labels;
  container.labels[std::string(model::kLabelContainerName)] = "c0";

  const StopWatch watch;
  PINTLE_ASSIGN_OR_RETURN(const auto sandbox_id, runtime->run_sandbox(sandbox, {}));
  PINTLE_TRY(runtime->inspect_pod(PodUid(sandbox.uid)));
  PINTLE_ASSIGN_OR_RETURN(const auto found, runtime->find_image(image));
  if (!found) return fail(Code::kNotFound, "image '" + image + "' is not in the runtime");
  container.image_ref = found->id;
  PINTLE_ASSIGN_OR_RETURN(const auto container_id, runtime->create_container(sandbox_id, container, sandbox, {}));
  PINTLE_TRY(runtime->start_container(container_id));
  PINTLE_TRY(runtime->inspect_pod(PodUid(sandbox.uid)));
  const double seconds = watch.seconds();

  PINTLE_TRY(runtime->stop_container(container_id, std::chrono::seconds(0), {}));
  PINTLE_TRY(runtime->stop_sandbox(sandbox_id));
  PINTLE_TRY(runtime->remove_sandbox(sandbox_id));
  return Figures{{"raw_ms", seconds * 1000}};
}

}  // namespace pintle::bench
