// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "injection.h"

#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <cstring>

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <fmt/format.h>

namespace pintle::kernel_test {

void must(bool done, const std::string& step) {
  if (done) return;
  std::fprintf(stderr, "can't %s: %s\n", step.c_str(), std::strerror(errno));
  ::_exit(121);
}

Refusal not_before(KernelVersion since, const std::string& what) {
  errno = 0;
  must(kernel_version() < since, fmt::format("find {}, which kernels have since {}.{}", what, since.major, since.minor));
  return not_possible(fmt::format("no {} ({}.{})", what, since.major, since.minor));
}

Refusal no_btf() {
  errno = 0;
  must(!kernel_has_btf(), "read the kernel's BTF, which is there");
  return not_possible("no kernel BTF");
}

void keep_only(const std::vector<int>& capabilities) {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2]{};
  for (const int number : capabilities) {
    data[number / 32].effective |= 1U << (number % 32);
    data[number / 32].permitted |= 1U << (number % 32);
  }
  must(::syscall(SYS_capset, &header, data) == 0, "drop capabilities");
}

void enter_user_namespace() { must(::unshare(CLONE_NEWUSER) == 0, "enter a user namespace"); }

void forbid_bpf(int command) {
  sock_filter filter[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_bpf, 0, 3),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, args[0])),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<uint32_t>(command), 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog program{sizeof filter / sizeof filter[0], filter};
  must(::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0, "install a seccomp filter");
}

void use_up_files() {
  const rlimit limit{64, 64};
  must(::setrlimit(RLIMIT_NOFILE, &limit) == 0, "limit open files");
  while (::fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0) >= 0) {}
  must(errno == EMFILE, "use up the open files");
}

}  // namespace pintle::kernel_test
