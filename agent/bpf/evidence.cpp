// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "bpf/evidence.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <filesystem>
#include <sstream>

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fmt/format.h>

#include "bpf/kernel_btf.h"
#include "bpf/object_info.h"
#include "bpf/probe.h"
#include "bpf/raw_call.h"

namespace pintle::bpf {
namespace {

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

std::string describe_owner(const std::string& path) {
  struct stat st{};
  if (::stat(path.c_str(), &st) != 0) return "unknown";
  return fmt::format("uid {}, mode {:04o}", st.st_uid, st.st_mode & 07777U);
}

model::ForeignProgram describe(uint32_t id, const std::string& cgroup, uint32_t flags, const Clock* clock) {
  model::ForeignProgram found;
  found.id = id;
  found.cgroup = cgroup;
  found.exclusive = flags == 0;
  found.overridable = (flags & kFlagAllowOverride) != 0;
  const UniqueFd program(bpf_prog_get_fd_by_id(id));
  if (!program.valid()) return found;
  if (const auto info = program_details(program.get())) {
    found.name = info->name;
    found.tag = info->tag;
    found.uid = info->uid;
    if (clock != nullptr) found.loaded_at = Time(boot_to_wall(*clock) + info->loaded);
  }
  return found;
}

// The nearest cgroup, from this one up, whose programs of the hook bar another one below it.
std::optional<model::ForeignProgram> find_foreign(const DirFd& cgroup, const std::string& path, uint32_t attach_type, const Clock* clock) {
  UniqueFd held;
  int at = cgroup.get();
  std::string name = path;
  for (bool self = true; is_cgroup2(at); self = false) {
    const auto own = query_cgroup(at, attach_type, QueryScope::kOwn);
    if (own && !own->ids.empty()) {
      // Below a list that takes many everything is allowed. An overridable program bars us on its own cgroup only; below it we would
      // switch it off.
      if ((own->flags & kFlagAllowMulti) != 0 || (own->flags != 0 && !self)) return std::nullopt;
      return describe(own->ids.front(), name, own->flags, clock);
    }
    UniqueFd parent = parent_cgroup(at);
    if (!parent.valid()) break;
    held = std::move(parent);
    at = held.get();
    name = name.substr(0, name.rfind('/'));
  }
  return std::nullopt;
}

std::vector<std::string> names_of(const std::vector<uint32_t>& ids) {
  std::vector<std::string> names;
  for (const auto id : ids) {
    const UniqueFd fd(bpf_prog_get_fd_by_id(id));
    const auto info = fd.valid() ? program_details(fd.get()) : Result<ProgramDetails>(fail(Code::kNotFound, ""));
    names.push_back(info && !info->name.empty() ? info->name : fmt::format("program {}", id));
  }
  return names;
}

std::string attach_type_name(uint32_t type) {
  const char* name = libbpf_bpf_attach_type_str(static_cast<bpf_attach_type>(type));
  return name != nullptr ? name : fmt::format("attach type {}", type);
}

// The program's type that a cgroup hook takes; nullopt: not one of ours.
std::optional<uint32_t> program_type_for(uint32_t attach_type) {
  switch (attach_type) {
    case BPF_CGROUP_INET_INGRESS:
    case BPF_CGROUP_INET_EGRESS: return BPF_PROG_TYPE_CGROUP_SKB;
    case BPF_CGROUP_INET4_CONNECT:
    case BPF_CGROUP_INET6_CONNECT:
    case BPF_CGROUP_INET4_BIND:
    case BPF_CGROUP_INET6_BIND:
    case BPF_CGROUP_UDP4_SENDMSG:
    case BPF_CGROUP_UDP6_SENDMSG: return BPF_PROG_TYPE_CGROUP_SOCK_ADDR;
    case BPF_CGROUP_SOCK_OPS: return BPF_PROG_TYPE_SOCK_OPS;
    case BPF_CGROUP_DEVICE: return BPF_PROG_TYPE_CGROUP_DEVICE;
    case BPF_CGROUP_SYSCTL: return BPF_PROG_TYPE_CGROUP_SYSCTL;
    case BPF_CGROUP_GETSOCKOPT:
    case BPF_CGROUP_SETSOCKOPT: return BPF_PROG_TYPE_CGROUP_SOCKOPT;
    default: return std::nullopt;
  }
}

void look_at_program(Evidence& evidence, uint32_t attach_type, const AttachAttempt& attempt) {
  if (attempt.program_fd < 0) return;
  const auto info = program_details(attempt.program_fd);
  evidence.is_program = info.has_value();
  if (!info) return;
  evidence.wanted_type = attach_type_name(attach_type);
  if (attempt.program_attach_type && *attempt.program_attach_type != attach_type) {
    evidence.type_fits = false;
    evidence.given_type = attach_type_name(*attempt.program_attach_type);
  } else if (const auto type = program_type_for(attach_type); type && *type != info->type) {
    evidence.type_fits = false;
    evidence.given_type = program_type_name(info->type);
  }
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

Result<CgroupDepth> cgroup_depth(const DirFd& cgroup) {
  constexpr ino_t kRoot = 1;  // of every hierarchy
  struct stat own{};
  if (::fstat(cgroup.get(), &own) != 0) return fail_errno(errno, "stat the cgroup");
  CgroupDepth depth;
  UniqueFd held;
  for (int at = cgroup.get();; ++depth.level) {
    UniqueFd parent(::openat(at, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    struct stat up{};
    if (!parent.valid() || ::fstat(parent.get(), &up) != 0) return fail_errno(errno, "walk up from the cgroup");
    depth.from_root = own.st_ino == kRoot;
    if (up.st_dev != own.st_dev || !is_cgroup2(parent.get())) return depth;
    own = up;
    held = std::move(parent);
    at = held.get();
  }
}

UniqueFd parent_cgroup(int dir) {
  UniqueFd parent(::openat(dir, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  struct stat own{}, up{};
  if (!parent.valid() || ::fstat(dir, &own) != 0 || ::fstat(parent.get(), &up) != 0) return UniqueFd();
  // Where another file system begins the hierarchy ends; a removed folder is its own parent.
  return up.st_dev == own.st_dev && up.st_ino != own.st_ino ? std::move(parent) : UniqueFd();
}

std::string lockdown_mode() {
  const auto text = read_file("/sys/kernel/security/lockdown");
  if (!text) return {};
  const auto begin = text->find('['), end = text->find(']');
  return begin != std::string::npos && end != std::string::npos ? text->substr(begin + 1, end - begin - 1) : std::string();
}

Process gather_process() {
  constexpr int kNetAdmin = 12, kSysAdmin = 21, kPerfmon = 38, kBpf = 39;
  Process process;
  process.has_sys_admin = has_capability(kSysAdmin);
  // Since tokens came (6.9) bpf(2) takes CAP_SYS_ADMIN for CAP_NET_ADMIN too.
  const auto token = process.has_sys_admin ? create_token(-1) : Result<UniqueFd>(fail(Code::kUnsupported, ""));
  process.has_net_admin = has_capability(kNetAdmin) || (!token && token.error().sys_errno == EBADF);
  process.has_bpf = process.has_sys_admin || has_capability(kBpf);
  process.has_perfmon = process.has_sys_admin || has_capability(kPerfmon);
  process.sys_admin_stands_in = process.has_sys_admin && !(has_capability(kBpf) && has_capability(kPerfmon));
  process.initial_user_namespace = in_initial_user_namespace();
  const std::string seccomp = status_field("Seccomp");
  process.seccomp = !seccomp.empty() && seccomp != "0";
  if (const auto label = read_file("/proc/thread-self/attr/current"); label && !label->starts_with("unconfined"))
    process.security_module = label->substr(0, label->find_first_of(std::string_view("\n\0", 2)));
  process.lockdown = lockdown_mode();
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0) process.open_files_limit = limit.rlim_cur;
  return process;
}

OpenEvidence gather_open_evidence(const std::string& path) {
  OpenEvidence evidence;
  evidence.path = path;
  evidence.process = gather_process();
  std::error_code error;
  std::filesystem::path parent = std::filesystem::path(path).parent_path();
  while (parent.has_relative_path() && !std::filesystem::is_directory(parent, error)) parent = parent.parent_path();
  evidence.parent = parent.string();
  for (std::filesystem::directory_iterator it(parent, error), end; !error && it != end; it.increment(error))
    if (it->is_directory(error)) evidence.siblings.push_back(it->path().filename().string());
  std::ranges::sort(evidence.siblings);
  return evidence;
}

Evidence gather_evidence(const DirFd& cgroup, const std::string& path, uint32_t attach_type, const AttachAttempt& attempt) {
  Evidence evidence;
  evidence.cgroup_path = path;
  evidence.target_is_cgroup2 = is_cgroup2(cgroup.get());
  evidence.cgroup2_mount = find_cgroup2_mount();
  struct stat st{};
  evidence.target_removed = ::fstat(cgroup.get(), &st) == 0 && st.st_nlink == 0;
  evidence.process = gather_process();
  evidence.flags = attempt.flags;
  look_at_program(evidence, attach_type, attempt);
  if (!evidence.target_is_cgroup2) return evidence;
  evidence.foreign = find_foreign(cgroup, path, attach_type, attempt.clock);
  const auto own = query_cgroup(cgroup.get(), attach_type, QueryScope::kOwn);
  // Another refusal (EPERM, ENOENT) says nothing of the hook.
  evidence.hook_known = own.has_value() || own.error().sys_errno != EINVAL;
  if (!own) return evidence;
  const auto attached = [&](uint32_t id) { return std::ranges::find(own->ids, id) != own->ids.end(); };
  evidence.neighbour_missing = attempt.relative_id != 0 && !attached(attempt.relative_id);
  if (attempt.program_fd >= 0)
    if (const auto info = program_details(attempt.program_fd)) evidence.attached_already = attached(info->id);
  evidence.attached = names_of(own->ids);
  return evidence;
}

UpdateEvidence gather_update_evidence(int link_fd, int program_fd, std::optional<uint32_t> replaced_program_id) {
  UpdateEvidence evidence;
  evidence.process = gather_process();
  bpf_link_info raw{};
  uint32_t size = sizeof raw;
  if (bpf_link_get_info_by_fd(link_fd, &raw, &size) == 0) {
    evidence.link_dead = raw.type == BPF_LINK_TYPE_CGROUP && raw.cgroup.cgroup_id == 0;
    evidence.found = raw.prog_id;
    if (const UniqueFd held(bpf_prog_get_fd_by_id(raw.prog_id)); held.valid())
      if (const auto info = program_details(held.get())) evidence.link_type = program_type_name(info->type);
    // Without CAP_SYS_ADMIN the hook still tells what type the link's program must be of.
    if (evidence.link_type.empty() && raw.type == BPF_LINK_TYPE_CGROUP)
      if (const auto type = program_type_for(raw.cgroup.attach_type)) evidence.link_type = program_type_name(*type);
  }
  if (const auto info = program_details(program_fd)) evidence.program_type = program_type_name(info->type);
  evidence.replaces = replaced_program_id.has_value();
  evidence.wanted = replaced_program_id.value_or(0);
  return evidence;
}

LoadEvidence gather_load_evidence(const LoadAttempt& attempt) {
  LoadEvidence evidence;
  evidence.process = gather_process();
  evidence.instructions = attempt.instructions;
  evidence.log_bytes = attempt.log_bytes;
  evidence.log_needed = attempt.log_needed;
  const bool tracing = attempt.program_type == BPF_PROG_TYPE_TRACING;
  const bool other_tracing = attempt.program_type == BPF_PROG_TYPE_LSM || attempt.program_type == BPF_PROG_TYPE_RAW_TRACEPOINT ||
                             attempt.program_type == BPF_PROG_TYPE_TRACEPOINT || attempt.program_type == BPF_PROG_TYPE_KPROBE;
  evidence.needs_perfmon = tracing || other_tracing;
  // cgroup_skb loads with CAP_BPF alone (measured).
  evidence.needs_net_admin =
      !evidence.needs_perfmon && attempt.program_type != BPF_PROG_TYPE_CGROUP_SKB && attempt.program_type != BPF_PROG_TYPE_SYSCALL;
  evidence.needs_trampoline = attempt.program_type == BPF_PROG_TYPE_LSM ||
                              (tracing && (attempt.attach_type == BPF_TRACE_FENTRY || attempt.attach_type == BPF_TRACE_FEXIT ||
                                           attempt.attach_type == BPF_MODIFY_RETURN));
  if (!evidence.needs_trampoline) return evidence;
  if (const auto types = find_kernel_types({{BtfKind::kTypedef, "btf_trace_sched_process_exit"}}); types && types->ids[0] != 0)
    evidence.tp_btf_loads = try_program({.type = BPF_PROG_TYPE_TRACING, .attach_type = BPF_TRACE_RAW_TP, .btf_id = types->ids[0]}).err == 0;
  return evidence;
}

MapEvidence gather_map_evidence(uint32_t type, uint32_t key_bytes, uint32_t value_bytes, uint32_t max_entries, uint32_t flags) {
  MapEvidence evidence{type, key_bytes, value_bytes, max_entries, flags, map_type_name(type)};
  // Unknown types are refused before rights are looked at; anything else is known.
  evidence.type_known = libbpf_bpf_map_type_str(static_cast<bpf_map_type>(type)) != nullptr;
  if (evidence.type_known && has_capability(39))
    evidence.type_known = libbpf_probe_bpf_map_type(static_cast<bpf_map_type>(type), nullptr) != 0;
  evidence.page_bytes = static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
  evidence.process = gather_process();
  return evidence;
}

MapUse gather_map_use(int map_fd) {
  MapUse use;
  use.process = gather_process();
  const auto info = map_details(map_fd);
  if (!info) return use;
  use.name = info->name;
  use.max_entries = info->max_entries;
  use.is_array = info->type == BPF_MAP_TYPE_ARRAY || info->type == BPF_MAP_TYPE_PERCPU_ARRAY;
  if (const auto text = read_file(fmt::format("/proc/thread-self/fdinfo/{}", map_fd)))
    use.read_only = text->find("frozen:\t1") != std::string::npos || (info->flags & BPF_F_RDONLY) != 0;
  use.entries = use.is_array ? use.max_entries : count_keys(map_fd, info->key_bytes, info->max_entries);
  return use;
}

PinEvidence gather_pin_evidence(const std::string& path) {
  PinEvidence evidence;
  evidence.path = path;
  evidence.process = gather_process();
  const auto slash = path.rfind('/');
  evidence.parent = slash == std::string::npos || slash == 0 ? "/" : path.substr(0, slash);
  struct stat st{};
  evidence.exists = ::lstat(path.c_str(), &st) == 0;
  evidence.parent_exists = ::stat(evidence.parent.c_str(), &st) == 0;
  evidence.parent_is_folder = evidence.parent_exists && S_ISDIR(st.st_mode);
  evidence.owner = describe_owner(evidence.exists ? path : evidence.parent);
  struct statfs fs{};
  if (::statfs(evidence.exists ? path.c_str() : evidence.parent.c_str(), &fs) == 0)
    evidence.on_bpffs = static_cast<unsigned long>(fs.f_type) == BPF_FS_MAGIC;
  struct statvfs vfs{};
  evidence.read_only_mount = ::statvfs(evidence.parent.c_str(), &vfs) == 0 && (vfs.f_flag & ST_RDONLY) != 0;
  return evidence;
}

TraceEvidence gather_trace_evidence(TraceKind kind, const std::string& tracepoint, bool has_order) {
  TraceEvidence evidence;
  evidence.classic = kind == TraceKind::kClassic;
  evidence.iterator = kind == TraceKind::kIterator;
  evidence.has_order = has_order;
  evidence.process = gather_process();
  evidence.tracefs_mounted = false;
  for (const char* root : {"/sys/kernel/tracing", "/sys/kernel/debug/tracing"})
    if (::access(fmt::format("{}/events", root).c_str(), F_OK) == 0) {
      evidence.tracefs_mounted = true;
      evidence.tracepoint_exists = ::access(fmt::format("{}/events/{}", root, tracepoint).c_str(), F_OK) == 0;
      break;
    }
  return evidence;
}

}  // namespace pintle::bpf
