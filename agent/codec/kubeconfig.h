// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// A kubeconfig file's text as values: the cluster and user of one context. Data fields come decoded from base64, files
// and URLs as written: kube/kubeconfig.h resolves them. Unknown fields are passed over, as kubectl does; wrong types,
// dangling names and credentials that would need a plugin are kInvalid, with origin and field. Pure; never throws.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace pintle::codec {

struct KubeconfigContext {
  std::string context, namespace_;
  std::string server, tls_server_name, proxy_url;
  std::string ca_file, ca_data;
  bool insecure_skip_tls_verify = false;
  std::string client_certificate_file, client_certificate_data;
  std::string client_key_file, client_key_data;
  std::string token, token_file;
  std::string username, password;
};

// `context` empty: the file's current-context.
[[nodiscard]] Result<KubeconfigContext> decode_kubeconfig(std::string_view text, const std::string& origin,
                                                          const std::string& context = {});

}  // namespace pintle::codec
