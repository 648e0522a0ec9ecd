// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "volumes/fs_volume_mounter.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <algorithm>
#include <cerrno>
#include <memory>

#include <fmt/format.h>

#include "volumes/file_tree.h"
#include "volumes/pod_paths.h"

namespace pintle::volumes {
namespace {

constexpr size_t kMessageLimit = 4096;      // row 6.16
constexpr size_t kLogFallbackLimit = 2048;  // row 6.16
constexpr size_t kLogFallbackLines = 80;

Result<std::string> empty_dir(const PodPaths& paths, const model::Volume& volume, const model::EmptyDirVolume& source,
                              const std::optional<int64_t>& group) {
  if (!source.medium.empty() && source.medium != "Memory")
    return fail(Code::kUnsupported,
                fmt::format("volume '{}': emptyDir medium '{}' is not supported (use \"\" or Memory)", volume.name, source.medium));
  const std::string path = paths.volume("empty-dir", volume.name);
  PINTLE_TRY(make_directories(path, 0750));
  if (source.medium == "Memory") {
    PINTLE_ASSIGN_OR_RETURN(const bool mounted, is_mount_point(path));
    if (!mounted)
      PINTLE_TRY(mount_tmpfs(path, source.size_limit ? fmt::format("mode=0777,size={}", source.size_limit->value()) : "mode=0777"));
  }
  const unsigned mode = group ? 02777 : 0777;
  const std::string marker = paths.marker_folder(volume.name) + "/ready";
  if (::access(marker.c_str(), F_OK) == 0) return path;
  if (::chmod(path.c_str(), mode) != 0) return fail_errno(errno, fmt::format("chmod '{}'", path));
  if (group && ::chown(path.c_str(), static_cast<uid_t>(-1), static_cast<gid_t>(*group)) != 0)
    return fail_errno(errno, fmt::format("chown '{}'", path));
  PINTLE_TRY(make_directories(paths.marker_folder(volume.name), 0750));
  PINTLE_TRY(write_file_atomic(marker, "", 0644, Durability::kCached));
  return path;
}

// Row 14.8.
Result<std::string> host_path(const model::HostPathVolume& source) {
  struct stat info{};
  const bool exists = ::stat(source.path.c_str(), &info) == 0;
  const auto mismatch = [&](std::string_view wanted) {
    return fail(Code::kInvalid, fmt::format("hostPath type check failed: {} is not a {}", source.path, wanted));
  };
  if (source.type.empty()) return source.path;
  if (source.type == "DirectoryOrCreate") {
    if (!exists)
      PINTLE_TRY(make_directories(source.path, 0755));
    else if (!S_ISDIR(info.st_mode))
      return mismatch("directory");
    return source.path;
  }
  if (source.type == "FileOrCreate") {
    if (!exists)
      PINTLE_TRY(write_file_atomic(source.path, "", 0644));
    else if (!S_ISREG(info.st_mode))
      return mismatch("file");
    return source.path;
  }
  static constexpr struct {
    std::string_view type, word;
    mode_t kind;
  } kTypes[] = {{"Directory", "directory", S_IFDIR},
                {"File", "file", S_IFREG},
                {"Socket", "socket", S_IFSOCK},
                {"CharDevice", "character device", S_IFCHR},
                {"BlockDevice", "block device", S_IFBLK}};
  for (const auto& known : kTypes) {
    if (known.type != source.type) continue;
    if (!exists || (info.st_mode & S_IFMT) != known.kind) return mismatch(known.word);
    return source.path;
  }
  return fail(
      Code::kInvalid,
      fmt::format("hostPath type '{}' is unknown (Directory, DirectoryOrCreate, File, FileOrCreate, Socket, CharDevice, BlockDevice)",
                  source.type));
}

bool always_read_only(const model::Volume& volume) {  // row 14.11
  return !std::holds_alternative<model::EmptyDirVolume>(volume.source) && !std::holds_alternative<model::HostPathVolume>(volume.source);
}

// $(VAR) from the container's environment; an unknown one is an error here, unlike in command lines.
Result<std::string> expand(const std::string& text, const std::vector<std::pair<std::string, std::string>>& envs) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    const size_t end = text.compare(i, 2, "$(") == 0 ? text.find(')', i) : std::string::npos;
    if (end == std::string::npos) {
      out += text[i];
      continue;
    }
    const std::string name = text.substr(i + 2, end - i - 2);
    const auto found = std::ranges::find(envs, name, &std::pair<std::string, std::string>::first);
    if (found == envs.end())
      return fail(Code::kInvalid, fmt::format("subPathExpr '{}' uses ${{{}}}, which the container's env does not set", text, name));
    out += found->second;
    i = end;
  }
  return out;
}

