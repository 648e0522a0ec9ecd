// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Names of kinds as people type them ("po", "configmap", "cm/web") and as the API's paths spell them. Pure.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"

namespace pintle::ctl {

struct Kind {
  std::string plural, singular;
  bool namespaced = true;
};
// An unknown kind is passed on as written, in lower case: the daemon knows what it has.
[[nodiscard]] Kind parse_kind(const std::string& word);
[[nodiscard]] std::vector<std::string> known_kinds();  // plural

struct Target {
  Kind kind;
  std::vector<std::string> names;
};
// KIND [NAME…] or KIND/NAME…, all of one kind. kInvalid.
[[nodiscard]] Result<Target> parse_target(const std::vector<std::string>& words);

}  // namespace pintle::ctl
