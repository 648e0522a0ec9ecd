// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Who the endpoint is: its own certificate authority, its serving certificate for loopback names, and the bearer token that
// its clients present. Made once, kept in the root directory with mode 0600, renewed before they run out.
// Thread rule: one thread. Errors: kUnavailable (disk), kInvalid (a file that can't be read back), kInternal.
#pragma once

#include <string>

#include "base/time.h"

namespace pintle::standalone {

struct TlsIdentity {
  std::string ca_pem, certificate_pem, key_pem, token;
  Time renew_at;  // the serving certificate should be made anew from here on
};

// Loads `directory`'s identity, making what is missing, unreadable or about to run out.
[[nodiscard]] Result<TlsIdentity> load_identity(const std::string& directory, Time now);

[[nodiscard]] std::string make_kubeconfig(const TlsIdentity& identity, const std::string& server_url);

}  // namespace pintle::standalone
