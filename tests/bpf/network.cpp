// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "network.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <thread>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include <fmt/format.h>
#include <catch2/catch_test_macros.hpp>

#include "kernel_fixture.h"

namespace pintle::kernel_test {
namespace {

struct Address {
  sockaddr_storage storage{};
  socklen_t length = 0;
  [[nodiscard]] const sockaddr* raw() const { return reinterpret_cast<const sockaddr*>(&storage); }
};

Address make_address(const std::string& text, uint16_t port) {
  Address out;
  if (auto* v4 = reinterpret_cast<sockaddr_in*>(&out.storage); ::inet_pton(AF_INET, text.c_str(), &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = htons(port);
    out.length = sizeof *v4;
    return out;
  }
  auto* v6 = reinterpret_cast<sockaddr_in6*>(&out.storage);
  v6->sin6_family = AF_INET6;
  v6->sin6_port = htons(port);
  (void)::inet_pton(AF_INET6, text.c_str(), &v6->sin6_addr);
  out.length = sizeof *v6;
  return out;
}

int peer_namespace = -1;

bool run(const std::string& command) { return std::system((command + " >/dev/null 2>&1").c_str()) == 0; }

// The reason to skip; empty: ready.
std::string make_network() {
  require_kernel();
  if (!run("ip -V")) return "the command 'ip' is not there";
  std::thread([] {
    if (::unshare(CLONE_NEWNET) == 0) peer_namespace = ::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
  }).join();
  if (peer_namespace < 0) return "no second network namespace";
  if (!run("ip link add pintle0 type veth peer name pintle1")) return "no veth device";
  if (!run(fmt::format("ip link set pintle1 netns /proc/{}/fd/{}", ::getpid(), peer_namespace))) return "can't move the veth device";
  bool ready =
      run("ip addr add 10.77.0.1/24 dev pintle0 && ip addr add 10.77.0.3/24 dev pintle0 && "
          "ip addr add fd77::1/64 dev pintle0 nodad && ip link set pintle0 up");
  in_peer([&] {
    ready = ready && run("ip addr add 10.77.0.2/24 dev pintle1 && ip addr add 10.77.0.4/24 dev pintle1 && "
                         "ip addr add fd77::2/64 dev pintle1 nodad && ip link set lo up && ip link set pintle1 up");
  });
  return ready ? "" : "can't give the veth devices their addresses";
}

UniqueFd make_socket(int family, int type, int protocol) {
  UniqueFd fd(::socket(family, type | SOCK_CLOEXEC, protocol));
  const timeval wait{0, 300'000};
  const int one = 1;
  (void)::setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait);
  (void)::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  return fd;
}

int hand_over(int channel, int fd) {
  char byte = 'f';
  iovec part{&byte, 1};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))]{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof(int));
  std::memcpy(CMSG_DATA(header), &fd, sizeof fd);
  return ::sendmsg(channel, &message, 0) == 1 ? 0 : 1;
}

UniqueFd take_over(int channel) {
  char byte = 0;
  iovec part{&byte, 1};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))]{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  if (::recvmsg(channel, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT) != 1 || CMSG_FIRSTHDR(&message) == nullptr) return {};
  int fd = -1;
  std::memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof fd);
  return UniqueFd(fd);
}

}  // namespace

void require_network() {
  static const std::string missing = make_network();
  if (!missing.empty()) SKIP(missing);
}

void in_peer(const std::function<void()>& body) {
  std::thread([&] {
    if (::setns(peer_namespace, CLONE_NEWNET) == 0) body();
  }).join();
}

UniqueFd socket_of(const std::string& cgroup, int family, int type, int protocol) {
  int channel[2];
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, channel) == 0);
  const UniqueFd ours(channel[0]), theirs(channel[1]);
  REQUIRE(run_inside(cgroup, [&] { return hand_over(theirs.get(), make_socket(family, type, protocol).get()); }) == 0);
  auto fd = take_over(ours.get());
  REQUIRE(fd.valid());
  return fd;
}

UniqueFd peer_socket(int family, int type, int protocol) {
  UniqueFd fd;
  in_peer([&] { fd = make_socket(family, type, protocol); });
  REQUIRE(fd.valid());
  return fd;
}

int connect_to(const UniqueFd& fd, const std::string& address, uint16_t port) {
  const auto to = make_address(address, port);
  return ::connect(fd.get(), to.raw(), to.length) == 0 ? 0 : errno;
}

int bind_to(const UniqueFd& fd, const std::string& address, uint16_t port) {
  const auto own = make_address(address, port);
  if (::bind(fd.get(), own.raw(), own.length) != 0) return errno;
  int type = 0;
  socklen_t length = sizeof type;
  (void)::getsockopt(fd.get(), SOL_SOCKET, SO_TYPE, &type, &length);
  return type == SOCK_STREAM && ::listen(fd.get(), 8) != 0 ? errno : 0;
}

int send_to(const UniqueFd& fd, const std::string& address, uint16_t port) {
  const auto to = make_address(address, port);
  return ::sendto(fd.get(), "x", 1, MSG_NOSIGNAL, to.raw(), to.length) == 1 ? 0 : errno;
}

int send_on(const UniqueFd& fd) { return ::send(fd.get(), "x", 1, MSG_NOSIGNAL) == 1 ? 0 : errno; }

bool receives(const UniqueFd& fd, int milliseconds) {
  pollfd ready{fd.get(), POLLIN, 0};
  if (::poll(&ready, 1, milliseconds) != 1) return false;
  char bytes[64];
  return ::recv(fd.get(), bytes, sizeof bytes, MSG_DONTWAIT) > 0;
}

int receive_and_answer(const UniqueFd& fd, int milliseconds) {
  pollfd ready{fd.get(), POLLIN, 0};
  if (::poll(&ready, 1, milliseconds) != 1) return ETIMEDOUT;
  char byte = 0;
  Address from;
  from.length = sizeof from.storage;
  if (::recvfrom(fd.get(), &byte, 1, 0, reinterpret_cast<sockaddr*>(&from.storage), &from.length) < 0) return errno;
  return ::sendto(fd.get(), "y", 1, MSG_NOSIGNAL, from.raw(), from.length) == 1 ? 0 : errno;
}

UniqueFd accept_from(const UniqueFd& listener, int milliseconds) {
  pollfd ready{listener.get(), POLLIN, 0};
  if (::poll(&ready, 1, milliseconds) != 1) return {};
  return UniqueFd(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
}

uint16_t port_of(const UniqueFd& fd) {
  Address own;
  own.length = sizeof own.storage;
  REQUIRE(::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&own.storage), &own.length) == 0);
  return ntohs(reinterpret_cast<const sockaddr_in*>(&own.storage)->sin_port);  // the same place in sockaddr_in6
}

bool peer_link(bool up) {
  bool done = false;
  in_peer([&] {
    done = run(up ? "ip link set pintle1 up && ip addr replace fd77::2/64 dev pintle1 nodad"  // which went with the link
                  : "ip link set pintle1 down");
  });
  return done;
}

}  // namespace pintle::kernel_test
