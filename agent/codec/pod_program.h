// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// PodProgram documents (pintle.dev/v1alpha1) from YAML or JSON, strictly: a field that is not known may narrow what the program applies
// to, so it is refused. A bad document costs only itself. Pure; never throws. Errors: kInvalid, with origin, line and field path.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "model/pod_program.h"

namespace pintle::codec {

struct PodProgramDocuments {
  std::vector<model::PodProgram> programs;
  std::vector<Error> errors;
};
[[nodiscard]] PodProgramDocuments parse_pod_programs(std::string_view text, const std::string& origin);

}  // namespace pintle::codec
