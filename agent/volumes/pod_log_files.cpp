// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "volumes/pod_log_files.h"

#include <dirent.h>
#include <unistd.h>
#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <functional>
#include <memory>
#include <optional>

#include <fmt/format.h>

#include "volumes/file_tree.h"

namespace pintle::volumes {
namespace {

constexpr std::string_view kSuffix = ".log";
constexpr size_t kLongestName = 255;

Status check_part(std::string_view what, std::string_view name) {
  if (!name.empty() && name != "." && name != ".." && name.find('/') == std::string_view::npos) return {};
  return fail(Code::kInvalid, fmt::format("{} '{}' can't be part of a log's path", what, name));
}

// Calls `each` with every name in `folder` until it fails. Absent is success.
Status for_each_name(const std::string& folder, const std::function<Status(std::string_view)>& each) {
  const std::unique_ptr<DIR, int (*)(DIR*)> dir(::opendir(folder.c_str()), ::closedir);
  if (!dir) return errno == ENOENT ? Status{} : fail_errno(errno, fmt::format("read directory '{}'", folder));
  for (const dirent* entry = ::readdir(dir.get()); entry != nullptr; entry = ::readdir(dir.get()))
    if (entry->d_name[0] != '.') PINTLE_TRY(each(entry->d_name));
  return {};
}

Status delete_file(const std::string& path) {
  if (::unlink(path.c_str()) == 0 || errno == ENOENT) return {};
  return fail_errno(errno, fmt::format("delete '{}'", path));
}

// Where a link leads; nullopt: there is none, or it is no link.
std::optional<std::string> target_of(const std::string& link) {
  std::array<char, PATH_MAX> text{};
  const ssize_t size = ::readlink(link.c_str(), text.data(), text.size());
  if (size < 0) return std::nullopt;
  return std::string(text.data(), static_cast<size_t>(size));
}

bool leads_into(const std::string& link, const std::string& folder) {
  const auto target = target_of(link);
  return target && target->starts_with(folder + "/");
}

// "web_default_main-0123": cut where a link's name is.
std::string cut(std::string name) {
  name.resize(std::min(name.size(), kLongestName - kSuffix.size()));
  return name;
}

// A folder's name. Neither a namespace nor a pod's name has an underscore in it.
std::optional<ports::LogOwner> split(std::string_view name) {
  const size_t first = name.find('_'), second = first == std::string_view::npos ? first : name.find('_', first + 1);
  if (second == std::string_view::npos) return std::nullopt;
  return ports::LogOwner{std::string(name.substr(0, first)), std::string(name.substr(first + 1, second - first - 1)),
                         std::string(name.substr(second + 1))};
}

ports::LogOwner owner_of(const ports::LogTarget& log) { return {log.namespace_, log.pod, log.uid}; }

}  // namespace

std::string log_link_name(const ports::LogTarget& log, std::string_view id) {
  return cut(fmt::format("{}_{}_{}-{}", log.pod, log.namespace_, log.container, id)).append(kSuffix);
}

Result<std::string> PodLogFiles::folder_of(const ports::LogOwner& pod) const {
  PINTLE_TRY(check_part("namespace", pod.namespace_));
  PINTLE_TRY(check_part("pod", pod.pod));
  PINTLE_TRY(check_part("UID", pod.uid));
  return fmt::format("{}/{}_{}_{}", pod_logs_, pod.namespace_, pod.pod, pod.uid);
}

Status PodLogFiles::link(const ports::LogTarget& log, const ContainerId& id) {
  if (container_logs_.empty()) return {};
  PINTLE_ASSIGN_OR_RETURN(const std::string folder, folder_of(owner_of(log)));
  PINTLE_TRY(check_part("container", log.container));
  PINTLE_TRY(check_part("container id", id.value()));
  const std::string target = fmt::format("{}/{}/{}.log", folder, log.container, log.attempt);
  if (::access(target.c_str(), F_OK) != 0) return {};
  const std::string link = fmt::format("{}/{}", container_logs_, log_link_name(log, id.value()));
  if (::symlink(target.c_str(), link.c_str()) == 0) return {};
  int error = errno;
  if (error == ENOENT) {
    PINTLE_TRY(make_directories(container_logs_, 0755));
  } else if (error == EEXIST) {
    const auto there = target_of(link);
    if (there == target) return {};
    // A name that was cut: an earlier instance's, or that of another pod whose name begins alike.
    if (!leads_into(link, folder))
      return fail(Code::kAlreadyExists, fmt::format("link '{}' to the log: something else is there, and is left alone", link));
    PINTLE_TRY(delete_file(link));
  } else {
    return fail_errno(error, fmt::format("link '{}' to '{}'", link, target));
  }
  if (::symlink(target.c_str(), link.c_str()) == 0) return {};
  error = errno;
  return fail_errno(error, fmt::format("link '{}' to '{}'", link, target));
}

Status PodLogFiles::remove_container(const ports::LogTarget& log, const ContainerId& id) {
  PINTLE_ASSIGN_OR_RETURN(const std::string folder, folder_of(owner_of(log)));
  PINTLE_TRY(check_part("container", log.container));
  PINTLE_TRY(check_part("container id", id.value()));
  const std::string file = fmt::format("{}.log", log.attempt);
  if (!container_logs_.empty()) {
    const std::string link = fmt::format("{}/{}", container_logs_, log_link_name(log, id.value()));
    // The name alone may be that of a newer instance.
    if (target_of(link) == fmt::format("{}/{}/{}", folder, log.container, file)) PINTLE_TRY(delete_file(link));
  }
  const std::string logs = fmt::format("{}/{}", folder, log.container);
  return for_each_name(logs, [&](std::string_view name) -> Status {
    return name == file || name.starts_with(file + ".") ? delete_file(fmt::format("{}/{}", logs, name)) : Status{};
  });
}

Result<std::string> PodLogFiles::find_folder(const std::string& uid) const {
  PINTLE_TRY(check_part("UID", uid));
  std::string found;
  PINTLE_TRY(for_each_name(pod_logs_, [&](std::string_view name) -> Status {
    if (const auto parts = split(name); parts && parts->uid == uid) found = fmt::format("{}/{}", pod_logs_, name);
    return {};
  }));
  return found;
}

// By what they lead to, so that links of containers that the runtime has lost go as well; the name only spares looking at the others'.
Status PodLogFiles::remove_links(const std::string& folder) const {
  if (container_logs_.empty()) return {};
  const auto name = split(std::string_view(folder).substr(folder.rfind('/') + 1));
  if (!name) return {};
  const std::string prefix = cut(fmt::format("{}_{}_", name->pod, name->namespace_));
  return for_each_name(container_logs_, [&](std::string_view candidate) -> Status {
    const std::string link = fmt::format("{}/{}", container_logs_, candidate);
    return candidate.starts_with(prefix) && leads_into(link, folder) ? delete_file(link) : Status{};
  });
}

Status PodLogFiles::remove_pod(const ports::LogOwner& pod) {
  std::string folder;
  if (pod.namespace_.empty()) {
    PINTLE_ASSIGN_OR_RETURN(folder, find_folder(pod.uid));
    if (folder.empty()) return {};
  } else {
    PINTLE_ASSIGN_OR_RETURN(folder, folder_of(pod));
  }
  // The folder last: of a pod without a name it is what tells the links'.
  PINTLE_TRY(remove_links(folder));
  return remove_tree(folder);
}

}  // namespace pintle::volumes
