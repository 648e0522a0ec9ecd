// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "bpf/evidence.h"

#include <array>
#include <cerrno>
#include <charconv>
#include <sstream>

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <bpf/bpf.h>
#include <fmt/format.h>

#include "bpf/kernel_object.h"

namespace pintle::bpf {
namespace {

UniqueFd parent_of(int dir) { return UniqueFd(::openat(dir, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC)); }

// "Name:\tvalue" of the thread's status file.
std::string status_field(std::string_view name) {
  const auto text = read_file("/proc/thread-self/status");
  if (!text) return {};
  std::istringstream lines(*text);
  for (std::string line; std::getline(lines, line);)
    if (line.starts_with(name) && line.size() > name.size() + 1 && line[name.size()] == ':') {
      const auto value = line.find_first_not_of(" \t", name.size() + 1);
      return value == std::string::npos ? std::string() : line.substr(value);
    }
  return {};
}

// The nearest cgroup, from this one up, whose programs of the hook bar another one below it.
std::optional<ForeignProgram> find_foreign(const DirFd& cgroup, const std::string& path, uint32_t attach_type) {
  UniqueFd held;
  int at = cgroup.get();
  std::string name = path;
  for (bool self = true; is_cgroup2(at); self = false) {
    std::array<uint32_t, 64> ids{};
    struct bpf_prog_query_opts query{};
    query.sz = sizeof query;
    query.prog_ids = ids.data();
    query.prog_cnt = ids.size();
    if (bpf_prog_query_opts(at, static_cast<bpf_attach_type>(attach_type), &query) == 0 && query.prog_cnt > 0) {
      const bool overridable = query.prog_attach_flags == nullptr && (query.attach_flags & BPF_F_ALLOW_OVERRIDE) != 0;
      // An overridable program bars us on its own cgroup only; below it we would replace it silently.
      if (query.attach_flags == 0 || (overridable && self)) {
        ForeignProgram found{ids[0], {}, 0, name, overridable};
        if (UniqueFd program(bpf_prog_get_fd_by_id(ids[0])); program.valid())
          if (auto info = program_info(program.get())) {
            found.name = info->name;
            found.uid = info->uid;
          }
        return found;
      }
    }
    UniqueFd parent = parent_of(at);
    if (!parent.valid()) break;
    held = std::move(parent);
    at = held.get();
    name = name.substr(0, name.rfind('/'));
  }
  return std::nullopt;
}

}  // namespace

bool is_cgroup2(int fd) {
  struct statfs fs{};
  return ::fstatfs(fd, &fs) == 0 && fs.f_type == CGROUP2_SUPER_MAGIC;
}

std::string find_cgroup2_mount() {
  const auto text = read_file("/proc/self/mountinfo");
  if (!text) return {};
  std::istringstream lines(*text);
  for (std::string line; std::getline(lines, line);) {
    // id parent major:minor root mountpoint options [optional…] - fstype source super-options
    const auto separator = line.find(" - ");
    if (separator == std::string::npos || !std::string_view(line).substr(separator + 3).starts_with("cgroup2 ")) continue;
    std::istringstream words(line);
    std::string word;
    for (int i = 0; i < 5; ++i) words >> word;
    return word;
  }
  return {};
}

bool has_capability(int number) {
  const std::string mask = status_field("CapEff");
  uint64_t bits = 0;
  const auto [end, error] = std::from_chars(mask.data(), mask.data() + mask.size(), bits, 16);
  return error == std::errc{} && (bits >> number & 1) != 0;
}

bool in_initial_user_namespace() {
  const auto map = read_file("/proc/self/uid_map");
  if (!map) return true;
  std::istringstream words(*map);
  uint64_t inside = 1, outside = 1, count = 0;
  words >> inside >> outside >> count;
  return inside == 0 && outside == 0 && count == 4294967295;
}

Result<uint32_t> cgroup_level(const DirFd& cgroup) {
  struct stat own{};
  if (::fstat(cgroup.get(), &own) != 0) return fail_errno(errno, "stat the cgroup");
  uint32_t level = 0;
  UniqueFd held;
  for (int at = cgroup.get();; ++level) {
    UniqueFd parent = parent_of(at);
    struct stat up{};
    if (!parent.valid() || ::fstat(parent.get(), &up) != 0) return fail_errno(errno, "walk up from the cgroup");
    if (up.st_dev != own.st_dev || !is_cgroup2(parent.get())) return level;
    held = std::move(parent);
    at = held.get();
  }
}

Evidence gather_evidence(const DirFd& cgroup, const std::string& path, uint32_t attach_type) {
  Evidence evidence;
  evidence.cgroup_path = path;
  evidence.target_is_cgroup2 = is_cgroup2(cgroup.get());
  evidence.cgroup2_mount = find_cgroup2_mount();
  struct stat st{};
  evidence.target_removed = ::fstat(cgroup.get(), &st) == 0 && st.st_nlink == 0;
  evidence.has_net_admin = has_capability(12);
  evidence.initial_user_namespace = in_initial_user_namespace();
  evidence.seccomp = status_field("Seccomp") != "0";
  if (evidence.target_is_cgroup2) evidence.foreign = find_foreign(cgroup, path, attach_type);
  return evidence;
}

}  // namespace pintle::bpf
