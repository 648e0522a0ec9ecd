// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// What a pod's images are pulled with (facts rows 19.4 to 19.6): its imagePullSecrets first, then the node's own file, then what the
// node's credential plugins answer. Secrets and file are read anew for each pull, so that what was created or mended counts at the next
// try. A secret that can't be had is told as an event on the pod, and the pull goes on without; one that can't be read fails it. No
// credential ever goes into an event, error or log line. Thread rule: any thread.
#pragma once

#include <functional>
#include <stop_token>
#include <string>
#include <vector>

#include "app/credential_plugins.h"
#include "base/time.h"
#include "model/registry_credentials.h"
#include "ports/object_reader.h"
#include "ports/pod_api.h"

namespace pintle::app {

class PullCredentials {
 public:
  struct Options {
    std::vector<std::string> files;  // of the node, as Docker's config.json: the first one that is there and can be read counts
    std::function<void(const std::string& file, const std::string& error)> told;  // of a file; an empty error: it is good
    CredentialPlugins* plugins = nullptr;                                         // null: there are none
  };
  // REQUIRES: all outlive this.
  PullCredentials(ports::ObjectReader& objects, ports::EventSink& events, const Clock& clock, Options options)
      : objects_(objects), events_(events), clock_(clock), options_(std::move(options)) {}

  // Those to be tried, in order. kInvalid: a secret that can't be parsed; kCancelled.
  [[nodiscard]] Result<std::vector<model::RegistryAuth>> find(const model::Pod& pod, const std::string& image, std::stop_token stop);

 private:
  [[nodiscard]] Result<std::vector<model::RegistryCredential>> of_pod(const model::Pod& pod, const std::stop_token& stop);
  [[nodiscard]] std::vector<model::RegistryCredential> of_node() const;
  void tell_missing(const model::Pod& pod, const std::string& names, const std::string& causes);

  ports::ObjectReader& objects_;
  ports::EventSink& events_;
  const Clock& clock_;
  const Options options_;
};

// Where a node's file is looked for: below `root_dir`, where a kubelet that was here before had it, and at the root.
[[nodiscard]] std::vector<std::string> node_credential_files(const std::string& root_dir);

}  // namespace pintle::app
