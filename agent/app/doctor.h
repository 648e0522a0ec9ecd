// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// What `pintlectl doctor` checks: the host, the runtime, the network and the API, each with why it matters and the fix.
// Reads only. Thread rule: any thread; blocks on the runtime's and the API's answers.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "model/ebpf.h"
#include "ports/agent_view.h"
#include "ports/container_runtime.h"

namespace pintle::app {

struct DoctorInputs {
  std::string root = "/";  // of /proc, /sys: another one in tests
  std::string bpffs;       // where pins go
  std::string runtime_endpoint;
  bool programs_only = false;  // beside a kubelet: no volumes, no processes to end
  std::vector<model::FeatureProbe> features;
  model::ProgramSetStatus program_set = {};
  std::vector<ports::PodRecord> pods = {};
  ports::ContainerRuntime* runtime = nullptr;
  std::optional<ports::DoctorCheck> nri;  // beside a kubelet
  std::function<Status()> api;            // one cheap request; empty: no API is configured
  std::string api_name;
};

[[nodiscard]] std::vector<ports::DoctorCheck> run_doctor(const DoctorInputs& inputs);

}  // namespace pintle::app
