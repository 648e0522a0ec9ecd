// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "backend.h"
#include "fakes/kube/fake_api_server.h"

namespace pintle::contract {

Result<kube::Kubeconfig> api_server() {
  static fakes::FakeApiServer server(fakes::Carrier::kTls);  // as every real one
  static const bool prepared = [] {
    server.create("serviceaccounts", "default", {{"metadata", {{"name", "builder"}}}});
    return true;
  }();
  (void)prepared;  // for its effect
  return server.config();
}

}  // namespace pintle::contract
