// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Refusals of BPF_PROG_LOAD: of rights, of the verifier, of sizes.
#include <cerrno>

#include <linux/capability.h>
#include <unistd.h>

#include <fmt/format.h>

#include "bpf/evidence.h"
#include "bpf/instructions.h"
#include "bpf/kernel_btf.h"
#include "injection.h"

namespace pintle::kernel_test {
namespace {

using namespace pintle::bpf;
namespace op = pintle::bpf::insn;

Refusal load(const ProgramProbe& probe) {
  const auto trial = try_program(probe);
  if (trial.err == 0) return {};
  const auto evidence = gather_load_evidence({.program_type = probe.type,
                                              .attach_type = probe.attach_type,
                                              .instructions = probe.instructions.size(),
                                              .log_bytes = probe.log_bytes,
                                              .log_needed = trial.log_needed});
  return refused(trial.err, explain_program_load(trial.err, trial.log, evidence));
}

ProgramProbe ingress(std::vector<bpf_insn> instructions = {}) {
  return {.type = BPF_PROG_TYPE_CGROUP_SKB, .attach_type = BPF_CGROUP_INET_INGRESS, .instructions = std::move(instructions)};
}
ProgramProbe connect4(std::vector<bpf_insn> instructions = {}) {
  return {.type = BPF_PROG_TYPE_CGROUP_SOCK_ADDR, .attach_type = BPF_CGROUP_INET4_CONNECT, .instructions = std::move(instructions)};
}

UniqueFd map_of(uint32_t type, uint32_t key, uint32_t value, uint32_t entries) {
  auto made = try_map(type, key, value, entries);
  must(made.err == 0, "make a map");
  return std::move(made.fd);
}

// r0 = map_lookup_elem(map, &0), and then `rest`.
std::vector<bpf_insn> looking_up(int map, std::vector<bpf_insn> rest) {
  std::vector<bpf_insn> out = {op::store_imm(10, -4, 0), op::mov(2, 10),    op::add_imm(2, -4),
                               op::load_map(1, map),     op::second_half(), op::call(BPF_FUNC_map_lookup_elem)};
  out.insert(out.end(), rest.begin(), rest.end());
  return out;
}

void add_rights(std::vector<Injection>& out) {
  out.push_back({"load: without any capability", Cause::kMissingCapability, "lacks CAP_BPF", [](const Stage&) {
                   keep_only({});
                   return load(ingress());
                 }});
  out.push_back({"load: connect4 with CAP_BPF alone", Cause::kMissingCapability, "lacks CAP_NET_ADMIN", [](const Stage&) {
                   keep_only({CAP_BPF});
                   return load(connect4());
                 }});
  out.push_back({"load: tp_btf without CAP_PERFMON", Cause::kMissingCapability, "lacks CAP_PERFMON", [](const Stage&) -> Refusal {
                   const auto types = find_kernel_types({{BtfKind::kTypedef, "btf_trace_sched_process_exit"}});
                   if (!types || types->ids[0] == 0) return no_btf();
                   keep_only({CAP_BPF, CAP_NET_ADMIN});
                   return load({.type = BPF_PROG_TYPE_TRACING, .attach_type = BPF_TRACE_RAW_TP, .btf_id = types->ids[0]});
                 }});
  out.push_back({"load: in a user namespace, with every capability there", Cause::kUserNamespace, "BPF token", [](const Stage&) {
                   enter_user_namespace();
                   return load(connect4());
                 }});
  out.push_back({"load: a seccomp filter", Cause::kSeccomp, "seccomp filter", [](const Stage&) {
                   forbid_bpf(BPF_PROG_LOAD);
                   return load(connect4());
                 }});
  out.push_back({"load: fentry where trampolines are refused", Cause::kTrampoline, "though tp_btf loads", [](const Stage&) -> Refusal {
                   const auto types = find_kernel_types({{BtfKind::kFunction, "bpf_fentry_test1"}});
                   if (!types || types->ids[0] == 0) return no_btf();
                   auto said = load({.type = BPF_PROG_TYPE_TRACING, .attach_type = BPF_TRACE_FENTRY, .btf_id = types->ids[0]});
                   return said.err == 0 ? not_possible("fentry loads here") : said;
                 }});
  out.push_back({"load: LSM where trampolines are refused", Cause::kTrampoline, "though tp_btf loads", [](const Stage&) -> Refusal {
                   const auto types = find_kernel_types({{BtfKind::kFunction, "bpf_lsm_file_open"}});
                   if (!types || types->ids[0] == 0) return types ? not_possible("no LSM hooks in the kernel's BTF") : no_btf();
                   auto said = load({.type = BPF_PROG_TYPE_LSM, .attach_type = BPF_LSM_MAC, .btf_id = types->ids[0]});
                   return said.err == 0 ? not_possible("LSM programs load here") : said;
                 }});
  out.push_back({"load: tracing a function that isn't there", Cause::kNotSupported, "", [](const Stage&) {
                   return load({.type = BPF_PROG_TYPE_TRACING, .attach_type = BPF_TRACE_RAW_TP, .btf_id = 0, .log_bytes = 0});
                 }});
  out.push_back({"load: out of descriptors", Cause::kTooManyFiles, "limit 64", [](const Stage&) {
                   use_up_files();
                   return load(ingress());
                 }});
  out.push_back({"load: a program type that the kernel doesn't know", Cause::kNotSupported, "does not know the program's type",
                 [](const Stage&) { return load({.type = 200, .attach_type = 0}); }});
}

// The verifier's rules, each broken by a program of a few instructions.
void add_verifier(std::vector<Injection>& out) {
  const auto add = [&](const char* name, const char* words, std::function<Refusal()> run) {
    out.push_back({fmt::format("verifier: {}", name), Cause::kVerifier, words, [run = std::move(run)](const Stage&) { return run(); }});
  };
  add("R0 is never set", "before it is set", [] { return load(ingress({op::exit()})); });
  add("a lookup's result is used unchecked", "may answer NULL", [] {
    const auto map = map_of(BPF_MAP_TYPE_HASH, 4, 8, 4);
    return load(ingress(looking_up(map.get(), {op::load_word(1, 0, 0), op::mov_imm(0, 1), op::exit()})));
  });
  add("the stack beyond 512 bytes", "512 bytes", [] { return load(ingress({op::store_imm(10, -516, 0), op::mov_imm(0, 1), op::exit()})); });
  add("the stack read before it is written", "never written", [] {
    return load(
        {.type = BPF_PROG_TYPE_CGROUP_SKB, .attach_type = BPF_CGROUP_INET_INGRESS, .instructions = {op::load_word(0, 10, 4), op::exit()}});
  });
  add("the context beyond its end", "field of the context",
      [] { return load(ingress({op::load_word(0, 1, 4096), op::mov_imm(0, 1), op::exit()})); });
  add("an IPv6 field in connect4", "field of the context",
      [] { return load(connect4({op::load_word(2, 1, 8), op::mov_imm(0, 1), op::exit()})); });
  add("a helper of another program type", "may not call that helper",
      [] { return load(ingress({op::mov_imm(1, 0), op::call(BPF_FUNC_override_return), op::mov_imm(0, 1), op::exit()})); });
  add("a helper that doesn't exist", "this kernel doesn't have it",
      [] { return load(ingress({op::call(100000), op::mov_imm(0, 1), op::exit()})); });
  add("a GPL helper in a program that isn't", "licence", [] {
    auto probe =
        ingress({op::mov(1, 10), op::add_imm(1, -8), op::mov_imm(2, 8), op::call(BPF_FUNC_trace_printk), op::mov_imm(0, 1), op::exit()});
    probe.instructions.insert(probe.instructions.begin(), {op::store_imm(10, -8, 0), op::store_imm(10, -4, 0)});
    probe.license = "Proprietary";
    return load(probe);
  });
  add("a ring's record that is never submitted", "submitted, discarded or released", [] {
    const auto ring = map_of(BPF_MAP_TYPE_RINGBUF, 0, 0, static_cast<uint32_t>(::sysconf(_SC_PAGESIZE)));
    return load(ingress({op::load_map(1, ring.get()), op::second_half(), op::mov_imm(2, 8), op::mov_imm(3, 0),
                         op::call(BPF_FUNC_ringbuf_reserve), op::mov_imm(0, 1), op::exit()}));
  });
  add("an answer out of range", "0 refuses, 1 allows", [] { return load(connect4({op::mov_imm(0, 7), op::exit()})); });
  add("instructions that no path reaches", "no path reaches",
      [] { return load(ingress({op::mov_imm(0, 1), op::exit(), op::mov_imm(0, 0), op::exit()})); });
  add("an opcode that doesn't exist", "no instruction of this kernel",
      [] { return load(ingress({op::make(0xff, 0, 0, 0, 0), op::mov_imm(0, 1), op::exit()})); });
  add("a loop without an end", "must have an end",
      [] { return load(ingress({op::mov_imm(0, 1), op::jump_if_not_imm(0, 0, -1), op::exit()})); });
  add("a map's value beyond its end", "check the bounds", [] {
    const auto map = map_of(BPF_MAP_TYPE_HASH, 4, 8, 4);
    return load(
        ingress(looking_up(map.get(), {op::jump_if_not_imm(0, 0, 1), op::exit(), op::load_word(1, 0, 64), op::mov_imm(0, 1), op::exit()})));
  });
  add("a number where a pointer is taken", "argument of another kind", [] {
    return load(ingress({op::mov_imm(1, 5), op::mov_imm(2, 6), op::call(BPF_FUNC_map_lookup_elem), op::mov_imm(0, 1), op::exit()}));
  });
  add("a number used as a pointer", "as a pointer that is none",
      [] { return load(ingress({op::mov_imm(1, 5), op::load_word(2, 1, 0), op::mov_imm(0, 1), op::exit()})); });
}

void add_sizes(std::vector<Injection>& out) {
  out.push_back({"load: a map's descriptor that was closed", Cause::kStaleMap, "is no map", [](const Stage&) {
                   auto map = map_of(BPF_MAP_TYPE_HASH, 4, 8, 4);
                   const int number = map.get();
                   map.reset();
                   return load(ingress(looking_up(number, {op::mov_imm(0, 1), op::exit()})));
                 }});
  out.push_back({"load: the same, without a log", Cause::kStaleMap, "is no map", [](const Stage&) {
                   auto map = map_of(BPF_MAP_TYPE_HASH, 4, 8, 4);
                   const int number = map.get();
                   map.reset();
                   auto probe = ingress(looking_up(number, {op::mov_imm(0, 1), op::exit()}));
                   probe.log_bytes = 0;
                   return load(probe);
                 }});
  out.push_back({"load: a good program and a small log", Cause::kLogTooSmall, "of 128 bytes", [](const Stage&) {
                   std::vector<bpf_insn> many(100, op::mov_imm(0, 1));
                   many.push_back(op::exit());
                   auto probe = ingress(std::move(many));
                   probe.log_bytes = 128;
                   probe.log_level = 2;  // every instruction
                   return load(probe);
                 }});
  out.push_back({"load: more than a million instructions", Cause::kTooLarge, "1000001 instructions", [](const Stage&) {
                   std::vector<bpf_insn> many(1000000, op::mov_imm(0, 1));
                   many.push_back(op::exit());
                   return load(ingress(std::move(many)));
                 }});
}

}  // namespace

std::vector<Injection> load_injections() {
  std::vector<Injection> out;
  add_rights(out);
  add_verifier(out);
  add_sizes(out);
  return out;
}

}  // namespace pintle::kernel_test
