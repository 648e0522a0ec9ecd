// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Refusals of BPF_MAP_CREATE, BPF_MAP_UPDATE_ELEM, BPF_OBJ_PIN and BPF_OBJ_GET.
#include <cerrno>

#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <fmt/format.h>

#include "bpf/evidence.h"
#include "injection.h"

namespace pintle::kernel_test {
namespace {

using namespace pintle::bpf;

Refusal create(uint32_t type, uint32_t key, uint32_t value, uint32_t entries, uint32_t flags = 0) {
  const auto trial = try_map(type, key, value, entries, flags);
  if (trial.err == 0) return {};
  return refused(trial.err, explain_map_create(trial.err, gather_map_evidence(type, key, value, entries, flags)));
}

Refusal put(int map, uint32_t key, uint64_t flags = BPF_ANY) {
  const uint64_t value = 1;
  if (bpf_map_update_elem(map, &key, &value, flags) == 0) return {};
  const int err = errno;
  return refused(err, explain_map_update(err, gather_map_use(map)));
}

UniqueFd named_map(bpf_map_type type, const char* name, uint32_t entries) {
  UniqueFd fd(bpf_map_create(type, name, 4, 8, entries, nullptr));
  must(fd.valid(), "make a map");
  return fd;
}

Refusal pin(int fd, const std::string& path) {
  if (bpf_obj_pin(fd, path.c_str()) == 0) return {};
  const int err = errno;
  return refused(err, explain_pin(err, gather_pin_evidence(path)));
}

Refusal get(const std::string& path) {
  const UniqueFd fd(bpf_obj_get(path.c_str()));
  if (fd.valid()) return {};
  const int err = errno;
  return refused(err, explain_pin(err, gather_pin_evidence(path)));
}

void add_creates(std::vector<Injection>& out) {
  out.push_back({"map: a ring of three pages", Cause::kRingSize, "12288 is not",
                 [](const Stage&) { return create(BPF_MAP_TYPE_RINGBUF, 0, 0, 12288); }});
  out.push_back({"map: a ring of less than a page", Cause::kRingSize, "whole pages",
                 [](const Stage&) { return create(BPF_MAP_TYPE_RINGBUF, 0, 0, 1024); }});
  out.push_back({"map: a ring with values", Cause::kMapShape, "neither keys nor values",
                 [](const Stage&) { return create(BPF_MAP_TYPE_RINGBUF, 4, 4, 65536); }});
  out.push_back({"map: LPM without NO_PREALLOC", Cause::kNoPrealloc, "BPF_F_NO_PREALLOC",
                 [](const Stage&) { return create(BPF_MAP_TYPE_LPM_TRIE, 8, 8, 16); }});
  out.push_back({"map: a type that the kernel doesn't know", Cause::kUnknownMapType, "'type 250'",
                 [](const Stage&) { return create(250, 4, 4, 1); }});
  out.push_back(
      {"map: a hash without keys", Cause::kMapShape, "keys of 0 bytes", [](const Stage&) { return create(BPF_MAP_TYPE_HASH, 0, 4, 1); }});
  out.push_back({"map: an array with long keys", Cause::kMapShape, "keys of 8 bytes",
                 [](const Stage&) { return create(BPF_MAP_TYPE_ARRAY, 8, 4, 1); }});
  out.push_back({"map: values beyond every size", Cause::kMapTooLarge, "more than a map of type 'hash' can hold",
                 [](const Stage&) { return create(BPF_MAP_TYPE_HASH, 4, 0x7ffffff0, 4); }});
  out.push_back({"map: more than the host's memory", Cause::kMemoryLimit, "leaves no room",
                 [](const Stage&) { return create(BPF_MAP_TYPE_ARRAY, 4, 1U << 20, 1U << 24); }});
  out.push_back({"map: without CAP_BPF", Cause::kMissingCapability, "lacks CAP_BPF", [](const Stage&) {
                   keep_only({CAP_NET_ADMIN});
                   return create(BPF_MAP_TYPE_RINGBUF, 0, 0, 65536);
                 }});
  out.push_back({"map: in a user namespace, with every capability there", Cause::kUserNamespace, "BPF token", [](const Stage&) {
                   enter_user_namespace();
                   return create(BPF_MAP_TYPE_RINGBUF, 0, 0, 65536);
                 }});
  out.push_back({"map: out of descriptors", Cause::kTooManyFiles, "limit 64", [](const Stage&) {
                   use_up_files();
                   return create(BPF_MAP_TYPE_HASH, 4, 4, 1);
                 }});
}

void add_updates(std::vector<Injection>& out) {
  out.push_back({"update: the map is full", Cause::kMapFull, "'policy_rows' is full: 2/2 entries", [](const Stage&) {
                   const auto map = named_map(BPF_MAP_TYPE_HASH, "policy_rows", 2);
                   must(!put(map.get(), 1).err && !put(map.get(), 2).err, "fill the map");
                   return put(map.get(), 3);
                 }});
  out.push_back({"update: beyond the array", Cause::kOutOfRange, "has 2 entries",
                 [](const Stage&) { return put(named_map(BPF_MAP_TYPE_ARRAY, "slots", 2).get(), 2); }});
  out.push_back({"update: the map is frozen", Cause::kReadOnlyMap, "frozen", [](const Stage&) {
                   const auto map = named_map(BPF_MAP_TYPE_ARRAY, "rodata", 1);
                   must(bpf_map_freeze(map.get()) == 0, "freeze the map");
                   return put(map.get(), 0);
                 }});
  out.push_back({"update: the key is there already", Cause::kKeyExists, "has the key already", [](const Stage&) {
                   const auto map = named_map(BPF_MAP_TYPE_HASH, "rows", 2);
                   must(!put(map.get(), 1).err, "put a row");
                   return put(map.get(), 1, BPF_NOEXIST);
                 }});
  out.push_back({"update: there is no such key", Cause::kNoKey, "no such key",
                 [](const Stage&) { return put(named_map(BPF_MAP_TYPE_HASH, "rows", 2).get(), 1, BPF_EXIST); }});
}

void add_pins(std::vector<Injection>& out) {
  out.push_back({"pin: a dot in the name", Cause::kNameWithDot, "'kubepods.slice'",
                 [](const Stage& s) { return pin(s.ingress, s.bpffs + "/kubepods.slice"); }});
  out.push_back({"pin: not a bpffs", Cause::kNotBpffs, "mount -t bpf bpf /mnt", [](const Stage& s) { return pin(s.ingress, "/mnt/pin"); }});
  out.push_back({"pin: not a bpffs, and a dot in the name", Cause::kNotBpffs, "is not in a bpffs",
                 [](const Stage& s) { return pin(s.ingress, "/mnt/pin.x"); }});
  out.push_back({"pin: the folder is missing", Cause::kNoParent, "/absent' is missing",
                 [](const Stage& s) { return pin(s.ingress, s.bpffs + "/absent/pin"); }});
  out.push_back({"pin: something is pinned there", Cause::kPinExists, "adopt it", [](const Stage& s) {
                   must(!pin(s.ingress, s.bpffs + "/pin").err, "pin once");
                   return pin(s.egress, s.bpffs + "/pin");
                 }});
  out.push_back({"pin: under another pin", Cause::kNoParent, "is not a folder", [](const Stage& s) {
                   must(!pin(s.ingress, s.bpffs + "/file").err, "pin once");
                   return pin(s.egress, s.bpffs + "/file/pin");
                 }});
  out.push_back({"pin: a name of 300 characters", Cause::kNameTooLong, "255",
                 [](const Stage& s) { return pin(s.ingress, s.bpffs + "/" + std::string(300, 'x')); }});
  out.push_back({"pin: a read-only mount", Cause::kReadOnlyMount, "read-only", [](const Stage& s) {
                   must(::unshare(CLONE_NEWNS) == 0, "have mounts of its own");
                   must(::mount(nullptr, "/mnt/bpf", nullptr, MS_REMOUNT | MS_BIND | MS_RDONLY, nullptr) == 0, "make the mount read-only");
                   return pin(s.ingress, s.bpffs + "/pin");
                 }});
  out.push_back({"pin: another user's folder", Cause::kNoAccess, "uid 0, mode 0700", [](const Stage& s) {
                   must(::setresuid(65534, 65534, 65534) == 0, "become another user");
                   return pin(s.ingress, s.bpffs + "/pin");
                 }});
  out.push_back({"pin: a descriptor of something else", Cause::kNotAnObject, "is not a program, map or link", [](const Stage& s) {
                   const UniqueFd file(::open("/dev/null", O_RDONLY | O_CLOEXEC));
                   return pin(file.get(), s.bpffs + "/pin");
                 }});
  out.push_back({"pin: a seccomp filter", Cause::kSeccomp, "seccomp filter", [](const Stage& s) {
                   forbid_bpf(BPF_OBJ_PIN);
                   return pin(s.ingress, s.bpffs + "/pin");
                 }});
  out.push_back({"get: nothing is pinned", Cause::kNoPin, "nothing is pinned", [](const Stage& s) { return get(s.bpffs + "/absent"); }});
  out.push_back({"get: a plain file", Cause::kNotBpffs, "plain file", [](const Stage&) {
                   const UniqueFd file(::open("/mnt/plain", O_RDWR | O_CREAT | O_CLOEXEC, 0600));
                   must(file.valid(), "make a file");
                   return get("/mnt/plain");
                 }});
}

}  // namespace

std::vector<Injection> map_and_pin_injections() {
  std::vector<Injection> out;
  add_creates(out);
  add_updates(out);
  add_pins(out);
  return out;
}

}  // namespace pintle::kernel_test
