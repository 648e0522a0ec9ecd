// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Who may touch the pins below a node's bpffs: agents that use them, together, or one that removes them, alone. It is flock(2) on the
// pins' folder, since that is what the containers of a node have in common: control sockets and run folders they have of their own.
// Goes with the process, however it ends. No claim to an agent's own bpffs, which nobody else sees. Thread rule: plain.
#pragma once

#include "base/result.h"
#include "base/unique_fd.h"
#include "bpf/libbpf_attacher.h"

namespace pintle::bpf {

class PinsClaim {
 public:
  PinsClaim() = default;
  // For an agent, before its attacher. kUnavailable: they are being removed. What else is wrong with the folder the attacher will tell.
  [[nodiscard]] static Result<PinsClaim> use(const LibbpfAttacher::Options& options);
  // For what removes them. kUnavailable: an agent uses them. No pins is success.
  [[nodiscard]] static Result<PinsClaim> take(const LibbpfAttacher::Options& options);

 private:
  explicit PinsClaim(UniqueFd fd) : fd_(std::move(fd)) {}
  UniqueFd fd_;  // invalid: there is nothing to claim
};

}  // namespace pintle::bpf