std::string tail_of_log(const std::string& path) {
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat info{};
  if (!fd.valid() || ::fstat(fd.get(), &info) != 0) return "";
  constexpr off_t kWindow = 64 * 1024;  // 80 lines of 2048 bytes at most, with the format's own overhead
  std::string text(static_cast<size_t>(std::min<off_t>(info.st_size, kWindow)), '\0');
  const ssize_t n = ::pread(fd.get(), text.data(), text.size(), std::max<off_t>(0, info.st_size - kWindow));
  if (n < 0) return "";
  text.resize(static_cast<size_t>(n));
  std::string out;
  size_t lines = 0;
  for (size_t end = text.size(); end > 0 && lines < kLogFallbackLines;) {
    size_t start = text.rfind('\n', end - (text[end - 1] == '\n' ? 2 : 1));
    start = start == std::string::npos ? 0 : start + 1;
    std::string_view line(text.data() + start, end - start);
    for (int field = 0; field < 3; ++field)
      line.remove_prefix(std::min(line.find(' ') == std::string_view::npos ? line.size() : line.find(' ') + 1, line.size()));
    if (out.size() + line.size() > kLogFallbackLimit) break;
    out.insert(0, line);
    end = start;
    ++lines;
    if (start == 0) break;
  }
  return out;
}

}  // namespace

FsVolumeMounter::FsVolumeMounter(std::string root, ports::ObjectReader& objects, const Clock& clock)
    : root_(std::move(root)), objects_(objects), clock_(clock), tokens_(objects, clock) {}

Result<std::string> FsVolumeMounter::mount_volume(const model::Pod& pod, const model::Volume& volume, const ports::VolumeContext& context,
                                                  const std::stop_token& stop, std::string& kept) {
  const PodPaths paths(root_, pod.metadata.uid);
  const auto& group = pod.spec.security_context.fs_group;
  if (const auto* source = std::get_if<model::EmptyDirVolume>(&volume.source)) return empty_dir(paths, volume, *source, group);
  if (const auto* source = std::get_if<model::HostPathVolume>(&volume.source)) return host_path(*source);
  if (const auto* source = std::get_if<model::UnsupportedVolume>(&volume.source))
    return fail(Code::kUnsupported, fmt::format("volume kind '{}' is not supported yet", source->kind));

  const model::FieldContext fields{context.node_name, context.host_ips, context.pod_ips, context.allocatable};
  const PayloadContext payload_context{pod, fields, objects_, tokens_, stop};
  Result<Payload> payload;
  std::string plugin;
  if (const auto* map = std::get_if<model::ConfigMapVolume>(&volume.source)) {
    plugin = "configmap";
    payload = build(*map, payload_context);
  } else if (const auto* secret = std::get_if<model::SecretVolume>(&volume.source)) {
    plugin = "secret";
    payload = build(*secret, payload_context);
  } else if (const auto* downward = std::get_if<model::DownwardApiVolume>(&volume.source)) {
    plugin = "downward-api";
    payload = build(*downward, payload_context);
  } else {
    plugin = "projected";
    payload = build(std::get<model::ProjectedVolume>(volume.source), payload_context);
  }
  const std::string path = paths.volume(plugin, volume.name);
  // Filled by an earlier run of the agent: the pod has it, and goes on with it, unless the API has answered.
  if (!payload && payload.error().code == Code::kUnavailable && !ports::is_refused(payload.error()) &&
      ::access((path + "/..data").c_str(), F_OK) == 0) {
    kept = with_context(std::move(payload).error(), fmt::format("volume '{}'", volume.name)).message();
    return path;
  }
  PINTLE_TRY(payload);
  if (group)
    for (auto& [name, file] : *payload) file.mode |= (file.mode & 0400) >> 3;  // row 14.11: fsGroup may read
  PINTLE_TRY(make_directories(path, 0755));
  if (plugin != "configmap") {  // row 14.10: never on disk
    PINTLE_ASSIGN_OR_RETURN(const bool mounted, is_mount_point(path));
    if (!mounted) PINTLE_TRY(mount_tmpfs(path, "mode=0755"));
  }
  PINTLE_TRY(write_payload(path, *payload, group, clock_.now()));
  return path;
}

Result<ports::PreparedVolumes> FsVolumeMounter::mount(const model::Pod& pod, const ports::VolumeContext& context, std::stop_token stop) {
  PINTLE_TRY(make_directories(root_ + "/pods", 0750));
  PINTLE_TRY(make_directories(PodPaths(root_, pod.metadata.uid).containers(), 0750));
  ports::PreparedVolumes prepared;
  for (const auto& volume : pod.spec.volumes) {
    auto path = mount_volume(pod, volume, context, stop, prepared.kept);
    if (!path) return std::unexpected(with_context(path.error(), fmt::format("volume '{}'", volume.name)));
    prepared.host_paths[volume.name] = *std::move(path);
  }
  return prepared;
}

