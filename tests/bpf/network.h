// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// A second network namespace behind a veth pair, and sockets that belong to a pod's cgroup though this process holds them: a child that
// is in the cgroup makes them and hands them over, and a socket keeps the cgroup of its birth.
//   here   10.77.0.1, 10.77.0.3, fd77::1      there   10.77.0.2, 10.77.0.4, fd77::2
#pragma once

#include <functional>
#include <string>

#include "base/unique_fd.h"

namespace pintle::kernel_test {

// Made once; SKIPs when it can't be. In the namespace there, on a thread of its own.
void in_peer(const std::function<void()>& body);
void require_network();

[[nodiscard]] UniqueFd socket_of(const std::string& cgroup, int family, int type, int protocol = 0);
[[nodiscard]] UniqueFd peer_socket(int family, int type, int protocol = 0);

// 0 or errno. EINPROGRESS: no answer in 300 ms.
[[nodiscard]] int connect_to(const UniqueFd& fd, const std::string& address, uint16_t port);
[[nodiscard]] int bind_to(const UniqueFd& fd, const std::string& address, uint16_t port);
[[nodiscard]] int send_to(const UniqueFd& fd, const std::string& address, uint16_t port);  // one datagram of one byte
[[nodiscard]] int send_on(const UniqueFd& fd);                                             // one byte on a connection
// Whether something came within so many milliseconds; it is taken.
[[nodiscard]] bool receives(const UniqueFd& fd, int milliseconds);
// Answers the last datagram's sender.
[[nodiscard]] int receive_and_answer(const UniqueFd& fd, int milliseconds);
[[nodiscard]] UniqueFd accept_from(const UniqueFd& listener, int milliseconds);
[[nodiscard]] uint16_t port_of(const UniqueFd& fd);
// "ip" with these arguments, there.
[[nodiscard]] bool peer_link(bool up);

}  // namespace pintle::kernel_test
