// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "bpf/token.h"

#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <fmt/format.h>
#include <catch2/catch_test_macros.hpp>

#include "bpf/raw_call.h"
#include "injection.h"

using namespace pintle;
using namespace pintle::bpf;
using namespace pintle::kernel_test;

namespace {

bool send_fd(int socket, int fd) {
  char byte = 'f';
  iovec part{&byte, 1};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))]{};
  msghdr message{.msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  *header = {.cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
  std::memcpy(CMSG_DATA(header), &fd, sizeof fd);
  return ::sendmsg(socket, &message, 0) == 1;
}

UniqueFd receive_fd(int socket) {
  char byte = 0;
  iovec part{&byte, 1};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))]{};
  msghdr message{.msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
  if (::recvmsg(socket, &message, MSG_CMSG_CLOEXEC) != 1) return UniqueFd();
  const cmsghdr* header = CMSG_FIRSTHDR(&message);
  if (header == nullptr || header->cmsg_type != SCM_RIGHTS) return UniqueFd();
  int fd = -1;
  std::memcpy(&fd, CMSG_DATA(header), sizeof fd);
  return UniqueFd(fd);
}

bool write_map(pid_t pid, const char* file, const char* text) {
  const UniqueFd fd(::open(fmt::format("/proc/{}/{}", pid, file).c_str(), O_WRONLY | O_CLOEXEC));
  return ::write(fd.get(), text, std::strlen(text)) == static_cast<ssize_t>(std::strlen(text));
}

// The inside: every capability in its own namespace, none outside. The number of the step that went wrong.
int inside(int socket, int cgroup) {
  char go = 0;
  if (::unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0 || ::write(socket, "u", 1) != 1 || ::read(socket, &go, 1) != 1) return 1;
  const ProgramProbe plain{.type = BPF_PROG_TYPE_CGROUP_SOCK_ADDR, .attach_type = BPF_CGROUP_INET4_CONNECT};
  if (try_program(plain).err != EPERM) return 2;
  const auto context = open_bpffs_context();
  if (!context || !send_fd(socket, context->get())) return 3;
  const auto bpffs = receive_fd(socket);
  if (!bpffs.valid()) return 4;
  const auto token = open_token(bpffs.get());
  if (!token) return 5;
  auto delegated = plain;
  delegated.token_fd = token->get();
  const auto program = try_program(delegated);
  if (program.err != 0) return 6;
  if (try_map(BPF_MAP_TYPE_RINGBUF, 0, 0, 65536, 0, token->get()).err != 0) return 7;
  if (try_map(BPF_MAP_TYPE_ARRAY, 4, 8, 4, BPF_F_MMAPABLE, token->get()).err != 0) return 8;
  if (!create_cgroup_link({.program_fd = program.fd.get(), .cgroup_fd = cgroup, .attach_type = BPF_CGROUP_INET4_CONNECT})) return 9;
  auto packets = try_program({.type = BPF_PROG_TYPE_CGROUP_SKB, .attach_type = BPF_CGROUP_INET_INGRESS, .token_fd = token->get()});
  if (packets.err != 0) return 10;
  if (!create_cgroup_link({.program_fd = packets.fd.get(), .cgroup_fd = cgroup, .attach_type = BPF_CGROUP_INET_INGRESS})) return 11;
  // Not delegated: stays forbidden.
  if (try_program({.type = BPF_PROG_TYPE_CGROUP_SOCK, .attach_type = BPF_CGROUP_INET_SOCK_CREATE, .token_fd = token->get()}).err != EPERM)
    return 12;
  if (try_map(BPF_MAP_TYPE_STACK, 0, 8, 4, 0, token->get()).err != EPERM) return 13;
  return 0;
}

}  // namespace

TEST_CASE("in a user namespace a token lets the delegated programs load and attach, and no others") {
  (void)require_kernel();
  if (const auto probe = create_token(-1); probe.error().sys_errno != EBADF) missing({6, 9}, "BPF tokens: " + probe.error().message());
  const PodDir pod("token/pod");
  const auto dir = DirFd::open(pod.path());
  REQUIRE(dir);
  int ends[2];
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
  const UniqueFd host(ends[0]);
  UniqueFd guest(ends[1]);
  const pid_t pid = ::fork();
  REQUIRE(pid >= 0);
  if (pid == 0) ::_exit(inside(guest.get(), dir->get()));
  guest.reset();
  char byte = 0;
  const bool entered = ::read(host.get(), &byte, 1) == 1;
  if (entered) {
    CHECK(write_map(pid, "uid_map", "0 0 1\n"));
    CHECK(write_map(pid, "setgroups", "deny"));
    CHECK(write_map(pid, "gid_map", "0 0 1\n"));
    CHECK(::write(host.get(), "g", 1) == 1);
    if (const auto context = receive_fd(host.get()); context.valid()) {
      const auto bpffs = make_delegating_bpffs(context.get(), pod_delegation());
      INFO((bpffs ? std::string() : bpffs.error().message()));
      CHECK(bpffs);
      if (bpffs) CHECK(send_fd(host.get(), bpffs->get()));
    }
  }
  int status = 0;
  REQUIRE(::waitpid(pid, &status, 0) == pid);
  if (!entered && read_file("/proc/sys/user/max_user_namespaces").value_or("0") == "0\n") SKIP("user.max_user_namespaces is 0");
  REQUIRE(entered);
  REQUIRE(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
}