Result<std::vector<model::Mount>> FsVolumeMounter::container_mounts(const model::Pod& pod, const model::Container& container,
                                                                    uint32_t attempt, const ports::VolumeContext& context,
                                                                    const ports::PreparedVolumes& volumes,
                                                                    const std::vector<std::pair<std::string, std::string>>& envs) {
  const PodPaths paths(root_, pod.metadata.uid);
  std::vector<model::Mount> mounts;
  bool own_hosts = false;
  for (size_t index = 0; index < container.volume_mounts.size(); ++index) {
    const auto& wanted = container.volume_mounts[index];
    const auto volume = std::ranges::find(pod.spec.volumes, wanted.name, &model::Volume::name);
    const auto source = volumes.host_paths.find(wanted.name);
    if (volume == pod.spec.volumes.end() || source == volumes.host_paths.end())
      return fail(Code::kInvalid,
                  fmt::format("volumeMount '{}' of container '{}' names no volume of the pod", wanted.name, container.name));
    own_hosts = own_hosts || wanted.mount_path == "/etc/hosts";
    std::string host = source->second;
    std::string sub_path = wanted.sub_path;
    if (!wanted.sub_path_expr.empty()) {
      PINTLE_ASSIGN_OR_RETURN(sub_path, expand(wanted.sub_path_expr, envs));
    }
    if (!sub_path.empty()) {
      PINTLE_ASSIGN_OR_RETURN(const UniqueFd target, open_beneath(host, sub_path, 0750));
      struct stat info{};
      if (::fstat(target.get(), &info) != 0) return fail_errno(errno, fmt::format("stat subPath '{}'", sub_path));
      host = paths.sub_path(wanted.name, container.name, index);
      PINTLE_TRY(unmount_and_remove(host));
      if (S_ISDIR(info.st_mode)) {
        PINTLE_TRY(make_directories(host, 0750));
      } else {
        PINTLE_TRY(make_directories(host.substr(0, host.rfind('/')), 0750));
        PINTLE_TRY(write_file_atomic(host, "", 0640, Durability::kCached));
      }
      PINTLE_TRY(bind_mount(fmt::format("/proc/self/fd/{}", target.get()), host));
    }
    mounts.push_back({wanted.mount_path, host, wanted.read_only || always_read_only(*volume), wanted.propagation});
  }
  if (!own_hosts && !context.hosts_file.empty()) {
    PINTLE_TRY(write_file_atomic(paths.hosts(), context.hosts_file, 0644, Durability::kCached));
    mounts.push_back({"/etc/hosts", paths.hosts(), false, {}});
  }
  if (!container.termination_message_path.empty()) {
    const std::string message = paths.message(container.name, attempt);
    PINTLE_TRY(make_directories(message.substr(0, message.rfind('/')), 0750));
    PINTLE_TRY(write_file_atomic(message, "", 0666, Durability::kCached));  // any user of the container may write it (row 34.13)
    mounts.push_back({container.termination_message_path, message, false, {}});
  }
  return mounts;
}

std::string FsVolumeMounter::termination_message(const model::Pod& pod, const model::Container& container,
                                                 const model::ObservedContainer& dead) {
  const size_t shared = 12288 / std::max<size_t>(1, pod.spec.containers.size() + pod.spec.init_containers.size());  // row 6.16
  const size_t limit = std::min(kMessageLimit, shared);
  std::string text;
  if (auto file = read_file(PodPaths(root_, pod.metadata.uid).message(container.name, dead.attempt)))
    text = std::move(*file).substr(0, limit);
  if (text.empty() && container.termination_message_policy == model::MessagePolicy::kFallbackToLogsOnError && dead.exit_code != 0)
    text = tail_of_log(dead.log_path).substr(0, limit);
  return text;
}

Status FsVolumeMounter::unmount(const PodUid& uid) {
  tokens_.forget(uid.value());
  return unmount_and_empty(PodPaths(root_, uid.value()).pod());
}

Status FsVolumeMounter::remove_folder(const PodUid& uid) {
  const std::string folder = PodPaths(root_, uid.value()).pod();
  if (::rmdir(folder.c_str()) == 0) return {};
  return unmount_and_remove(folder);
}

Result<std::vector<PodUid>> FsVolumeMounter::list_pods() {
  const std::string folder = root_ + "/pods";
  const std::unique_ptr<DIR, int (*)(DIR*)> dir(::opendir(folder.c_str()), ::closedir);
  if (!dir) {
    if (errno == ENOENT) return std::vector<PodUid>{};
    return fail_errno(errno, fmt::format("read directory '{}'", folder));
  }
  std::vector<PodUid> uids;
  for (const dirent* entry = ::readdir(dir.get()); entry != nullptr; entry = ::readdir(dir.get()))
    if (entry->d_name[0] != '.') uids.emplace_back(std::string(entry->d_name));
  return uids;
}

}  // namespace pintle::volumes
