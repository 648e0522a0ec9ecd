// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Where the API server is and how we prove who we are: from a kubeconfig file or a pod's service account. Certificates,
// keys and tokens given as files are read again at every new connection (tokens once a minute), so rotation needs no
// restart. Plain values, copies of which share the TLS context made of them; load functions do file I/O on the caller's thread.
// Errors: kNotFound (no such file), kInvalid (names the file, field and what was expected).
#pragma once

#include <memory>
#include <string>

#include "base/result.h"

namespace pintle::kube {

class TlsContexts;  // tls.h

// Bytes given inline or by file; both empty: not given. Inline wins, as kubectl has it.
struct Material {
  std::string inline_data, file;
  [[nodiscard]] bool given() const { return !inline_data.empty() || !file.empty(); }
  [[nodiscard]] Result<std::string> read() const;
};

struct Kubeconfig {
  bool tls = true;
  std::string host;  // name or address, IPv6 without brackets
  int port = 443;
  std::string socket;       // a Unix socket to connect to instead, without TLS: for a server of our own, in no kubeconfig file
  std::string path_prefix;  // "" or "/k8s/clusters/c-1"
  std::string namespace_;   // the context's, for clients that want one

  Material ca;  // not given: the system's trust store
  std::string tls_server_name;
  bool insecure_skip_tls_verify = false;
  Material client_certificate, client_key;
  Material token;
  std::string basic_user, basic_password;
  std::shared_ptr<TlsContexts> tls_contexts = new_tls_contexts();  // never null

  // `context` empty: current-context. Relative paths are taken from the file's own folder.
  [[nodiscard]] static Result<Kubeconfig> load(const std::string& path, const std::string& context = {});
  [[nodiscard]] static Result<Kubeconfig> parse(std::string_view text, const std::string& path, const std::string& context = {});
  // KUBERNETES_SERVICE_HOST/PORT and the mounted token and CA. kNotFound outside of a pod.
  [[nodiscard]] static Result<Kubeconfig> in_cluster(const std::string& folder = "/var/run/secrets/kubernetes.io/serviceaccount");

  [[nodiscard]] bool uses_tls() const { return tls && socket.empty(); }
  [[nodiscard]] std::string url() const;          // "https://10.0.0.1:6443"
  [[nodiscard]] std::string peer() const;         // what is connected to: the same, or "unix:/var/lib/pintle/api.sock"
  [[nodiscard]] std::string host_header() const;  // "10.0.0.1:6443"
  // The bearer token as it is now; empty: none is given. kInvalid: it has blanks inside.
  [[nodiscard]] Result<std::string> read_token() const;

 private:
  [[nodiscard]] static std::shared_ptr<TlsContexts> new_tls_contexts();
};

}  // namespace pintle::kube
