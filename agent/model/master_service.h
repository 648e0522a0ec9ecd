// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// The service behind which the API server is, told to every pod (facts row 13.3).
#pragma once

#include <string_view>

namespace pintle::model {

inline constexpr std::string_view kMasterServiceNamespace = "default";
inline constexpr std::string_view kMasterService = "kubernetes";

}  // namespace pintle::model
