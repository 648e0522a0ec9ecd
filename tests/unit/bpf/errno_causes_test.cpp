// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "bpf/errno_causes.h"

#include <cerrno>

#include <linux/bpf.h>

#include <catch2/catch_test_macros.hpp>

using namespace pintle;
using namespace pintle::bpf;

namespace {

Evidence with(auto change) {
  Evidence evidence{.cgroup_path = "/sys/fs/cgroup/kubepods/poda", .cgroup2_mount = "/sys/fs/cgroup"};
  change(evidence);
  return evidence;
}

model::ForeignProgram foreign(bool overridable) {
  model::ForeignProgram out;
  out.id = 181;
  out.name = "sd_fw_ingress";
  out.cgroup = "/sys/fs/cgroup/foo";
  out.exclusive = !overridable;
  out.overridable = overridable;
  return out;
}

void check(const Explanation& found, Cause cause, std::string_view text) {
  INFO(to_string(cause) << ": " << text << " <> " << to_string(found.cause) << ": " << found.text);
  CHECK(found.cause == cause);
  CHECK(found.text.find(text) != std::string::npos);
  CHECK(!found.text.empty());
}

}  // namespace

TEST_CASE("facts 4.6, open: errno and evidence name the cause") {
  OpenEvidence evidence{"/cg/kubepods/podx", "/cg/kubepods", {"besteffort", "poda"}, {}};
  check(explain_open(ENOENT, evidence), Cause::kNoSuchCgroup, "'/cg/kubepods' has: besteffort, poda");
  evidence.siblings.assign(20, "x");
  check(explain_open(ENOENT, evidence), Cause::kNoSuchCgroup, "and 12 more");
  evidence.siblings.clear();
  check(explain_open(ENOENT, evidence), Cause::kNoSuchCgroup, "has: nothing");
  check(explain_open(ENOTDIR, evidence), Cause::kNotCgroup2, "not a cgroup's folder");
  check(explain_open(ENODEV, evidence), Cause::kCgroupGone, "removed");
  check(explain_open(EACCES, evidence), Cause::kNoAccess, "may not open");
  evidence.process.open_files_limit = 1024;
  check(explain_open(EMFILE, evidence), Cause::kTooManyFiles, "limit 1024");
  check(explain_open(ENFILE, evidence), Cause::kTooManyFiles, "fs.file-max");
}

