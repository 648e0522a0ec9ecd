// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Programs that are asked for the credentials of an image (facts row 19.5), as a kubelet's CredentialProviderConfig names them. Each whose
// patterns match is asked in the configuration's order, at most once at a time for an image; its answer is kept in memory for as long as it
// says, for the image, the registry or all. One that fails is told, and the pull goes on without it; it is asked again at the next.
// No credential goes into an error or log line. Thread rule: any thread; find() blocks while programs run.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <stop_token>
#include <string>
#include <vector>

#include "base/mutex.h"
#include "base/time.h"
#include "model/credential_provider.h"

namespace pintle::app {

class CredentialPlugins {
 public:
  struct Options {
    std::string bin_folder;
    std::function<void(const std::string& plugin, const std::string& error)> told;  // an empty error: it works
    Duration timeout = std::chrono::minutes(1);                                     // of one run
  };
  CredentialPlugins(std::vector<model::CredentialProvider> providers, const Clock& clock, Options options);

  // Those to be tried, in order. kCancelled.
  [[nodiscard]] Result<std::vector<model::RegistryAuth>> find(const std::string& image, const std::stop_token& stop);

 private:
  using Credentials = std::vector<model::RegistryCredential>;
  struct Kept {
    Credentials credentials;
    SteadyTime until;
  };
  struct Plugin {
    model::CredentialProvider provider;
    std::map<std::string, Kept> cache;  // by image, by registry, or "" for all
    std::set<std::string> asked;        // images for which it runs
  };
  [[nodiscard]] Result<Credentials> ask(Plugin& plugin, const std::string& image, const std::stop_token& stop) PINTLE_EXCLUDES(mu_);
  [[nodiscard]] Result<model::CredentialAnswer> run(const model::CredentialProvider& provider, const std::string& image,
                                                    const std::stop_token& stop) const;
  [[nodiscard]] const Kept* kept(Plugin& plugin, const std::string& image) PINTLE_REQUIRES(mu_);
  void keep(Plugin& plugin, const std::string& image, const model::CredentialAnswer& answer) PINTLE_REQUIRES(mu_);

  const Clock& clock_;
  const Options options_;
  Mutex mu_;
  ConditionVariable answered_;
  std::vector<Plugin> plugins_;  // what of each changes is guarded by mu_
};

// The providers of a file, or of each *.json, *.yaml and *.yml of a folder by name, whose programs are in `bin_folder`. kInvalid,
// kNotFound: naming file, field and fix.
[[nodiscard]] Result<std::vector<model::CredentialProvider>> load_credential_providers(const std::string& path,
                                                                                       const std::string& bin_folder);

}  // namespace pintle::app
