// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// RFC 1952 for bodies of requests, by zlib at its default level. Pure function, any thread.
#pragma once

#include <string>
#include <string_view>

namespace pintle::telemetry {

[[nodiscard]] std::string gzip(std::string_view bytes);

}  // namespace pintle::telemetry
