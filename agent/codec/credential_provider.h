// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// A kubelet's CredentialProviderConfig (kubelet.config.k8s.io v1, v1beta1, v1alpha1), and the JSON that is spoken with the programs it
// names (credentialprovider.kubelet.k8s.io). Pure; never throws. Errors: kInvalid; those of a configuration have file, line, field and fix,
// and name every mistake; those of an answer have the field and never a value, which may be a password.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "model/credential_provider.h"

namespace pintle::codec {

// In the file's order, which is the one in which they are asked.
[[nodiscard]] Result<std::vector<model::CredentialProvider>> decode_credential_providers(std::string_view text, const std::string& origin);

// `image`: registry and path, as model::repository_of() has it.
[[nodiscard]] std::string encode_credential_request(const model::CredentialProvider& provider, const std::string& image);
[[nodiscard]] Result<model::CredentialAnswer> decode_credential_answer(const model::CredentialProvider& provider, std::string_view json);

}  // namespace pintle::codec
