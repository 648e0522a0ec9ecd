// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// The server's side of the wire: requests to the fake's configs, the fake's objects to answers. Written apart from the
// adapter's conversions, so that a mistake there is not mirrored here. Thread rule: pure.
#pragma once

#include "cri/runtime.pb.h"
#include "fakes/cri/fake_container_runtime.h"

namespace pintle::fakes {

[[nodiscard]] model::SandboxConfig read_config(const runtime::v1::PodSandboxConfig& from);
[[nodiscard]] model::ContainerConfig read_config(const runtime::v1::ContainerConfig& from);

void write(const model::ObservedSandbox& from, runtime::v1::PodSandbox* out);
void write(const model::ObservedSandbox& from, runtime::v1::PodSandboxStatus* out);
void write(const model::ObservedContainer& from, runtime::v1::Container* out);
void write(const model::ObservedContainer& from, runtime::v1::ContainerStatus* out);
void write(const model::ImageInfo& from, runtime::v1::Image* out);

}  // namespace pintle::fakes
