// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Waiting of threads that have nothing to do for minutes: what their stack grew to while they worked (a TLS handshake, a list being
// read) goes back to the kernel. Thread rule: any thread but the first, for its own stack.
#pragma once

#include <span>

#include <poll.h>

namespace pintle {

// poll(2), that gives the stack back when it has lasted a second.
[[nodiscard]] int poll_at_rest(std::span<pollfd> fds, int timeout_ms);
// All pages of the stack below the caller's frame. Costs some microseconds.
void give_back_stack();

}  // namespace pintle
