// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Which credentials are offered for an image (facts row 19.4). A pattern is what a docker config names a registry by: "reg.example",
// "https://reg.example:5000/team", "*.example", "https://index.docker.io/v1/". Host labels may be globs, the port must be the same, the
// path is a prefix. Pure functions, any thread. Values hold passwords: never to be logged.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "model/runtime.h"

namespace pintle::model {

struct RegistryCredential {
  std::string pattern;
  RegistryAuth auth;
};

// Registry and path of an image, without tag and digest: "busybox:1" is "docker.io/library/busybox".
[[nodiscard]] std::string repository_of(std::string_view image);
// Without scheme, and without the path that old registries had ("/v1/").
[[nodiscard]] std::string normal_pattern(std::string_view pattern);
// REQUIRES: normal_pattern() and repository_of() made them.
[[nodiscard]] bool registry_matches(std::string_view pattern, std::string_view repository);
// All that match, the longest path first, an exact host before a glob; those of one pattern as they stand. Where none does, an image of
// Docker's registry gets what is kept under its old name, index.docker.io.
[[nodiscard]] std::vector<RegistryAuth> credentials_for(std::string_view image, std::span<const RegistryCredential> known);

}  // namespace pintle::model
