// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// The few requests that kubectl sends in Kubernetes' protobuf form whatever the server offers (kubectl create configmap,
// secret, namespace, serviceaccount, and delete options), read into the JSON they stand for. Other kinds are refused with 415.
// Pure; never reads past `body`.
#pragma once

#include <string_view>

#include "standalone/api_error.h"

namespace pintle::standalone {

[[nodiscard]] ApiResult<Json> decode_protobuf_body(std::string_view body);
[[nodiscard]] std::string encode_base64(std::string_view plain);

}  // namespace pintle::standalone