TEST_CASE("facts 4.6, attach: errno and evidence name the cause") {
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
      {ENODEV, with([](auto&) {}), Cause::kCgroupGone, "removed"},
      {ENXIO, with([](auto&) {}), Cause::kCgroupGone, "removed"},
      {ENOENT, with([](auto& e) { e.neighbour_missing = true; }), Cause::kNoSuchNeighbour, "before or after"},
      {EPERM, with([](auto& e) { e.process.has_net_admin = false; }), Cause::kMissingCapability, "lacks CAP_NET_ADMIN"},
      // The capability is looked at first: without it nobody can see the foreign program either.
      {EPERM, with([](auto& e) { e.process.has_net_admin = false, e.foreign = foreign(false); }), Cause::kMissingCapability,
       "CAP_NET_ADMIN"},
      {EPERM, with([](auto& e) { e.foreign = foreign(false); }), Cause::kForeignExclusive,
       "program 181 'sd_fw_ingress' (uid 0) on '/sys/fs/cgroup/foo'"},
      {EPERM, with([](auto& e) { e.foreign = foreign(true); }), Cause::kForeignOverridable, "with ALLOW_OVERRIDE"},
      {EPERM, with([](auto& e) { e.process.initial_user_namespace = false; }), Cause::kUserNamespace, "BPF token"},
      {EPERM, with([](auto& e) { e.process.seccomp = true; }), Cause::kSeccomp, "seccomp"},
      {EPERM, with([](auto& e) { e.process.security_module = "docker-default (enforce)"; }), Cause::kSecurityModule, "'docker-default"},
      {EPERM, with([](auto&) {}), Cause::kSecurityModule, "security module"},
      {EINVAL, with([](auto&) {}), Cause::kNotSupported, "'connect4'"},
      {EINVAL, with([](auto& e) { e.hook_known = false; }), Cause::kUnknownHook, "does not know hook 'connect4'"},
      {EINVAL, with([](auto& e) { e.is_program = false; }), Cause::kNotAProgram, "not one"},
      {EINVAL, with([](auto& e) { e.type_fits = false, e.given_type = "a", e.wanted_type = "b"; }), Cause::kAttachTypeMismatch,
       "loaded for 'a', not for 'b'"},
      {EINVAL, with([](auto& e) { e.neighbour_missing = true, e.flags = 8; }), Cause::kNoSuchNeighbour, "not on this cgroup"},
      {EINVAL, with([](auto& e) { e.flags = 2; }), Cause::kUnknownFlags, "0x2"},
      {EINVAL, with([](auto& e) { e.process.has_net_admin = false; }), Cause::kMissingCapability, "CAP_NET_ADMIN"},  // a masked EPERM
      {E2BIG, with([](auto& e) { e.attached = {"a", "b", "b"}; }), Cause::kTooManyPrograms, "already, 2 of them 'b': some agent leaks"},
      {E2BIG, with([](auto&) {}), Cause::kTooManyPrograms, "64 programs"},
      {ESTALE, with([](auto&) {}), Cause::kListChanged, "revision"},
      {EMFILE, with([](auto&) {}), Cause::kTooManyFiles, "LimitNOFILE"},
      {ENFILE, with([](auto&) {}), Cause::kTooManyFiles, "fs.file-max"},
      {ENOMEM, with([](auto&) {}), Cause::kMemoryLimit, "memory"},
      {ENOSYS, with([](auto&) {}), Cause::kNotSupported, "CONFIG_CGROUP_BPF"},
      {EIO, with([](auto&) {}), Cause::kOther, "no known cause"},
  };
  for (const auto& row : rows) check(explain_attach(row.err, model::Hook::kConnect4, row.evidence), row.cause, row.text);
  auto dated = foreign(false);
  dated.loaded_at = Time(std::chrono::seconds(1700000000));
  check(explain_attach(EPERM, model::Hook::kIngress, with([&](auto& e) { e.foreign = dated; })), Cause::kForeignExclusive,
        "on '/sys/fs/cgroup/foo', loaded 2023-11-14T22:13:20Z was attached as the only one allowed");
}

TEST_CASE("facts 4.6, PROG_ATTACH and LINK_UPDATE") {
  const auto hook = model::Hook::kIngress;
  check(explain_prog_attach(EINVAL, hook, with([](auto& e) { e.process.has_net_admin = false, e.attached_already = true; })),
        Cause::kMissingCapability, "CAP_NET_ADMIN");
  check(explain_prog_attach(EINVAL, hook, with([](auto& e) { e.attached_already = true; })), Cause::kAttachedTwice, "already");
  check(explain_prog_attach(ENOENT, hook, with([](auto&) {})), Cause::kNoSuchNeighbour, "link");
  check(explain_prog_attach(ENOENT, hook, with([](auto& e) { e.target_removed = true; })), Cause::kCgroupGone, "removed");
  check(explain_prog_attach(EPERM, hook, with([](auto& e) { e.foreign = foreign(false); })), Cause::kForeignExclusive, "only one");

  UpdateEvidence update{.replaces = true, .wanted = 5, .found = 6, .link_type = "cgroup_skb", .program_type = "cgroup_skb"};
  check(explain_update(ENOLINK, update), Cause::kLinkDead, "attach anew");
  check(explain_update(EPERM, update), Cause::kProgramSwapped, "program 6 in the place of ours (5)");
  check(explain_update(EINVAL, update), Cause::kNotAProgram, "not a link");
  update.program_type = "cgroup_sock";
  check(explain_update(EINVAL, update), Cause::kAttachTypeMismatch, "of type 'cgroup_skb', not 'cgroup_sock'");
  update.found = 5;
  update.process.seccomp = true;
  check(explain_update(EPERM, update), Cause::kSeccomp, "seccomp");
}

