// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "cgroup/pod_cgroup_watch.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <sstream>

#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include "cgroup/pod_names.h"

namespace pintle::cgroup {
namespace {

constexpr int kDeepest = 4;  // levels below the top at which a kubepods is looked for
constexpr uint32_t kMask = IN_CREATE | IN_DELETE | IN_DELETE_SELF | IN_ONLYDIR;

std::vector<std::string> folders_of(const std::string& path) {
  std::vector<std::string> names;
  std::error_code error;
  for (std::filesystem::directory_iterator it(path, error), end; !error && it != end; it.increment(error))
    if (std::error_code ignored; it->is_directory(ignored)) names.push_back(it->path().filename().string());
  return names;
}

bool exists(const std::string& path) {
  struct stat st{};
  return ::stat(path.c_str(), &st) == 0;
}

bool is_populated(const Result<std::string>& events) { return events && events->find("populated 1") != std::string::npos; }

// The first cgroup of a hierarchy has this inode, whatever it is mounted as.
bool is_root_of_hierarchy(const std::string& path) {
  struct stat st{};
  return ::stat(path.c_str(), &st) == 0 && st.st_ino == 1;
}

bool holds_kubepods(const std::string& path, int depth) {
  for (const auto& name : folders_of(path))
    if (is_kubepods(name) || (depth < kDeepest && may_hold_kubepods(name) && holds_kubepods(path + "/" + name, depth + 1))) return true;
  return false;
}

// Mount points of cgroup2 in the order of the file: "36 35 98:0 /root /point rw,… - cgroup2 device options".
std::vector<std::string> cgroup2_mounts(const std::string& mountinfo) {
  std::vector<std::string> points;
  std::istringstream lines(mountinfo);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string word, point, type;
    for (int i = 0; i < 5; ++i) words >> point;
    while (words >> word && word != "-") {}
    words >> type;
    if (type == "cgroup2") points.push_back(point);
  }
  return points;
}

}  // namespace

Result<std::string> find_node_tree(const std::string& wanted, const std::string& mountinfo) {
  PINTLE_ASSIGN_OR_RETURN(const std::string text, read_file(mountinfo));
  const auto points = cgroup2_mounts(text);
  if (!wanted.empty()) {
    for (const auto& point : {wanted, wanted + "/unified"})
      if (std::ranges::find(points, point) != points.end()) return point;
    return fail(Code::kUnsupported,
                fmt::format("'{}' is no cgroup2 mount, nor is '{}/unified': mount the node's /sys/fs/cgroup there", wanted, wanted));
  }
  for (const auto& point : points)
    if (is_root_of_hierarchy(point)) return point;
  for (const auto& point : points)
    if (holds_kubepods(point, 0)) return point;
  if (!points.empty()) return points.front();
  return fail(Code::kUnsupported, "no cgroup2 file system is mounted: programs are attached to cgroup v2");
}

PodCgroupWatch::PodCgroupWatch(PodCgroupWatchOptions options, PodCgroupWatchOutputs outputs)
    : options_(std::move(options)), out_(std::move(outputs)) {}

PodCgroupWatch::~PodCgroupWatch() { stop(); }

