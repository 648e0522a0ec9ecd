// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// A program that is asked for the credentials of images (facts row 19.5), as a CredentialProviderConfig names it. Plain values.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "base/time.h"
#include "model/registry_credentials.h"

namespace pintle::model {

struct CredentialProvider {
  std::string name;                       // of the program in its folder
  std::vector<std::string> match_images;  // patterns as in registry_credentials.h
  Duration default_cache_duration{};      // where an answer says none; zero: not kept
  std::string api_version;                // spoken with it: credentialprovider.kubelet.k8s.io/v1 …
  std::vector<std::string> args;
  std::vector<std::string> environment;  // "NAME=value"
  bool operator==(const CredentialProvider&) const = default;
};

// For which images an answer holds.
enum class CredentialScope { kImage, kRegistry, kGlobal };

// Holds passwords: never to be logged.
struct CredentialAnswer {
  CredentialScope scope = CredentialScope::kImage;
  std::optional<Duration> cache_duration;  // not said: the provider's default
  std::vector<RegistryCredential> credentials;
};

}  // namespace pintle::model