TEST_CASE("facts 4.6, PROG_LOAD without a word of the verifier: rights in their order, then sizes") {
  LoadEvidence all{.process = {.has_bpf = false,
                               .has_net_admin = false,
                               .has_perfmon = false,
                               .initial_user_namespace = false,
                               .seccomp = true,
                               .lockdown = "confidentiality",
                               .charges_memlock = true},
                   .needs_trampoline = true,
                   .tp_btf_loads = true,
                   .needs_perfmon = true,
                   .needs_net_admin = true};
  const auto next = [&](Cause cause, std::string_view text) { check(explain_program_load(EPERM, "", all), cause, text); };
  next(Cause::kMissingCapability, "CAP_BPF");
  all.process.has_bpf = true;
  next(Cause::kMissingCapability, "CAP_NET_ADMIN");
  all.process.has_net_admin = true;
  next(Cause::kMissingCapability, "CAP_PERFMON");
  all.process.has_perfmon = true;
  next(Cause::kUserNamespace, "token");
  all.process.initial_user_namespace = true;
  next(Cause::kMemlock, "RLIMIT_MEMLOCK");
  all.process.charges_memlock = false;
  next(Cause::kLockdown, "confidentiality");
  all.process.lockdown = "integrity";
  next(Cause::kTrampoline, "need not be why");
  all.needs_trampoline = false;
  next(Cause::kSeccomp, "seccomp");
  all.process.seccomp = false;
  next(Cause::kSecurityModule, "security module");

  check(explain_program_load(ENOSPC, "0: R1=ctx", {.log_bytes = 128, .log_needed = 900}), Cause::kLogTooSmall,
        "128 bytes for the verifier's log is too small (900 are");
  check(explain_program_load(E2BIG, "", {.instructions = 1000001}), Cause::kTooLarge, "1000001 instructions");
  check(explain_program_load(E2BIG, "BPF program is too large. Processed 1000001 insn\n", {}), Cause::kTooLarge, "a million steps");
  check(explain_program_load(EBADF, "", {}), Cause::kStaleMap, "is no map");
  check(explain_program_load(EINVAL, "", {}), Cause::kNotSupported, "does not know");
  check(explain_program_load(ESRCH, "", {}), Cause::kNoKernelBtf, "BTF");
  check(explain_program_load(EMFILE, "", {}), Cause::kTooManyFiles, "LimitNOFILE");
  check(explain_program_load(ENOMEM, "", {}), Cause::kMemoryLimit, "memory");
  check(explain_program_load(ENOSYS, "", {}), Cause::kNotSupported, "without bpf(2)");
}

TEST_CASE("facts 4.6, MAP_CREATE and MAP_UPDATE") {
  const auto map = [](uint32_t type, uint32_t entries) {
    return MapEvidence{.type = type, .key_bytes = 4, .value_bytes = 8, .max_entries = entries, .type_name = "t"};
  };
  check(explain_map_create(EINVAL, map(BPF_MAP_TYPE_RINGBUF, 12288)), Cause::kRingSize, "12288 is not");
  check(explain_map_create(EINVAL, map(BPF_MAP_TYPE_RINGBUF, 0)), Cause::kRingSize, "power of two");
  check(explain_map_create(EINVAL, map(BPF_MAP_TYPE_RINGBUF, 8192)), Cause::kMapShape, "neither");
  check(explain_map_create(EINVAL, map(BPF_MAP_TYPE_LPM_TRIE, 1)), Cause::kNoPrealloc, "NO_PREALLOC");
  check(explain_map_create(EINVAL, map(BPF_MAP_TYPE_HASH, 1)), Cause::kMapShape, "keys of 4 bytes");
  auto unknown = map(99, 1);
  unknown.type_known = false;
  check(explain_map_create(EINVAL, unknown), Cause::kUnknownMapType, "type 't'");
  check(explain_map_create(E2BIG, map(BPF_MAP_TYPE_HASH, 1)), Cause::kMapTooLarge, "more than");
  check(explain_map_create(ENOMEM, map(BPF_MAP_TYPE_HASH, 1)), Cause::kMemoryLimit, "memory limit");
  auto bare = map(BPF_MAP_TYPE_HASH, 1);
  bare.process.charges_memlock = true;
  check(explain_map_create(EPERM, bare), Cause::kMemlock, "LimitMEMLOCK");
  bare.process.has_bpf = false;
  check(explain_map_create(EPERM, bare), Cause::kMissingCapability, "CAP_BPF");

  const MapUse full{.name = "policy rows", .entries = 65536, .max_entries = 65536};
  check(explain_map_update(E2BIG, full), Cause::kMapFull, "'policy rows' is full: 65536/65536 entries");
  check(explain_map_update(ENOSPC, full), Cause::kMapFull, "full");
  check(explain_map_update(E2BIG, {.name = "slots", .is_array = true, .max_entries = 4}), Cause::kOutOfRange, "4 entries");
  check(explain_map_update(EPERM, {.name = "rodata", .read_only = true}), Cause::kReadOnlyMap, "frozen");
  check(explain_map_update(EPERM, {.name = "m"}), Cause::kSecurityModule, "security");
  check(explain_map_update(EEXIST, full), Cause::kKeyExists, "already");
  check(explain_map_update(ENOENT, full), Cause::kNoKey, "no such key");
}

