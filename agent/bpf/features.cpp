// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "bpf/features.h"

#include <cerrno>
#include <iterator>
#include <system_error>

#include <unistd.h>

#include <fmt/format.h>

#include "bpf/evidence.h"

namespace pintle::bpf {
namespace {

std::string errno_text(int err) { return std::generic_category().message(err); }

model::FeatureProbe probe_cgroup2() {
  const std::string mount = find_cgroup2_mount();
  return {"cgroup v2", !mount.empty(), mount.empty() ? "no cgroup2 file system is mounted" : fmt::format("mounted at {}", mount),
          "no eBPF on pods; pods run, limits are set through cgroup v1"};
}

model::FeatureProbe probe_capabilities() {
  const auto process = gather_process();
  std::string missing;
  for (const auto& [has, name] : {std::pair{process.has_bpf, "CAP_BPF"}, std::pair{process.has_net_admin, "CAP_NET_ADMIN"},
                                  std::pair{process.has_perfmon, "CAP_PERFMON"}})
    if (!has) missing += (missing.empty() ? "" : ", ") + std::string(name);
  const bool initial = process.initial_user_namespace;
  const char* held = process.sys_admin_stands_in ? "CAP_NET_ADMIN, and CAP_SYS_ADMIN in the place of CAP_BPF and CAP_PERFMON"
                                                 : "CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON";
  return {"capabilities", missing.empty() && initial,
          !missing.empty() ? fmt::format("lacks {}", missing) : (initial ? held : "in a user namespace"),
          "programs can't be loaded; those already pinned stay in force"};
}

model::FeatureProbe probe_btf() {
  const bool readable = ::access("/sys/kernel/btf/vmlinux", R_OK) == 0;
  return {"kernel BTF", readable, readable ? "" : fmt::format("/sys/kernel/btf/vmlinux: {}", errno_text(errno)),
          "no exec and exit events; exits are learnt from the runtime"};
}

model::FeatureProbe probe_lockdown() {
  const std::string mode = lockdown_mode();
  if (mode.empty()) return {"no lockdown", true, "state unknown: securityfs is not mounted", ""};
  return {"no lockdown", mode != "confidentiality", fmt::format("lockdown is '{}'", mode),
          "tracing programs are refused in mode 'confidentiality'"};
}

}  // namespace

std::vector<model::FeatureProbe> probe_features(const LoadOutcome& outcome) {
  std::vector<model::FeatureProbe> all = {
      probe_cgroup2(),
      probe_capabilities(),
      {"bpffs", !outcome.bpffs_error, outcome.bpffs_error ? *outcome.bpffs_error : fmt::format("pins lie under {}", outcome.bpffs),
       "no eBPF on pods: without pins a restart would leave them bare"},
      {"cgroup programs", !outcome.cgroup_error, outcome.cgroup_error.value_or(""), "no accounting and no connect events"},
      probe_btf(),
      {"tracepoint programs", !outcome.lifecycle_error, outcome.lifecycle_error.value_or(""),
       "no exec and exit events; exits are learnt from the runtime"},
      probe_lockdown(),
  };
  auto ladder = probe_ladder();
  for (auto& rung : ladder) rung.optional = true;
  all.insert(all.end(), std::make_move_iterator(ladder.begin()), std::make_move_iterator(ladder.end()));
  return all;
}

}  // namespace pintle::bpf
