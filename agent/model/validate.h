// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// What an API server's validation would refuse, for pods that never passed one. Pure.
#pragma once

#include <string>
#include <vector>

#include "model/status.h"

namespace pintle::model {

struct FieldError {
  std::string path;     // "spec.containers[1].name"
  std::string problem;  // "'web' is used twice; container names must differ"
};
[[nodiscard]] std::vector<FieldError> validate(const Pod& pod);

}  // namespace pintle::model
