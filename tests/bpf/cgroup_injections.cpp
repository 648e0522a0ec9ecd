// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Refusals of opening, attaching, asking and updating.
#include <cerrno>
#include <fstream>
#include <sstream>

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/perf_event.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <fmt/format.h>

#include "bpf/evidence.h"
#include "bpf/kernel_btf.h"
#include "bpf/object_info.h"
#include "bpf/raw_call.h"
#include "injection.h"

namespace pintle::kernel_test {
namespace {

using namespace pintle::bpf;
using model::Hook;

DirFd open_folder(const std::string& path) {
  auto dir = DirFd::open(path);
  must(dir.has_value(), "open " + path);
  return std::move(*dir);
}

uint32_t id_of(int program) {
  const auto info = program_details(program);
  must(info.has_value(), "read a program");
  return info->id;
}

// LINK_CREATE on the path's folder, and what the agent says of it.
Refusal link(const std::string& path, const LinkRequest& request, Hook hook = Hook::kIngress,
             std::optional<uint32_t> loaded_for = std::nullopt, const DirFd* held = nullptr) {
  const DirFd opened = held == nullptr ? open_folder(path) : DirFd();
  const DirFd& dir = held == nullptr ? opened : *held;
  LinkRequest wanted = request;
  wanted.cgroup_fd = dir.get();
  const auto made = create_cgroup_link(wanted);
  if (made) return {};
  const SystemClock clock;
  const auto evidence = gather_evidence(dir, path, wanted.attach_type,
                                        {.program_fd = wanted.program_fd,
                                         .flags = wanted.flags,
                                         .relative_id = (wanted.flags & kFlagId) != 0 ? wanted.relative : 0,
                                         .program_attach_type = loaded_for,
                                         .clock = &clock});
  return refused(made.error().sys_errno, explain_attach(made.error().sys_errno, hook, evidence));
}
Refusal link_ingress(const Stage& stage) { return link(stage.pod, {.program_fd = stage.ingress, .attach_type = BPF_CGROUP_INET_INGRESS}); }

Refusal attach(const Stage& stage, uint32_t flags) {
  const auto dir = open_folder(stage.pod);
  if (bpf_prog_attach(stage.ingress, dir.get(), BPF_CGROUP_INET_INGRESS, flags) == 0) return {};
  const int err = errno;
  const auto evidence = gather_evidence(dir, stage.pod, BPF_CGROUP_INET_INGRESS, {.program_fd = stage.ingress, .flags = flags});
  return refused(err, explain_prog_attach(err, Hook::kIngress, evidence));
}

void attach_foreign(const std::string& path, int program, uint32_t flags) {
  must(bpf_prog_attach(program, open_folder(path).get(), BPF_CGROUP_INET_INGRESS, flags) == 0, "attach a foreign program");
}

UniqueFd pod_link(const Stage& stage, int program, uint32_t attach_type) {
  const auto dir = open_folder(stage.pod);
  auto made = create_cgroup_link({.program_fd = program, .cgroup_fd = dir.get(), .attach_type = attach_type});
  must(made.has_value(), "make a link");
  return std::move(*made);
}

Refusal update(const UniqueFd& held, int program, std::optional<int> old_program = std::nullopt) {
  bpf_link_update_opts options{};
  options.sz = sizeof options;
  if (old_program) {
    options.flags = BPF_F_REPLACE;
    options.old_prog_fd = static_cast<uint32_t>(*old_program);
  }
  if (bpf_link_update(held.get(), program, &options) == 0) return {};
  const int err = errno;
  std::optional<uint32_t> old_id;
  if (old_program) old_id = id_of(*old_program);
  return refused(err, explain_update(err, gather_update_evidence(held.get(), program, old_id)));
}

std::string v1_mount() {
  std::ifstream mounts("/proc/self/mounts");
  for (std::string line; std::getline(mounts, line);) {
    std::istringstream words(line);
    std::string source, path, type;
    words >> source >> path >> type;
    if (type == "cgroup") return path;
  }
  return {};
}

Refusal open_refused(const std::string& path) {
  auto dir = DirFd::open(path);
  if (dir) return {};
  return refused(dir.error().sys_errno, explain_open(dir.error().sys_errno, gather_open_evidence(path)));
}

void add_opens(std::vector<Injection>& out) {
  out.push_back({"open: no such pod, but others", Cause::kNoSuchCgroup, "has: pod",
                 [](const Stage& s) { return open_refused(s.parent + "/podmissing/c1"); }});
  out.push_back({"open: a file of the cgroup", Cause::kNotCgroup2, "is not a cgroup's folder",
                 [](const Stage& s) { return open_refused(s.pod + "/cgroup.procs"); }});
  out.push_back({"open: out of descriptors", Cause::kTooManyFiles, "limit 64", [](const Stage& s) {
                   use_up_files();
                   return open_refused(s.pod);
                 }});
}

void add_targets(std::vector<Injection>& out) {
  out.push_back({"link: a tmpfs", Cause::kNotCgroup2, "one is mounted at '",
                 [](const Stage& s) { return link("/mnt", {.program_fd = s.ingress, .attach_type = BPF_CGROUP_INET_INGRESS}); }});
  out.push_back({"link: a v1 cgroup", Cause::kNotCgroup2, "is not in a cgroup v2 hierarchy", [](const Stage& s) -> Refusal {
                   const std::string path = v1_mount();
                   if (path.empty()) return not_possible("no v1 hierarchy is mounted");
                   return link(path, {.program_fd = s.ingress, .attach_type = BPF_CGROUP_INET_INGRESS});
                 }});
  out.push_back({"link: the cgroup was removed", Cause::kCgroupGone, "removed meanwhile", [](const Stage& s) {
                   const auto dir = open_folder(s.pod);
                   must(::rmdir(s.pod.c_str()) == 0, "remove the cgroup");
                   return link(s.pod, {.program_fd = s.ingress, .attach_type = BPF_CGROUP_INET_INGRESS}, Hook::kIngress, std::nullopt,
                               &dir);
                 }});
  out.push_back({"link: out of descriptors", Cause::kTooManyFiles, "limit 64", [](const Stage& s) {
                   const auto dir = open_folder(s.pod);
                   use_up_files();
                   return link(s.pod, {.program_fd = s.ingress, .attach_type = BPF_CGROUP_INET_INGRESS}, Hook::kIngress, std::nullopt,
                               &dir);
                 }});
}

void add_rights(std::vector<Injection>& out) {
  out.push_back({"link: without CAP_NET_ADMIN", Cause::kMissingCapability, "lacks CAP_NET_ADMIN", [](const Stage& s) {
                   keep_only({CAP_BPF, CAP_PERFMON, CAP_DAC_OVERRIDE});
                   return link_ingress(s);
                 }});
  out.push_back({"link: in a user namespace, with every capability there", Cause::kUserNamespace, "BPF token", [](const Stage& s) {
                   enter_user_namespace();
                   return link_ingress(s);
                 }});
  out.push_back({"link: a seccomp filter", Cause::kSeccomp, "seccomp filter", [](const Stage& s) {
                   forbid_bpf(BPF_LINK_CREATE);
                   return link_ingress(s);
                 }});
}

void add_foreigners(std::vector<Injection>& out) {
  out.push_back({"link: an exclusive program on the cgroup", Cause::kForeignExclusive, "as the only one allowed", [](const Stage& s) {
                   attach_foreign(s.pod, s.egress, 0);
                   return link_ingress(s);
                 }});
  out.push_back({"link: an exclusive program above", Cause::kForeignExclusive, "/foreign', loaded 20", [](const Stage& s) {
                   attach_foreign(s.parent, s.egress, 0);
                   return link_ingress(s);
                 }});
  out.push_back({"link: an exclusive program, and CAP_SYS_ADMIN for CAP_NET_ADMIN", Cause::kForeignExclusive, "as the only one allowed",
                 [](const Stage& s) -> Refusal {
                   if (create_token(-1).error().sys_errno != EBADF) return not_before({6, 9}, "CAP_SYS_ADMIN that stands in");
                   attach_foreign(s.pod, s.egress, 0);
                   keep_only({CAP_SYS_ADMIN});
                   return link_ingress(s);
                 }});
  out.push_back({"link: an overridable program on the cgroup", Cause::kForeignOverridable, "with ALLOW_OVERRIDE", [](const Stage& s) {
                   attach_foreign(s.pod, s.egress, kFlagAllowOverride);
                   return link_ingress(s);
                 }});
  out.push_back({"link: the 65th program", Cause::kTooManyPrograms, "64 of them", [](const Stage& s) {
                   std::vector<UniqueFd> links;
                   for (int i = 0; i < 64; ++i) links.push_back(pod_link(s, s.ingress, BPF_CGROUP_INET_INGRESS));
                   return link_ingress(s);
                 }});
}

void add_requests(std::vector<Injection>& out) {
  out.push_back({"link: a flag that links don't take", Cause::kUnknownFlags, "flags 0x2", [](const Stage& s) {
                   return link(s.pod, {.program_fd = s.ingress, .attach_type = BPF_CGROUP_INET_INGRESS, .flags = kFlagAllowMulti});
                 }});
  out.push_back({"link: before and after at once", Cause::kUnknownFlags, "flags 0x18", [](const Stage& s) -> Refusal {
                   if (try_link_flags(s.ingress, BPF_CGROUP_INET_INGRESS, kFlagBefore) != EBADF) return not_before({6, 17}, "BEFORE");
                   const auto held = pod_link(s, s.egress, BPF_CGROUP_INET_INGRESS);  // an empty list takes any order
                   return link(s.pod, {.program_fd = s.ingress, .attach_type = BPF_CGROUP_INET_INGRESS, .flags = kFlagBefore | kFlagAfter});
                 }});
  out.push_back({"link: a connect4 program as bind4", Cause::kAttachTypeMismatch, "loaded for 'cgroup_inet4_connect'", [](const Stage& s) {
                   return link(s.pod, {.program_fd = s.connect4, .attach_type = BPF_CGROUP_INET4_BIND}, Hook::kBind4,
                               BPF_CGROUP_INET4_CONNECT);
                 }});
  out.push_back({"link: a connect4 program as egress", Cause::kAttachTypeMismatch, "loaded for 'cgroup_sock_addr'", [](const Stage& s) {
                   return link(s.pod, {.program_fd = s.connect4, .attach_type = BPF_CGROUP_INET_EGRESS}, Hook::kEgress);
                 }});
  out.push_back({"link: a hook that the kernel doesn't know", Cause::kUnknownHook, "does not know hook",
                 [](const Stage& s) { return link(s.pod, {.program_fd = s.connect4, .attach_type = 250}, Hook::kConnect4); }});
  out.push_back(
      {"link: before a program that isn't there", Cause::kNoSuchNeighbour, "is not on this cgroup", [](const Stage& s) -> Refusal {
         if (try_link_flags(s.ingress, BPF_CGROUP_INET_INGRESS, kFlagBefore) != EBADF) return not_before({6, 17}, "BEFORE");
         return link(s.pod, {.program_fd = s.ingress,
                             .attach_type = BPF_CGROUP_INET_INGRESS,
                             .flags = kFlagBefore | kFlagId,
                             .relative = id_of(s.egress)});
       }});
  out.push_back({"link: the list changed meanwhile", Cause::kListChanged, "revision", [](const Stage& s) -> Refusal {
                   if (try_link_flags(s.ingress, BPF_CGROUP_INET_INGRESS, kFlagBefore) != EBADF) return not_before({6, 17}, "revisions");
                   return link(s.pod, {.program_fd = s.ingress, .attach_type = BPF_CGROUP_INET_INGRESS, .expected_revision = 4711});
                 }});
  out.push_back({"link: a map in the program's place", Cause::kNotAProgram, "is not one", [](const Stage& s) {
                   const auto map = try_map(BPF_MAP_TYPE_HASH, 4, 4, 1);
                   return link(s.pod, {.program_fd = map.fd.get(), .attach_type = BPF_CGROUP_INET_INGRESS});
                 }});
}

void add_attaches(std::vector<Injection>& out) {
  out.push_back({"attach: EINVAL that hides a missing right", Cause::kMissingCapability, "lacks CAP_NET_ADMIN", [](const Stage& s) {
                   keep_only({CAP_BPF, CAP_PERFMON, CAP_DAC_OVERRIDE});
                   return attach(s, kFlagAllowMulti);
                 }});
  out.push_back({"attach: an exclusive program above", Cause::kForeignExclusive, "as the only one allowed", [](const Stage& s) {
                   attach_foreign(s.parent, s.egress, 0);
                   return attach(s, kFlagAllowMulti);
                 }});
  out.push_back({"attach: the same program twice", Cause::kAttachedTwice, "already", [](const Stage& s) {
                   must(!attach(s, kFlagAllowMulti).err, "attach once");
                   return attach(s, kFlagAllowMulti);
                 }});
  out.push_back({"detach: a program that a link holds", Cause::kNoSuchNeighbour, "held there by a link", [](const Stage& s) {
                   const auto held = pod_link(s, s.ingress, BPF_CGROUP_INET_INGRESS);
                   const auto dir = open_folder(s.pod);
                   if (bpf_prog_detach2(s.ingress, dir.get(), BPF_CGROUP_INET_INGRESS) == 0) return Refusal{};
                   const int err = errno;
                   return refused(err, explain_prog_attach(err, Hook::kIngress, gather_evidence(dir, s.pod, BPF_CGROUP_INET_INGRESS)));
                 }});
  const auto query = [](const DirFd& dir, const Stage& s) -> Refusal {
    const auto found = query_cgroup(dir.get(), BPF_CGROUP_INET_INGRESS, QueryScope::kOwn);
    if (found) return {};
    const int err = found.error().sys_errno;
    return refused(err, explain_attach(err, Hook::kIngress, gather_evidence(dir, s.pod, BPF_CGROUP_INET_INGRESS)));
  };
  out.push_back({"query: the cgroup was removed", Cause::kCgroupGone, "removed meanwhile", [query](const Stage& s) {
                   const auto dir = open_folder(s.pod);
                   must(::rmdir(s.pod.c_str()) == 0, "remove the cgroup");
                   return query(dir, s);
                 }});
  out.push_back({"query: without CAP_NET_ADMIN", Cause::kMissingCapability, "lacks CAP_NET_ADMIN", [query](const Stage& s) {
                   keep_only({CAP_BPF, CAP_DAC_OVERRIDE});
                   return query(open_folder(s.pod), s);
                 }});
}

void add_updates(std::vector<Injection>& out) {
  out.push_back({"update: somebody detached the link", Cause::kLinkDead, "attach anew", [](const Stage& s) {
                   const auto held = pod_link(s, s.ingress, BPF_CGROUP_INET_INGRESS);
                   must(bpf_link_detach(held.get()) == 0, "detach the link");
                   return update(held, s.egress);
                 }});
  out.push_back({"update: the cgroup is gone", Cause::kLinkDead, "cgroup is gone", [](const Stage& s) {
                   const auto held = pod_link(s, s.ingress, BPF_CGROUP_INET_INGRESS);
                   must(::rmdir(s.pod.c_str()) == 0, "remove the cgroup");
                   // The kernel takes up to 17 ms to cut the link.
                   const SystemClock clock;
                   const auto end = clock.steady() + std::chrono::seconds(5);
                   Refusal last;
                   while ((last = update(held, s.ingress)).err == 0 && clock.steady() < end) (void)::sched_yield();
                   return last;
                 }});
  out.push_back({"update: somebody swapped the program", Cause::kProgramSwapped, "in the place of ours", [](const Stage& s) {
                   const auto held = pod_link(s, s.ingress, BPF_CGROUP_INET_INGRESS);
                   must(bpf_link_update(held.get(), s.egress, nullptr) == 0, "swap the program");
                   return update(held, s.ingress, s.ingress);
                 }});
  out.push_back(
      {"update: a program of another type", Cause::kAttachTypeMismatch, "holds a program of type 'cgroup_skb'", [](const Stage& s) {
         const auto held = pod_link(s, s.ingress, BPF_CGROUP_INET_INGRESS);
         return update(held, s.connect4);
       }});
}

void add_traces(std::vector<Injection>& out) {
  out.push_back({"tracepoint: tracefs is not mounted", Cause::kNoTracefs, "tracefs is not mounted", [](const Stage&) -> Refusal {
                   // What libbpf does first: read the tracepoint's number.
                   must(::unshare(CLONE_NEWNS) == 0, "have mounts of its own");
                   for (const char* path : {"/sys/kernel/tracing", "/sys/kernel/debug"})
                     while (::access(fmt::format("{}/tracing", path).c_str(), F_OK) == 0 ||
                            ::access(fmt::format("{}/events", path).c_str(), F_OK) == 0)
                       must(::umount2(path, MNT_DETACH) == 0, fmt::format("unmount {}", path));
                   const int fd = ::open("/sys/kernel/tracing/events/sched/sched_process_exit/id", O_RDONLY | O_CLOEXEC);
                   const int err = fd < 0 ? errno : 0;
                   return refused(err, explain_trace_attach(err, gather_trace_evidence(TraceKind::kClassic, "sched/sched_process_exit")));
                 }});
  out.push_back({"tracepoint: there is none of that name", Cause::kNoTracepoint, "no such tracepoint", [](const Stage&) {
                   const auto program = try_program({.type = BPF_PROG_TYPE_RAW_TRACEPOINT});
                   must(program.err == 0, "load a raw tracepoint program");
                   const UniqueFd held(bpf_raw_tracepoint_open("pintle_no_such", program.fd.get()));
                   const int err = held.valid() ? 0 : errno;
                   return refused(err, explain_trace_attach(err, gather_trace_evidence(TraceKind::kBtf, "pintle_no_such")));
                 }});
  out.push_back({"iterator: cgroups without an order", Cause::kNoOrder, "in which order", [](const Stage&) -> Refusal {
                   const auto types = find_kernel_types({{BtfKind::kFunction, "bpf_iter_cgroup"}});
                   if (!types || types->ids[0] == 0) return not_before({6, 1}, "cgroup iterators");
                   const auto program =
                       try_program({.type = BPF_PROG_TYPE_TRACING, .attach_type = BPF_TRACE_ITER, .btf_id = types->ids[0]});
                   if (program.err != 0) return not_before({6, 1}, "iterator programs that load");
                   bpf_link_create_opts options{};
                   options.sz = sizeof options;
                   bpf_iter_link_info info{};
                   options.iter_info = &info;
                   options.iter_info_len = sizeof info;
                   const UniqueFd held(bpf_link_create(program.fd.get(), 0, BPF_TRACE_ITER, &options));
                   const int err = held.valid() ? 0 : errno;
                   return refused(err, explain_trace_attach(err, gather_trace_evidence(TraceKind::kIterator, "", false)));
                 }});
}

}  // namespace

std::vector<Injection> cgroup_injections() {
  std::vector<Injection> out;
  add_opens(out);
  add_targets(out);
  add_rights(out);
  add_foreigners(out);
  add_requests(out);
  add_attaches(out);
  add_updates(out);
  add_traces(out);
  return out;
}

}  // namespace pintle::kernel_test
