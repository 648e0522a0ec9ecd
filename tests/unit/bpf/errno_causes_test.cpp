// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "bpf/errno_causes.h"

#include <cerrno>

#include <catch2/catch_test_macros.hpp>

using namespace pintle;
using namespace pintle::bpf;

namespace {

Evidence with(auto change) {
  Evidence evidence{.cgroup_path = "/sys/fs/cgroup/kubepods/poda", .cgroup2_mount = "/sys/fs/cgroup"};
  change(evidence);
  return evidence;
}

}  // namespace

TEST_CASE("facts 4.6: errno and evidence name the cause") {
  const ForeignProgram exclusive{181, "sd_fw_ingress", 0, "/sys/fs/cgroup/foo", false};
  struct Row {
    int err;
    Evidence evidence;
    Cause cause;
    std::string text;  // a part of it
  };
  const Row rows[] = {
      {EBADF, with([](auto& e) { e.target_is_cgroup2 = false; }), Cause::kNotCgroup2, "one is mounted at '/sys/fs/cgroup'"},
      {EBADF, with([](auto& e) { e.target_is_cgroup2 = false, e.cgroup2_mount = ""; }), Cause::kNotCgroup2, "none is mounted"},
      {EBADF, with([](auto&) {}), Cause::kOther, "stale"},
      {ENOENT, with([](auto& e) { e.target_removed = true; }), Cause::kCgroupGone, "removed"},
      {EPERM, with([](auto& e) { e.has_net_admin = false; }), Cause::kMissingCapability, "CAP_NET_ADMIN"},
      // The capability is looked at first: without it nobody can see the foreign program either.
      {EPERM, with([&](auto& e) { e.has_net_admin = false, e.foreign = exclusive; }), Cause::kMissingCapability, "CAP_NET_ADMIN"},
      {EPERM, with([&](auto& e) { e.foreign = exclusive; }), Cause::kForeignProgram,
       "program 181 'sd_fw_ingress' (uid 0) on '/sys/fs/cgroup/foo'"},
      {EPERM, with([](auto& e) { e.foreign = ForeignProgram{7, "x", 0, "/y", true}; }), Cause::kForeignProgram, "ALLOW_OVERRIDE"},
      {EPERM, with([](auto& e) { e.initial_user_namespace = false; }), Cause::kUserNamespace, "user namespace"},
      {EPERM, with([](auto& e) { e.seccomp = true; }), Cause::kSecurityModule, "seccomp"},
      {EPERM, with([](auto&) {}), Cause::kSecurityModule, "security module"},
      {EINVAL, with([](auto&) {}), Cause::kNotSupported, "'connect4'"},
      {EINVAL, with([](auto& e) { e.has_net_admin = false; }), Cause::kMissingCapability, "CAP_NET_ADMIN"},  // a masked EPERM
      {E2BIG, with([](auto&) {}), Cause::kTooManyPrograms, "64 programs"},
      {EMFILE, with([](auto&) {}), Cause::kTooManyFiles, "LimitNOFILE"},
      {ENOSYS, with([](auto&) {}), Cause::kNotSupported, "CONFIG_CGROUP_BPF"},
      {EIO, with([](auto&) {}), Cause::kOther, "no known cause"},
  };
  for (const auto& row : rows) {
    const auto found = explain_attach(row.err, model::Hook::kConnect4, row.evidence);
    INFO(row.err << " " << row.text << " <> " << found.text);
    CHECK(found.cause == row.cause);
    CHECK(found.text.find(row.text) != std::string::npos);
  }
}

TEST_CASE("a load error tells errno, cause and the verifier's last lines") {
  const auto text = explain_load(EACCES, "one\ntwo\nthree\nR0 !read_ok\n");
  CHECK(text.find("Permission denied") != std::string::npos);
  CHECK(text.ends_with("verifier: two;three;R0 !read_ok"));
  CHECK(explain_load(EINVAL, "only line").ends_with("verifier: only line"));
  CHECK(explain_load(EPERM, "").find("CAP_BPF") != std::string::npos);
  CHECK(explain_load(EPERM, "").find("verifier") == std::string::npos);
}
