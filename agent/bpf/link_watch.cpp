// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "bpf/link_watch.h"

#include <algorithm>
#include <cerrno>

#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bpf/link.h"

namespace pintle::bpf {
namespace {

constexpr uint32_t kVanished = IN_DELETE | IN_MOVED_FROM | IN_DELETE_SELF | IN_MOVE_SELF;
// Whoever makes a cgroup anew does it at once; after half a second the pod has ended.
constexpr int kLookEveryMs = 5;
constexpr int kMostLooks = 100;

}  // namespace

Result<std::unique_ptr<LinkWatch>> LinkWatch::start(Observer observer) {
  UniqueFd inotify(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  if (!inotify.valid()) return fail_errno(errno, "watch the pins");
  UniqueFd wake(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake.valid()) return fail_errno(errno, "watch the pins");
  return std::unique_ptr<LinkWatch>(new LinkWatch(std::move(inotify), std::move(wake), std::move(observer)));
}

LinkWatch::LinkWatch(UniqueFd inotify, UniqueFd wake, Observer observer)
    : inotify_(std::move(inotify)),
      wake_(std::move(wake)),
      observer_(std::move(observer)),
      thread_([this](const std::stop_token& stop) { run(stop); }) {}

LinkWatch::~LinkWatch() {
  thread_.request_stop();
  wake();
  if (thread_.joinable()) thread_.join();
}

void LinkWatch::wake() const {
  const uint64_t one = 1;
  (void)!::write(wake_.get(), &one, sizeof one);  // ignoring: full means awake
}

void LinkWatch::add(const PodUid& uid, const std::string& folder) {
  remove(uid);
  const MutexLock lock(mu_);
  const int watch = ::inotify_add_watch(inotify_.get(), folder.c_str(), kVanished | IN_ONLYDIR);
  if (watch < 0) return;
  watches_[uid] = watch;
  uids_.insert_or_assign(watch, uid);
}

void LinkWatch::remove(const PodUid& uid) {
  const MutexLock lock(mu_);
  std::erase_if(gone_, [&](const Gone& one) { return one.uid == uid; });
  const auto found = watches_.find(uid);
  if (found == watches_.end()) return;
  (void)::inotify_rm_watch(inotify_.get(), found->second);  // ignoring: gone with its folder
  uids_.erase(found->second);
  watches_.erase(found);
}

void LinkWatch::cgroup_gone(const PodUid& uid, CgroupId cgroup, std::string path) {
  {
    const MutexLock lock(mu_);
    gone_.push_back({uid, cgroup, std::move(path)});
  }
  wake();
}

std::vector<PodUid> LinkWatch::read_vanished() {
  alignas(inotify_event) char buffer[4096];
  std::vector<PodUid> uids;
  for (;;) {
    const ssize_t got = ::read(inotify_.get(), buffer, sizeof buffer);
    if (got <= 0) return uids;
    const MutexLock lock(mu_);
    for (ssize_t at = 0; at < got;) {
      const auto& event = *reinterpret_cast<const inotify_event*>(buffer + at);
      at += static_cast<ssize_t>(sizeof event) + event.len;
      const std::string_view name = event.len == 0 ? "" : event.name;
      const auto found = uids_.find(event.wd);
      if (found == uids_.end() || (event.mask & kVanished) == 0 || name.ends_with(kNewPinSuffix)) continue;
      if (std::ranges::find(uids, found->second) == uids.end()) uids.push_back(found->second);
    }
  }
}

std::vector<PodUid> LinkWatch::look_at_gone() {
  std::vector<PodUid> uids;
  const MutexLock lock(mu_);
  std::erase_if(gone_, [&](Gone& one) {
    struct stat st{};
    const bool anew = ::stat(one.path.c_str(), &st) == 0 && st.st_ino != one.cgroup.value();
    if (anew) uids.push_back(one.uid);
    return anew || ++one.looks > kMostLooks;
  });
  return uids;
}

int LinkWatch::patience() {
  const MutexLock lock(mu_);
  return gone_.empty() ? -1 : kLookEveryMs;
}

void LinkWatch::run(const std::stop_token& stop) {
  (void)::pthread_setname_np(::pthread_self(), "links");
  while (!stop.stop_requested()) {
    pollfd ready[] = {{inotify_.get(), POLLIN, 0}, {wake_.get(), POLLIN, 0}};
    (void)::poll(ready, std::size(ready), patience());  // ignoring: interrupted is awake
    uint64_t woken = 0;
    (void)!::read(wake_.get(), &woken, sizeof woken);  // ignoring: only to empty it
    auto uids = read_vanished();
    for (const auto& uid : look_at_gone())
      if (std::ranges::find(uids, uid) == uids.end()) uids.push_back(uid);
    for (const auto& uid : uids) observer_(uid);
  }
}

}  // namespace pintle::bpf
