// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// runtime.v1 -> model: what the runtime reports. Tolerant: a runtime's missing field is the model's empty value.
// Thread rule: pure.
#pragma once

#include "cri/runtime.pb.h"
#include "model/runtime.h"

namespace pintle::cri {

// From list items: no ips, no exit codes.
[[nodiscard]] model::ObservedSandbox to_model(const runtime::v1::PodSandbox& item);
[[nodiscard]] model::ObservedContainer to_model(const runtime::v1::Container& item);
// From status reads. Only a verbose ContainerStatus tells the pid and names the sandbox.
[[nodiscard]] model::ObservedSandbox to_model(const runtime::v1::PodSandboxStatus& status);
[[nodiscard]] model::ObservedContainer to_model(const runtime::v1::ContainerStatusResponse& response);

[[nodiscard]] model::ImageInfo to_model(const runtime::v1::Image& image);
[[nodiscard]] model::RuntimeStatus to_model(const runtime::v1::RuntimeStatus& status);

}  // namespace pintle::cri
