// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Asks the loaded skb programs about one packet (BPF_PROG_TEST_RUN), as a pod that is isolated in both directions by the policy. The
// kernel runs them on a cgroup storage of their own, so on slot 0, whose words are borrowed for it.
#pragma once

#include "bpf/libbpf_attacher.h"

namespace pintle::kernel_test {

struct TestPacket {
  bool egress = false;
  model::IpAddress peer;
  uint8_t protocol = 17;
  uint16_t port = 0;  // the pod's own (ingress) or the peer's (egress); ICMP: its type
};
[[nodiscard]] bool packet_passes(bpf::LibbpfAttacher& attacher, uint32_t policy, const TestPacket& packet);

struct RunCost {
  bool passed = false;
  uint32_t ns = 0;  // per run, with the kernel's harness
};
[[nodiscard]] RunCost run_packet(bpf::LibbpfAttacher& attacher, uint32_t policy, uint32_t flags, const TestPacket& packet, int repeat);

}  // namespace pintle::kernel_test
