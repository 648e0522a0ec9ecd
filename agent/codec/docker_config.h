// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Registry credentials as Docker writes them: a config.json (and a kubernetes.io/dockerconfigjson secret), or the older form without
// "auths" around it (kubernetes.io/dockercfg). Pure; never throws. Errors: kInvalid, with origin and field, and never a value: whatever
// stands in such a document may be a password.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "model/registry_credentials.h"

namespace pintle::codec {

enum class DockerConfigForm { kConfigJson, kDockercfg };

// In the document's order. Entries without user and password are left out: Docker leaves such where a helper has them.
[[nodiscard]] Result<std::vector<model::RegistryCredential>> decode_docker_config(std::string_view json, DockerConfigForm form,
                                                                                  const std::string& origin);

}  // namespace pintle::codec
