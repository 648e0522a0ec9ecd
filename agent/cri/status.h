// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// The one place where a gRPC status of a CRI runtime becomes an Error. Not for wire values: see from_proto.h.
// Thread rule: pure.
#pragma once

#include <string_view>

#include <grpcpp/support/status.h>

#include "base/result.h"

namespace pintle::cri {

// REQUIRES: !status.ok(). Text: "RunPodSandbox 'default/web': <what the runtime said>". `cancelled_by_us` tells our own
// stop request (kCancelled) from a runtime that hangs up (kUnavailable).
[[nodiscard]] Error error_from_status(const grpc::Status& status, std::string_view method, std::string_view object,
                                      bool cancelled_by_us = false);

}  // namespace pintle::cri