TEST_CASE("facts 4.6, OBJ_PIN and OBJ_GET") {
  PinEvidence pin{.path = "/sys/fs/bpf/a/b.slice", .parent = "/sys/fs/bpf/a", .owner = "uid 0, mode 0700"};
  check(explain_pin(EPERM, pin), Cause::kNameWithDot, "'b.slice'");
  pin.on_bpffs = false;
  check(explain_pin(EPERM, pin), Cause::kNotBpffs, "mount -t bpf bpf /sys/fs/bpf/a");
  check(explain_pin(EACCES, pin), Cause::kNotBpffs, "plain file");
  pin.on_bpffs = true;
  pin.path = "/sys/fs/bpf/a/b";
  check(explain_pin(EPERM, pin), Cause::kSecurityModule, "security");
  check(explain_pin(EEXIST, pin), Cause::kPinExists, "adopt");
  check(explain_pin(ENOENT, pin), Cause::kNoPin, "nothing is pinned");
  pin.parent_exists = false;
  check(explain_pin(ENOENT, pin), Cause::kNoParent, "'/sys/fs/bpf/a' is missing");
  check(explain_pin(ENOTDIR, pin), Cause::kNoParent, "not a folder");
  check(explain_pin(EROFS, pin), Cause::kReadOnlyMount, "read-only");
  check(explain_pin(EACCES, pin), Cause::kNoAccess, "uid 0, mode 0700");
  check(explain_pin(ENAMETOOLONG, pin), Cause::kNameTooLong, "255");
  check(explain_pin(EINVAL, pin), Cause::kNotAnObject, "program, map or link");
  check(explain_pin(EMFILE, pin), Cause::kTooManyFiles, "LimitNOFILE");
}

TEST_CASE("facts 4.6, tracepoints and iterators") {
  check(explain_trace_attach(ENOENT, {.classic = true, .tracefs_mounted = false}), Cause::kNoTracefs, "raw tracepoint");
  check(explain_trace_attach(ENOENT, {.classic = true}), Cause::kNoTracepoint, "no such");
  check(explain_trace_attach(ENOENT, {.tracefs_mounted = false}), Cause::kNoTracepoint, "no such");
  check(explain_trace_attach(EINVAL, {.iterator = true, .has_order = false}), Cause::kNoOrder, "order");
  check(explain_trace_attach(EINVAL, {}), Cause::kAttachTypeMismatch, "not loaded for");
  check(explain_trace_attach(EPERM, {.process = {.has_perfmon = false}}), Cause::kMissingCapability, "CAP_PERFMON");
  check(explain_trace_attach(EPERM, {.process = {.initial_user_namespace = false}}), Cause::kUserNamespace, "token");
}

TEST_CASE("a load error tells errno, cause and the verifier's last lines") {
  const auto text = explain_load(EACCES, "one\ntwo\nthree\nR0 !read_ok\nprocessed 1 insns (limit 1000000) max_states_per_insn 0\n");
  CHECK(text.find("Permission denied") != std::string::npos);
  CHECK(text.find("before it is set") != std::string::npos);
  CHECK(text.ends_with("verifier: two; three; R0 !read_ok"));
  CHECK(explain_load(EINVAL, "only line").ends_with("verifier: only line"));
  CHECK(explain_load(EPERM, "").find("CAP_BPF") != std::string::npos);
  CHECK(explain_load(EPERM, "").find("verifier") == std::string::npos);
  CHECK(explain_load(ENOMEM, "").find("memory limit") != std::string::npos);
  CHECK(explain_load(EIO, "") == "Input/output error");
}
