// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// One question answered from the policies themselves, with the reason in words: for people, and to hold compile() to account, which
// it shares no code with but the selectors. Slow and plain. PURE.
#pragma once

#include <span>
#include <string>

#include "policy/compile.h"

namespace pintle::policy {

struct Flow {
  bool ingress = false;   // towards the subject, else from it
  model::IpAddress peer;  // the other end
  uint8_t protocol = 6;
  uint16_t port = 0;  // of the end that is talked to
};
struct Opinion {
  bool allowed = true;
  std::string reason;  // "policy 'default/db' rule 2 allows it"
};
[[nodiscard]] Opinion evaluate(const Subject& subject, const Cluster& cluster, std::span<const model::IpAddress> node, const Flow& flow);

}  // namespace pintle::policy
