// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// model -> runtime.v1: what goes to the runtime. Straight conversion; what a pod's fields mean for these messages was decided
// by lifecycle (facts sections 16 and 17). Thread rule: pure.
#pragma once

#include "cri/runtime.pb.h"
#include "model/runtime.h"

namespace pintle::cri {

// `out` may live on an arena; it must be empty.
void to_proto(const model::SandboxConfig& config, runtime::v1::PodSandboxConfig* out);
void to_proto(const model::ContainerConfig& config, runtime::v1::ContainerConfig* out);
void to_proto(const model::LinuxResources& resources, runtime::v1::LinuxContainerResources* out);
void to_proto(const model::RegistryAuth& auth, runtime::v1::AuthConfig* out);

}  // namespace pintle::cri
