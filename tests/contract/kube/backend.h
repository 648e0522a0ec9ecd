// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// The API server a contract test runs against; each test binary links one. Started at first use, ended at exit.
#pragma once

#include "base/result.h"
#include "kube/kubeconfig.h"

namespace pintle::contract {

// kUnsupported, with what is missing: the test is to be skipped.
[[nodiscard]] Result<kube::Kubeconfig> api_server();

}  // namespace pintle::contract
