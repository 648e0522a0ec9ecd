// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "cgroup/cgroup_fs_tree.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <filesystem>
#include <set>

#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include "cgroup/values.h"

namespace pintle::cgroup {
namespace {

namespace fs = std::filesystem;
constexpr model::QosClass kClasses[] = {model::QosClass::kGuaranteed, model::QosClass::kBurstable, model::QosClass::kBestEffort};
constexpr int kKillTries = 5;  // row 15.16

std::string tidy(std::string root) {
  while (!root.empty() && root.back() == '/') root.pop_back();
  if (!root.empty() && root.front() != '/') root.insert(0, "/");
  return root;
}

Status write_control(const std::string& path, std::string_view file, const std::string& content) {
  PINTLE_ASSIGN_OR_RETURN(const DirFd dir, DirFd::open(path));
  if (auto written = write_file_at(dir, std::string(file), content); !written)
    return std::unexpected(with_context(written.error(), fmt::format("set {} of '{}' to '{}'", file, path, content)));
  return {};
}

// What is available and not yet handed down, one controller at a time: one that can't be enabled must not cost the others.
void enable_controllers(const std::string& path) {
  const auto available = read_file(path + "/cgroup.controllers");
  const auto enabled = read_file(path + "/cgroup.subtree_control");
  if (!available || !enabled) return;
  for (const char* name : {"cpu", "cpuset", "memory", "pids", "io", "hugetlb"}) {  // row 15.18
    const auto has = [&](const std::string& list) { return (" " + list + " ").find(fmt::format(" {} ", name)) != std::string::npos; };
    auto spaced = [](std::string text) {
      std::ranges::replace(text, '\n', ' ');
      return text;
    };
    if (!has(spaced(*available)) || has(spaced(*enabled))) continue;
    (void)write_control(path, "cgroup.subtree_control", fmt::format("+{}", name));  // ignoring: the limit's own write says what is missing
  }
}

// Directories at and below `path`, deepest last.
std::vector<std::string> tree(const std::string& path) {
  std::vector<std::string> found{path};
  std::error_code error;
  for (fs::recursive_directory_iterator it(path, error), end; !error && it != end; it.increment(error))
    if (it->is_directory(error)) found.push_back(it->path().string());
  return found;
}

void collect_pids(const std::string& path, std::set<int>& pids) {
  for (const auto& folder : tree(path)) {
    const auto procs = read_file(folder + "/cgroup.procs");
    if (!procs) continue;
    const char* at = procs->data();
    const char* const end = at + procs->size();
    while (at < end) {
      int pid = 0;
      const auto [next, error] = std::from_chars(at, end, pid);
      if (error == std::errc{} && pid > 0) pids.insert(pid);
      at = std::find(next, end, '\n') + 1;
    }
  }
}

void kill_all(const std::string& path) {
  if (write_control(path, "cgroup.kill", "1")) return;  // v2, kernel 5.14
  std::set<int> pids;
  collect_pids(path, pids);
  for (const int pid : pids) (void)::kill(pid, SIGKILL);  // one that is gone already is as good
}

Status remove_tree(const std::string& path) {
  auto folders = tree(path);
  std::ranges::sort(folders, std::greater{}, &std::string::size);
  for (const auto& folder : folders)
    if (::rmdir(folder.c_str()) != 0 && errno != ENOENT) return fail_errno(errno, fmt::format("remove cgroup '{}'", folder));
  return {};
}

}  // namespace

CgroupFsTree::CgroupFsTree(Layout layout, std::string root) : layout_(std::move(layout)), root_(tidy(std::move(root))) {}

std::vector<std::string> CgroupFsTree::mounts() const {
  std::vector<std::string> all;
  if (!layout_.v2.empty()) all.push_back(layout_.v2);
  all.insert(all.end(), layout_.v1_mounts.begin(), layout_.v1_mounts.end());
  return all;
}

// A v1 cpuset without cpus or mems takes no process; the kernel does not hand them down by itself.
void CgroupFsTree::inherit_cpuset(const std::string& mount, const std::string& path) {
  const auto cpuset = layout_.v1.find("cpuset");
  if (cpuset == layout_.v1.end() || cpuset->second != mount) return;
  const std::string parent = path.substr(0, path.rfind('/'));
  for (const char* file : {"cpuset.cpus", "cpuset.mems"}) {
    const auto own = read_file(path + "/" + file);
    if (!own || own->find_first_not_of(" \n") != std::string::npos) continue;
    if (const auto inherited = read_file(parent + "/" + file)) (void)write_control(path, file, *inherited);  // ignoring: runc does it again
  }
}

Status CgroupFsTree::make(const std::string& mount, const std::string& path) {
  const bool with_controllers = mount == layout_.v2 && layout_.unified();
  if (with_controllers) enable_controllers(mount);
  for (size_t slash = path.find('/', 1);; slash = path.find('/', slash + 1)) {
    const std::string part = mount + path.substr(0, slash);
    if (::mkdir(part.c_str(), 0755) != 0 && errno != EEXIST) return fail_errno(errno, fmt::format("make cgroup '{}'", part));
    if (with_controllers) enable_controllers(part);
    inherit_cpuset(mount, part);
    if (slash == std::string::npos) return {};
  }
}

Status CgroupFsTree::limit(const std::string& path, const ports::CgroupLimits& limits) {
  if (layout_.unified()) {
    for (const auto& file : v2_files(limits)) PINTLE_TRY(write_control(layout_.v2 + path, file.file, file.content));
    return {};
  }
  for (const auto& file : v1_files(limits)) {
    const auto mount = layout_.v1.find(std::string(file.controller));
    if (mount == layout_.v1.end()) continue;  // the host has no such controller: nothing could enforce it
    PINTLE_TRY(write_control(mount->second + path, file.file, file.content));
  }
  return {};
}

Status CgroupFsTree::ensure_root(const ports::CgroupLimits& kubepods) {
  for (const auto qos : kClasses)
    for (const auto& mount : mounts()) PINTLE_TRY(make(mount, root_ + "/" + class_path(qos)));
  PINTLE_TRY(limit(root_ + "/kubepods", kubepods));
  return limit(root_ + "/" + class_path(model::QosClass::kBestEffort), {.cpu_shares = 2});  // row 15.4
}

Status CgroupFsTree::limit_class(model::QosClass qos, const ports::CgroupLimits& limits) {
  if (qos == model::QosClass::kGuaranteed) return fail(Code::kInvalid, "guaranteed pods have no cgroup of their class");
  return limit(root_ + "/" + class_path(qos), limits);
}

Result<ports::PodCgroup> CgroupFsTree::ensure_pod(const PodUid& uid, model::QosClass qos, const ports::CgroupLimits& limits) {
  const std::string path = fmt::format("{}/{}/pod{}", root_, class_path(qos), uid.value());
  for (const auto& mount : mounts()) PINTLE_TRY(make(mount, path));
  PINTLE_TRY(limit(path, limits));
  ports::PodCgroup cgroup;
  cgroup.runtime_parent = path;
  if (layout_.v2.empty()) {
    cgroup.path = layout_.v1_mounts.front() + path;
    return cgroup;
  }
  cgroup.path = layout_.v2 + path;
  PINTLE_ASSIGN_OR_RETURN(DirFd dir, DirFd::open(cgroup.path));
  struct stat info{};
  if (::fstat(dir.get(), &info) != 0) return fail_errno(errno, fmt::format("stat '{}'", cgroup.path));
  cgroup.id = CgroupId(info.st_ino);
  cgroup.dir = std::make_shared<DirFd>(std::move(dir));
  return cgroup;
}

std::vector<std::string> CgroupFsTree::find_pod(const PodUid& uid) const {
  std::vector<std::string> found;
  for (const auto& mount : mounts())
    for (const auto qos : kClasses) {
      const std::string path = fmt::format("{}{}/{}/pod{}", mount, root_, class_path(qos), uid.value());
      if (::access(path.c_str(), F_OK) == 0) found.push_back(path);
    }
  return found;
}

Status CgroupFsTree::remove_pod(const PodUid& uid) {
  if (uid.empty() || uid.value().find('/') != std::string::npos)
    return fail(Code::kInvalid, fmt::format("'{}' is no pod UID", uid.value()));
  Status last;
  for (int attempt = 0; attempt < kKillTries; ++attempt) {
    last = {};
    for (const auto& path : find_pod(uid))
      if (auto removed = remove_tree(path); !removed) last = removed;
    if (last) return {};
    for (const auto& path : find_pod(uid)) kill_all(path);
    (void)::poll(nullptr, 0, 5 << attempt);  // killed processes leave their cgroup when they have exited
  }
  return last;
}

Result<std::vector<PodUid>> CgroupFsTree::list_pods() {
  std::set<std::string> uids;
  for (const auto& mount : mounts())
    for (const auto qos : kClasses) {
      std::error_code error;
      for (fs::directory_iterator it(mount + root_ + "/" + class_path(qos), error), end; !error && it != end; it.increment(error)) {
        const std::string name = it->path().filename().string();
        if (name.starts_with("pod") && name.size() > 3 && it->is_directory(error)) uids.insert(name.substr(3));
      }
    }
  std::vector<PodUid> pods;
  for (const auto& uid : uids) pods.emplace_back(uid);
  return pods;
}

Result<std::vector<CgroupId>> CgroupFsTree::list_descendants(const PodUid& uid) {
  if (layout_.v2.empty()) return fail(Code::kUnsupported, "this host has no cgroup2 hierarchy");
  std::vector<CgroupId> ids;
  for (const auto& path : find_pod(uid)) {
    if (!path.starts_with(layout_.v2 + "/")) continue;
    for (const auto& folder : tree(path)) {
      struct stat info{};
      if (::stat(folder.c_str(), &info) == 0) ids.emplace_back(info.st_ino);
    }
  }
  return ids;
}

Result<std::vector<int>> CgroupFsTree::list_pids(const PodUid& uid) {
  std::set<int> pids;
  for (const auto& path : find_pod(uid)) collect_pids(path, pids);
  return std::vector<int>(pids.begin(), pids.end());
}

Status CgroupFsTree::remove_root() {
  for (const auto& mount : mounts()) {
    std::vector<std::string> paths;
    for (const char* name : {"/kubepods/burstable", "/kubepods/besteffort", "/kubepods", ""}) paths.push_back(root_ + name);
    for (const auto& path : paths) {
      if (path.empty()) continue;  // never the hierarchy's own root
      if (::rmdir((mount + path).c_str()) != 0 && errno != ENOENT)
        return fail_errno(errno, fmt::format("remove cgroup '{}'", mount + path));
    }
  }
  return {};
}

}  // namespace pintle::cgroup
