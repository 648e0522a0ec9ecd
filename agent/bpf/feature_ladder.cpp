// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// The kernel's part of features.h: one rung, one trial.
#include <array>
#include <cerrno>
#include <optional>
#include <span>
#include <system_error>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fmt/format.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bpf/errno_causes.h"
#include "bpf/evidence.h"
#include "bpf/features.h"
#include "bpf/instructions.h"
#include "bpf/kernel_btf.h"
#include "bpf/probe.h"
#include "bpf/raw_call.h"

namespace pintle::bpf {
namespace {

using model::FeatureProbe;

// Numbers that the headers of older distributions lack.
constexpr uint32_t kUnixConnect = 49;  // BPF_CGROUP_UNIX_CONNECT
constexpr uint32_t kSetRetval = 187, kCoarseTime = 160;
constexpr unsigned kCommonAttributes = 1U << 16;

std::string errno_text(int err) { return std::generic_category().message(err); }

FeatureProbe told(std::string name, std::string missing_because, std::string without) {
  const bool available = missing_because.empty();
  return {std::move(name), available, std::move(missing_because), std::move(without)};
}

std::string why_not_loaded(const ProgramProbe& probe, const ProgramTrial& trial) {
  if (trial.err == 0) return {};
  const auto why = explain_program_load(
      trial.err, trial.log,
      gather_load_evidence({.program_type = probe.type, .attach_type = probe.attach_type, .log_bytes = probe.log_bytes}));
  return fmt::format("BPF_PROG_LOAD: {}; {}", errno_text(trial.err), why.text);
}
std::string why_not_loaded(const ProgramProbe& probe) { return why_not_loaded(probe, try_program(probe)); }

std::string why_no_map(uint32_t type, uint32_t key_bytes, uint32_t value_bytes, uint32_t max_entries) {
  const auto trial = try_map(type, key_bytes, value_bytes, max_entries);
  if (trial.err == 0) return {};
  auto evidence = gather_map_evidence(type, key_bytes, value_bytes, max_entries, 0);
  evidence.type_known = trial.err != EINVAL;  // the shape is right, so the kernel must not know the type
  return fmt::format("BPF_MAP_CREATE: {}; {}", errno_text(trial.err), explain_map_create(trial.err, evidence).text);
}

// A program that calls one helper with R1 = 0 and answers 1.
std::vector<bpf_insn> calling(uint32_t helper) {
  return {insn::mov_imm(1, 0), insn::call(static_cast<int32_t>(helper)), insn::mov_imm(0, 1), insn::exit()};
}

std::string why_no_command(int err, std::string_view command, int expected = EBADF) {
  if (err == expected) return {};
  if (err == EPERM) return fmt::format("{}: {}; rights are missing", command, errno_text(err));
  return fmt::format("{}: {}; this kernel does not know it", command, errno_text(err));
}

// Relocations of a program that has no BTF are not looked at; but a kernel that does not know the field wants it to be zero.
std::string why_no_relocations() {
  ElfProgram program;
  program.type = BPF_PROG_TYPE_SOCKET_FILTER;
  program.instructions = {insn::mov_imm(0, 1), insn::exit()};
  program.relocations = {.bytes = std::vector<std::byte>(sizeof(bpf_core_relo)), .size = sizeof(bpf_core_relo), .count = 1};
  const auto loaded = load_program({.program = program, .instructions = program.instructions, .license = "GPL", .types_fd = 0});
  if (loaded) return {};
  const int err = loaded.error().sys_errno;
  if (err == E2BIG) return fmt::format("BPF_PROG_LOAD: {}; this kernel does not know relocations", errno_text(err));
  return why_not_loaded({.type = program.type}, ProgramTrial{.err = err});
}

FeatureProbe probe_links() {
  const int fd = bpf_link_create(-1, -1, BPF_CGROUP_INET_INGRESS, nullptr);
  return told("cgroup links", why_no_command(fd < 0 ? errno : 0, "BPF_LINK_CREATE"), "no eBPF on pods (links need kernel 5.7)");
}

FeatureProbe probe_detach() {
  const int answer = bpf_link_detach(-1);
  return told("link detach", why_no_command(answer < 0 ? errno : 0, "BPF_LINK_DETACH"),
              "a detached program stays in force until the kernel frees its pin (kernel 5.9 detaches at once)");
}

FeatureProbe probe_token() {
  const auto token = create_token(-1);
  return told("BPF token", why_no_command(token ? 0 : token.error().sys_errno, "BPF_TOKEN_CREATE"),
              "no eBPF in a user namespace: the agent needs the host's capabilities (tokens need kernel 6.9)");
}

// Orders are flags of LINK_CREATE; the cgroup is looked at after them.
void probe_orders(std::vector<FeatureProbe>& out) {
  const ProgramProbe probe{.type = BPF_PROG_TYPE_CGROUP_SKB, .attach_type = BPF_CGROUP_INET_INGRESS};
  const auto program = try_program(probe);
  const auto why = [&](uint32_t flags) -> std::string {
    if (program.err != 0) return why_not_loaded(probe, program);
    const int err = try_link_flags(program.fd.get(), BPF_CGROUP_INET_INGRESS, flags);
    if (err == EBADF) return {};
    return fmt::format("BPF_LINK_CREATE: {}; {}", errno_text(err),
                       err == EINVAL ? std::string("this kernel does not know the flag on cgroups") : std::string("rights are missing"));
  };
  out.push_back(told("PREORDER", why(kFlagPreorder), "a parent's programs run after a pod's, never before (kernel 6.15)"));
  out.push_back(told("BEFORE and AFTER", why(kFlagBefore),
                     "programs are appended; their order, and changes of it by others, are told but not chosen (kernel 6.17)"));
}

FeatureProbe probe_log_size() {
  const ProgramProbe probe{.type = BPF_PROG_TYPE_CGROUP_SKB, .attach_type = BPF_CGROUP_INET_INGRESS};
  const auto trial = try_program(probe);
  std::string why = why_not_loaded(probe, trial);
  if (why.empty() && trial.log_needed == 0) why = "the kernel does not tell how long the verifier's log is";
  return told("log_true_size", std::move(why), "the verifier's log is read into a buffer of fixed size (kernel 6.4 tells how long it is)");
}

FeatureProbe probe_cgrp_storage() {
  // Needs BTF of its key and value, which libbpf's probe makes.
  errno = 0;
  const int found = libbpf_probe_bpf_map_type(BPF_MAP_TYPE_CGRP_STORAGE, nullptr);
  std::string why;
  if (found != 1) {
    const auto process = gather_process();
    why = !process.has_bpf ? "BPF_MAP_CREATE: the agent lacks CAP_BPF"
          : found < 0      ? fmt::format("BPF_MAP_CREATE: {}", errno_text(-found))
                           : std::string("this kernel does not know maps of type 'cgrp_storage'");
  }
  return told("CGRP_STORAGE", std::move(why), "per-cgroup values lie in CGROUP_STORAGE or in a hash by cgroup id (kernel 6.2)");
}

FeatureProbe probe_common_attributes() {
  // A kernel that knows them reads them first, and finds them at address 0; another finds the command's number unknown.
  const std::array<uint64_t, 4> nothing{};
  const long answer =
      ::syscall(SYS_bpf, static_cast<unsigned>(BPF_PROG_LOAD) | kCommonAttributes, nothing.data(), sizeof nothing, nullptr, 32);
  return told("logs of every call", why_no_command(answer < 0 ? errno : 0, "bpf(2) with common attributes", EFAULT),
              "refusals are explained from errno and what can be seen around it");
}

struct TracingRung {
  std::string_view name;
  BtfName type;
  ProgramProbe probe;
  std::string_view without;
};

void probe_tracing(std::vector<FeatureProbe>& out) {
  const std::array rungs = {
      TracingRung{"tp_btf programs",
                  {BtfKind::kTypedef, "btf_trace_sched_process_exit"},
                  {.type = BPF_PROG_TYPE_TRACING, .attach_type = BPF_TRACE_RAW_TP},
                  "nothing: raw tracepoints serve"},
      TracingRung{"fentry",
                  {BtfKind::kFunction, "bpf_fentry_test1"},
                  {.type = BPF_PROG_TYPE_TRACING, .attach_type = BPF_TRACE_FENTRY},
                  "nothing: tracepoints serve"},
      TracingRung{"LSM programs",
                  {BtfKind::kFunction, "bpf_lsm_file_open"},
                  {.type = BPF_PROG_TYPE_LSM, .attach_type = BPF_LSM_MAC},
                  "no rules on files and processes; cgroup hooks for network, devices and sysctls serve"},
      TracingRung{"LSM programs on cgroups",
                  {BtfKind::kFunction, "bpf_lsm_socket_bind"},
                  {.type = BPF_PROG_TYPE_LSM, .attach_type = BPF_LSM_CGROUP},
                  "socket and device hooks only (kernel 6.0, and trampolines)"},
      TracingRung{"cgroup iterators",
                  {BtfKind::kFunction, "bpf_iter_cgroup"},
                  {.type = BPF_PROG_TYPE_TRACING, .attach_type = BPF_TRACE_ITER},
                  "counters are read from mapped memory or by batch (kernel 6.1)"},
  };
  std::vector<BtfName> names;
  for (const auto& rung : rungs) names.push_back(rung.type);
  const auto types = find_kernel_types(names);
  for (size_t i = 0; i < rungs.size(); ++i) {
    std::string why;
    if (!types) {
      why = types.error().message();
    } else if (types->ids[i] == 0) {
      why = fmt::format("the kernel's BTF has no '{}'", rungs[i].type.name);
    } else {
      ProgramProbe probe = rungs[i].probe;
      probe.btf_id = types->ids[i];
      why = why_not_loaded(probe);
    }
    out.push_back(told(std::string(rungs[i].name), std::move(why), std::string(rungs[i].without)));
  }
  out.push_back(told("mapped kernel BTF",
                     !types          ? types.error().message()
                     : types->mapped ? ""
                                     : "mmap of /sys/kernel/btf/vmlinux is refused",
                     "the kernel's types are read into 6 MB for a moment (kernel 6.16 maps them)"));
}

}  // namespace

std::vector<FeatureProbe> probe_ladder() {
  const auto page = static_cast<uint32_t>(::sysconf(_SC_PAGESIZE));
  std::vector<FeatureProbe> out;
  out.push_back(probe_links());
  out.push_back(told("ring buffer", why_no_map(BPF_MAP_TYPE_RINGBUF, 0, 0, page), "no eBPF on pods (rings need kernel 5.8)"));
  out.push_back(probe_detach());
  out.push_back(told("sock_release hook", why_not_loaded({.type = BPF_PROG_TYPE_CGROUP_SOCK, .attach_type = BPF_CGROUP_INET_SOCK_RELEASE}),
                     "ends of sockets are not seen (kernel 5.9)"));
  out.push_back(told("shared cgroup storage", why_no_map(BPF_MAP_TYPE_CGROUP_STORAGE, 8, 8, 0),
                     "a pod's slot is found by a hash keyed by its cgroup id (kernel 5.9)"));
  out.push_back(told("memory accounted by cgroup",
                     why_not_loaded({.type = BPF_PROG_TYPE_SOCKET_FILTER, .instructions = calling(kCoarseTime)}),
                     "programs and maps count against RLIMIT_MEMLOCK, which must be raised (kernel 5.11)"));
  out.push_back(
      told("CO-RE in the kernel", why_no_relocations(), "no tracepoint programs: relocating them here would cost 12 MB (kernel 5.17)"));
  out.push_back(
      told("bpf_set_retval",
           why_not_loaded({.type = BPF_PROG_TYPE_CGROUP_DEVICE, .attach_type = BPF_CGROUP_DEVICE, .instructions = calling(kSetRetval)}),
           "what policy refuses fails with EPERM, whatever errno was asked for (kernel 5.18)"));
  out.push_back(told("user ring buffer", why_no_map(31, 0, 0, page), "nothing: it isn't used (kernel 6.1)"));
  out.push_back(probe_cgrp_storage());
  out.push_back(probe_log_size());
  out.push_back(told("AF_UNIX hooks", why_not_loaded({.type = BPF_PROG_TYPE_CGROUP_SOCK_ADDR, .attach_type = kUnixConnect}),
                     "no policy on AF_UNIX sockets (kernel 6.7)"));
  out.push_back(probe_token());
  probe_orders(out);
  probe_tracing(out);
  out.push_back(probe_common_attributes());
  return out;
}

}  // namespace pintle::bpf
