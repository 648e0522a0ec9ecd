// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "bpf/probe.h"

#include <cerrno>

#include <bpf/bpf.h>

#include "bpf/instructions.h"
#include "bpf/raw_call.h"

namespace pintle::bpf {
namespace {

constexpr uint32_t kTokenFlag = 1U << 16;  // BPF_F_TOKEN_FD

bool is_tracing(uint32_t type) {
  return type == BPF_PROG_TYPE_TRACING || type == BPF_PROG_TYPE_LSM || type == BPF_PROG_TYPE_SYSCALL ||
         type == BPF_PROG_TYPE_RAW_TRACEPOINT;
}

}  // namespace

ProgramTrial try_program(const ProgramProbe& probe) {
  const std::vector<bpf_insn> shortest = {insn::mov_imm(0, is_tracing(probe.type) ? 0 : 1), insn::exit()};
  const auto& instructions = probe.instructions.empty() ? shortest : probe.instructions;
  ProgramTrial trial;
  trial.log.resize(probe.log_bytes);
  bpf_prog_load_opts options{};
  options.sz = sizeof options;
  options.expected_attach_type = static_cast<bpf_attach_type>(probe.attach_type);
  options.attach_btf_id = probe.btf_id;
  options.prog_flags = probe.flags;
  if (probe.token_fd >= 0) {
    options.token_fd = probe.token_fd;
    options.prog_flags |= kTokenFlag;
  }
  options.attempts = 1;
  if (probe.log_bytes > 0) {
    options.log_buf = trial.log.data();
    options.log_size = probe.log_bytes;
    options.log_level = probe.log_level;
  }
  trial.fd = UniqueFd(
      bpf_prog_load(static_cast<bpf_prog_type>(probe.type), nullptr, probe.license, instructions.data(), instructions.size(), &options));
  trial.err = trial.fd.valid() ? 0 : errno;
  trial.log_needed = options.log_true_size;
  trial.log.resize(trial.log.find('\0') == std::string::npos ? trial.log.size() : trial.log.find('\0'));
  return trial;
}

MapTrial try_map(uint32_t type, uint32_t key_bytes, uint32_t value_bytes, uint32_t max_entries, uint32_t flags, int token_fd) {
  bpf_map_create_opts options{};
  options.sz = sizeof options;
  options.map_flags = flags;
  if (token_fd >= 0) {
    options.token_fd = token_fd;
    options.map_flags |= kTokenFlag;
  }
  MapTrial trial;
  trial.fd = UniqueFd(bpf_map_create(static_cast<bpf_map_type>(type), nullptr, key_bytes, value_bytes, max_entries, &options));
  trial.err = trial.fd.valid() ? 0 : errno;
  return trial;
}

int try_link_flags(int program_fd, uint32_t attach_type, uint32_t flags) {
  const auto link = create_cgroup_link({.program_fd = program_fd, .cgroup_fd = -1, .attach_type = attach_type, .flags = flags});
  return link ? 0 : link.error().sys_errno;
}

}  // namespace pintle::bpf