Status PodCgroupWatch::start() {
  inotify_.reset(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  if (!inotify_.valid()) return fail_errno(errno, "watch cgroups: inotify");
  wake_.reset(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake_.valid()) return fail_errno(errno, "watch cgroups: eventfd");
  if (!exists(options_.top)) return fail(Code::kNotFound, fmt::format("watch cgroups: '{}' does not exist", options_.top));
  look_all();
  first_look_ = false;
  thread_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
  return {};
}

void PodCgroupWatch::stop() {
  thread_.request_stop();
  if (!thread_.joinable()) return;
  look_soon();
  thread_.join();
}

void PodCgroupWatch::look_soon() {
  const uint64_t one = 1;
  (void)!::write(wake_.get(), &one, sizeof(one));  // ignoring: its only error is a counter that is full already
}

void PodCgroupWatch::run(const std::stop_token& stop) {
  (void)::pthread_setname_np(::pthread_self(), "cgroup-watch");
  const int period = static_cast<int>(std::chrono::duration_cast<std::chrono::milliseconds>(options_.audit).count());
  while (!stop.stop_requested()) {
    std::array<pollfd, 2> fds{pollfd{inotify_.get(), POLLIN, 0}, pollfd{wake_.get(), POLLIN, 0}};
    const int ready = ::poll(fds.data(), fds.size(), period);
    if (stop.stop_requested()) return;
    uint64_t asked = 0;
    const bool look_now = ready == 0 || ::read(wake_.get(), &asked, sizeof asked) == sizeof asked;
    if (ready > 0) take_events();
    if (look_now) look_all();
  }
}

void PodCgroupWatch::take_events() {
  alignas(inotify_event) std::array<char, 16 * 1024> buffer;
  for (ssize_t got = 0; (got = ::read(inotify_.get(), buffer.data(), buffer.size())) > 0;) {
    for (const char* at = buffer.data(); at < buffer.data() + got;) {
      const auto& event = *reinterpret_cast<const inotify_event*>(at);
      at += sizeof(inotify_event) + event.len;
      if ((event.mask & IN_Q_OVERFLOW) != 0) {
        look_all();
        continue;
      }
      const auto found = watches_.find(event.wd);
      if (found == watches_.end()) continue;
      const Watched watched = found->second;  // meeting a child may add to the table
      if ((event.mask & IN_IGNORED) != 0) {
        numbers_.erase(watched.path);
        watches_.erase(found);
      } else if ((event.mask & IN_ISDIR) != 0 && (event.mask & IN_CREATE) != 0) {
        meet(watched.path, event.name, watched.kind, watched.depth);
      } else if ((event.mask & IN_ISDIR) != 0 && (event.mask & IN_DELETE) != 0) {
        forget_below(watched.path + "/" + event.name);
      }
    }
  }
}

void PodCgroupWatch::look_all() {
  drop_missing();
  look(options_.top, Kind::kAbove, 0);
}

void PodCgroupWatch::look(const std::string& path, Kind kind, int depth) {
  if (!watch(path, kind, depth)) return;
  for (const auto& name : folders_of(path)) meet(path, name, kind, depth);
}

bool PodCgroupWatch::watch(const std::string& path, Kind kind, int depth) {
  if (numbers_.contains(path) && exists(path)) return true;
  const int number = ::inotify_add_watch(inotify_.get(), path.c_str(), kMask);
  if (number < 0) return errno != ENOENT && errno != ENOTDIR;  // without a watch (too many) the audit still looks here
  watches_[number] = {path, kind, depth};
  numbers_[path] = number;
  return true;
}

void PodCgroupWatch::meet(const std::string& path, const std::string& name, Kind parent, int depth) {
  const std::string child = path + "/" + name;
  if (parent == Kind::kAbove) {
    if (is_kubepods(name)) {
      {
        const MutexLock lock(mu_);
        parents_.insert(child);
      }
      if (told_parents_.insert(child).second && out_.parent) out_.parent(child);
      look(child, Kind::kKubepods, depth + 1);
    } else if (depth < kDeepest && may_hold_kubepods(name)) {
      look(child, Kind::kAbove, depth + 1);
    }
    return;
  }
  if (parent == Kind::kKubepods && is_class(name)) {
    if (told_parents_.insert(child).second && out_.qos_class) out_.qos_class(child);
    look(child, Kind::kClass, depth + 1);
    return;
  }
  if (auto uid = pod_of(name)) meet_pod(*uid, child);
}

void PodCgroupWatch::meet_pod(const PodUid& uid, const std::string& path) {
  {
    const MutexLock lock(mu_);
    const auto [it, fresh] = pods_.try_emplace(uid, Pod{path, false});
    Pod& pod = it->second;
    if (pod.path != path) {
      if (exists(pod.path)) return;
      pod = {path, false};
    }
    if (pod.told) return;
    pod.told = (fresh && !first_look_) || is_populated(read_file(path + "/cgroup.events"));
    if (!pod.told) return;
  }
  out_.appeared(uid);
}

void PodCgroupWatch::forget_below(const std::string& path) {
  std::vector<PodUid> gone;
  {
    const MutexLock lock(mu_);
    std::erase_if(parents_, [&](const auto& parent) { return parent == path || parent.starts_with(path + "/"); });
    std::erase_if(pods_, [&](const auto& entry) {
      const bool below = entry.second.path == path || entry.second.path.starts_with(path + "/");
      if (below && entry.second.told) gone.push_back(entry.first);
      return below;
    });
  }
  std::erase_if(told_parents_, [&](const auto& parent) { return parent == path || parent.starts_with(path + "/"); });
  for (const auto& uid : gone) out_.vanished(uid);
}

void PodCgroupWatch::drop_missing() {
  std::vector<std::string> missing;
  {
    const MutexLock lock(mu_);
    for (const auto& parent : parents_)
      if (!exists(parent)) missing.push_back(parent);
    for (const auto& [uid, pod] : pods_)
      if (!exists(pod.path)) missing.push_back(pod.path);
  }
  for (const auto& path : missing) forget_below(path);
}

Result<std::optional<ports::FoundCgroup>> PodCgroupWatch::find(const PodUid& uid) {
  std::string path;
  {
    const MutexLock lock(mu_);
    const auto found = pods_.find(uid);
    if (found == pods_.end()) return std::nullopt;
    path = found->second.path;
  }
  auto dir = DirFd::open(path);
  if (!dir) {
    if (dir.error().code == Code::kNotFound) return std::nullopt;
    return std::unexpected(std::move(dir).error());
  }
  struct stat st{};
  if (::fstat(dir->get(), &st) != 0) return fail_errno(errno, fmt::format("stat '{}'", path));
  ports::FoundCgroup found;
  found.populated = is_populated(read_file_at(*dir, "cgroup.events"));
  found.cgroup.dir = std::make_shared<DirFd>(*std::move(dir));
  found.cgroup.id = CgroupId(st.st_ino);
  found.cgroup.path = path;
  return found;
}

std::vector<std::string> PodCgroupWatch::parents() {
  const MutexLock lock(mu_);
  return {parents_.begin(), parents_.end()};
}

}  // namespace pintle::cgroup
