// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "app/doctor.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <filesystem>
#include <span>
#include <utility>

#include <linux/capability.h>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "app/set_news.h"
#include "base/unique_fd.h"
#include "bpf/privilege.h"

namespace pintle::app {
namespace {

using Check = ports::DoctorCheck;
using State = ports::DoctorCheck::State;

std::string first_line(const std::string& text) { return text.substr(0, text.find('\n')); }

Check kernel(const std::string& root) {
  Check check{.name = "kernel",
              .why = "cgroup links need 5.7 and the ring buffer 5.8; older kernels run pods without eBPF",
              .fix = "boot a kernel of 5.8 or newer (Debian 12 ships 6.1)"};
  const auto release = read_file(root + "proc/sys/kernel/osrelease");
  if (!release) {
    check.state = State::kFailed;
    check.detail = release.error().message();
    return check;
  }
  check.detail = first_line(*release);
  int major = 0, minor = 0;
  const auto [rest, error] = std::from_chars(release->data(), release->data() + release->size(), major);
  if (error == std::errc{}) (void)std::from_chars(rest + 1, release->data() + release->size(), minor);
  if (major < 5 || (major == 5 && minor < 8)) check.state = State::kFailed;
  return check;
}

Check cgroups(const std::string& root) {
  Check check{.name = "cgroup2",
              .why = "programs are attached to cgroup v2; limits come from v2 or, on hybrid hosts, from v1",
              .fix = "boot with systemd.unified_cgroup_hierarchy=1, or mount one: mount -t cgroup2 none /sys/fs/cgroup/unified"};
  const auto mounts = read_file(root + "proc/self/mounts");
  if (!mounts) {
    check.state = State::kFailed;
    check.detail = mounts.error().message();
    return check;
  }
  std::string v2;
  int v1 = 0;
  for (size_t start = 0; start < mounts->size();) {
    const size_t end = std::min(mounts->find('\n', start), mounts->size());
    const std::string line = mounts->substr(start, end - start);
    start = end + 1;
    const size_t path_start = line.find(' ') + 1;
    const size_t path_end = line.find(' ', path_start);
    const std::string type = line.substr(path_end + 1, line.find(' ', path_end + 1) - path_end - 1);
    if (type == "cgroup2" && v2.empty()) v2 = line.substr(path_start, path_end - path_start);
    if (type == "cgroup") ++v1;
  }
  if (v2.empty()) {
    check.state = State::kFailed;
    check.detail = fmt::format("no cgroup2 mount among {} v1 hierarchies", v1);
  } else {
    check.detail = v1 == 0 ? fmt::format("unified at {}", v2) : fmt::format("hybrid: v2 at {}, {} v1 hierarchies carry the limits", v2, v1);
  }
  return check;
}

Check btf(const std::string& root) {
  Check check{.name = "BTF",
              .why = "exec and exit tracing name kernel types; without it they are off, hooks on cgroups work all the same",
              .fix = "use a kernel built with CONFIG_DEBUG_INFO_BTF=y"};
  std::error_code error;
  const auto size = std::filesystem::file_size(root + "sys/kernel/btf/vmlinux", error);
  check.detail = error ? "/sys/kernel/btf/vmlinux: " + error.message()
                       : fmt::format("/sys/kernel/btf/vmlinux, {:.1f} MB", static_cast<double>(size) / 1e6);
  if (error) check.state = State::kWarning;
  return check;
}

// What the daemon may now: it has given up what it needed at its start only.
Check capabilities(const std::string& root, bool programs_only) {
  Check check{.name = "capabilities",
              .why = "attaching programs, mounting volumes and ending processes of pods each need one; loading took more, at the start",
              .fix = programs_only ? "grant them in the container's securityContext (see deploy/kustomize/base/daemonset.yaml)"
                                   : "run as root, or grant them in the unit's CapabilityBoundingSet (see deploy/systemd/pintled.service)"};
  const auto status = read_file(root + "proc/self/status");
  const size_t at = status ? status->find("CapEff:") : std::string::npos;
  if (at == std::string::npos) {
    check.state = State::kWarning;
    check.detail = "the effective set can't be read";
    return check;
  }
  uint64_t others = std::strtoull(status->c_str() + at + 7, nullptr, 16);
  std::vector<std::string_view> missing, held, given_up;
  for (const auto& row : bpf::needed_capabilities()) {
    if (programs_only && row.after_start && !row.for_programs_alone) continue;
    const bool has = (others >> row.number & 1) != 0;
    (has ? held : row.after_start ? missing : given_up).push_back(row.name);
    others &= ~(uint64_t{1} << row.number);
  }
  check.detail = fmt::format("effective: {}", held.empty() ? "none" : fmt::to_string(fmt::join(held, " ")));
  constexpr uint64_t kSysAdmin = uint64_t{1} << CAP_SYS_ADMIN;
  if (!given_up.empty() && (others & kSysAdmin) != 0) {  // the kernel takes it for both that loading needs
    check.detail += fmt::format(", and CAP_SYS_ADMIN in the place of {}", fmt::join(std::exchange(given_up, {}), " "));
    others &= ~kSysAdmin;
  }
  if (others != 0) check.detail += fmt::format(" and {} that are not needed", std::popcount(others));
  if (!given_up.empty()) check.detail += fmt::format("; needed at the start only: {}", fmt::join(given_up, " "));
  if (!missing.empty()) {
    check.detail += fmt::format("; missing: {}", fmt::join(missing, " "));
    check.state = State::kFailed;
  }
  return check;
}

Check lockdown(const std::string& root) {
  Check check{.name = "lockdown",
              .why = "lockdown 'confidentiality' refuses tracing programs even to root",
              .fix = "boot with lockdown=integrity, or disable Secure Boot's confidentiality mode"};
  const auto text = read_file(root + "sys/kernel/security/lockdown");
  if (!text) {
    check.detail = text.error().code == Code::kNotFound ? "not built in, or securityfs is not mounted" : text.error().message();
    return check;
  }
  const size_t open = text->find('['), close = text->find(']');
  const std::string mode =
      open == std::string::npos || close == std::string::npos ? first_line(*text) : text->substr(open + 1, close - open - 1);
  check.detail = mode;
  if (mode == "confidentiality") check.state = State::kWarning;
  return check;
}

// Pods have a whole set either way: never a failure.
Check program_set(const model::ProgramSetStatus& set) {
  const auto news = news_of(set);
  Check check{.name = "program set",
              .detail = news.text,
              .why = "which programs pods get; one that was refused leaves all of them on the set before",
              .fix = "mend the object file, or name another set by the node's label or pintle.ebpf.programSet"};
  if (!set.leftovers.empty()) check.fix = "free what the detail names; Pintle tries again each 10 s";
  if (!news.good()) check.state = State::kWarning;
  return check;
}

// Of pods that run: what one lacks of its programs, by hook, and what else is said of them.
std::string lacks_of(const ports::PodRecord& record) {
  std::vector<std::string> lacks;
  for (const auto& hook : record.programs->hooks)
    if (!in_force(hook.state)) lacks.push_back(fmt::format("{} is {}", to_string(hook.hook), to_string(hook.state)));
  for (const auto& program : record.programs->programs)
    if (!in_force(program.state)) lacks.push_back(fmt::format("program '{}' is {}", program.name, to_string(program.state)));
  lacks.insert(lacks.end(), record.programs->notes.begin(), record.programs->notes.end());
  return fmt::to_string(fmt::join(lacks, "; "));
}

Check pods(const std::vector<ports::PodRecord>& records) {
  constexpr size_t kTold = 3;
  Check check{.name = "pods' programs",
              .why = "a pod without one is not counted, traced or constrained as it should be",
              .fix = "see the detail; 'pintlectl ebpf explain POD' names cause and fix of each hook"};
  std::vector<std::string> told;
  size_t with = 0;
  for (const auto& record : records) {
    if (!record.programs || record.removed || model::is_terminal(record.status.phase)) continue;
    ++with;
    if (auto lacks = lacks_of(record); !lacks.empty()) told.push_back(fmt::format("{}: {}", record.pod->full_name(), lacks));
  }
  check.detail = fmt::format("in force on {} pods", with);
  if (told.empty()) return check;
  check.state = State::kWarning;
  check.detail = fmt::format("{} of {} pods lack something: {}", told.size(), with,
                             fmt::join(told.begin(), told.begin() + static_cast<std::ptrdiff_t>(std::min(told.size(), kTold)), ", "));
  if (told.size() > kTold) check.detail += " …";
  return check;
}

// What nothing needs is fine without; its detail begins with that, since it tells of a refusal.
std::string detail_of(const model::FeatureProbe& feature) {
  if (feature.available || !feature.optional) return feature.detail.empty() ? "available" : feature.detail;
  return "not there, and not needed: " + feature.detail;
}

void runtime(const DoctorInputs& inputs, std::vector<Check>& checks) {
  Check check{
      .name = "runtime",
      .detail = inputs.runtime_endpoint,
      .why = "containers are run by a CRI runtime; nothing starts without one",
      .fix =
          "install and start one (apt-get install containerd; systemctl start containerd), or name its socket in containerRuntimeEndpoint"};
  Check network{.name = "CNI",
                .why = "pods that don't use the host's network wait until the runtime has a CNI configuration",
                .fix = "put a CNI configuration into /etc/cni/net.d (plugins: apt-get install containernetworking-plugins)"};
  const auto version = inputs.runtime->version();
  const auto status = version ? inputs.runtime->status() : Result<model::RuntimeStatus>(std::unexpected(version.error()));
  if (!status) {
    check.state = State::kFailed;
    check.detail = status.error().message();
    network.state = State::kWarning;
    network.detail = "not known while the runtime is down";
  } else {
    check.detail = fmt::format("{} {} at {}", version->name, version->version, inputs.runtime_endpoint);
    if (!status->runtime_ready.ok) {
      check.state = State::kFailed;
      check.detail += fmt::format(": {} {}", status->runtime_ready.reason, status->runtime_ready.message);
    }
    network.detail =
        status->network_ready.ok ? "ready" : fmt::format("{}: {}", status->network_ready.reason, status->network_ready.message);
    if (!status->network_ready.ok) network.state = State::kFailed;
  }
  checks.push_back(check);
  checks.push_back(network);
}

}  // namespace

std::vector<Check> run_doctor(const DoctorInputs& inputs) {
  std::vector<Check> checks{kernel(inputs.root), cgroups(inputs.root), btf(inputs.root), capabilities(inputs.root, inputs.programs_only),
                            lockdown(inputs.root)};
  for (const auto& feature : inputs.features)
    checks.push_back(
        {.name = "eBPF: " + feature.name,
         .detail = detail_of(feature),
         .why = feature.without.empty() ? "" : "without it: " + feature.without,
         .fix = feature.available || feature.optional ? "" : "see the detail; `pintlectl ebpf status` names the hooks that are affected",
         .state = feature.available || feature.optional ? State::kOk : State::kWarning});
  if (!inputs.program_set.name.empty()) {
    checks.push_back(program_set(inputs.program_set));
    checks.push_back(pods(inputs.pods));
  }
  if (inputs.runtime != nullptr) runtime(inputs, checks);
  if (inputs.nri) checks.push_back(*inputs.nri);
  Check api{.name = "API",
            .detail = inputs.api_name,
            .why = "pods, their status and the node's lease go through it",
            .fix = "check the kubeconfig's server, its credentials and the network to it"};
  if (!inputs.api) {
    api.detail = "none configured";
  } else if (const auto answered = inputs.api(); !answered) {
    api.state = State::kFailed;
    api.detail = answered.error().message();
  }
  checks.push_back(api);
  return checks;
}

}  // namespace pintle::app
