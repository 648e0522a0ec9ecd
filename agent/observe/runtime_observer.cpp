// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "observe/runtime_observer.h"

#include <algorithm>
#include <cerrno>

#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/backoff.h"
#include "base/log.h"
#include "observe/group.h"

namespace pintle::observe {
namespace {

constexpr uint64_t kWake = UINT64_MAX;
// After a runtime said that it has no event stream: another one, or another configuration, may be there by then.
constexpr std::chrono::seconds kAskAgain{60};
constexpr BackoffPolicy kReconnect{std::chrono::milliseconds(100), std::chrono::seconds(3)};

bool still_running(const model::ObservedPod& pod, const std::set<ContainerId>& exits) {
  return std::ranges::any_of(pod.containers, [&](const model::ObservedContainer& container) {
    return exits.contains(container.id) && container.state == model::RunState::kRunning;
  });
}

}  // namespace

RuntimeObserver::RuntimeObserver(ports::ContainerRuntime& runtime, ObserverOutputs outputs, ObserverOptions options)
    : runtime_(runtime), outputs_(std::move(outputs)), options_(std::move(options)) {}

Status RuntimeObserver::start() {
  epoll_ = UniqueFd(::epoll_create1(EPOLL_CLOEXEC));
  wake_ = UniqueFd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!epoll_.valid() || !wake_.valid()) return fail_errno(errno, "make the observer's epoll");
  epoll_event event{.events = EPOLLIN, .data = {.u64 = kWake}};
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, wake_.get(), &event) != 0) return fail_errno(errno, "watch the observer's eventfd");
  pidfd_thread_ = std::jthread([this](const std::stop_token& stop) { pidfd_loop(stop); });
  status_thread_ = std::jthread([this](const std::stop_token& stop) { status_loop(stop); });
  event_thread_ = std::jthread([this](const std::stop_token& stop) { event_loop(stop); });
  audit_thread_ = std::jthread([this](const std::stop_token& stop) { audit_loop(stop); });
  return {};
}

void RuntimeObserver::stop() {
  {
    const MutexLock lock(mu_);
    stopping_ = true;
    changed_.notify_all();
  }
  for (auto* thread : {&audit_thread_, &status_thread_, &event_thread_, &pidfd_thread_}) thread->request_stop();
  if (wake_.valid()) (void)::eventfd_write(wake_.get(), 1);
  for (auto* thread : {&audit_thread_, &status_thread_, &event_thread_, &pidfd_thread_})
    if (thread->joinable()) thread->join();
  // Reads that were spawned take part in nothing any more once they see `stopping_`; wait until they have seen it.
  const MutexLock lock(mu_);
  while (!reads_.empty()) changed_.wait(mu_);
}

bool RuntimeObserver::has_event_stream() {
  const MutexLock lock(mu_);
  return events_;
}

void RuntimeObserver::track(const model::ObservedPod& pod) {
  std::vector<ContainerId> gone;
  {
    const MutexLock lock(mu_);
    if (stopping_) return;
    for (const auto& container : pod.containers) {
      if (container.state != model::RunState::kRunning || container.pid <= 0 || processes_.contains(container.pid)) continue;
      UniqueFd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, static_cast<pid_t>(container.pid), 0)));
      if (!pidfd.valid()) {
        // It ended before it could be watched: the runtime is about to know. Without pidfds (kernel before 5.3) the audit sees it.
        if (errno == ESRCH) gone.push_back(container.id);
        continue;
      }
      epoll_event event{.events = EPOLLIN, .data = {.u64 = static_cast<uint64_t>(container.pid)}};
      if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, pidfd.get(), &event) != 0) continue;
      processes_.emplace(container.pid, Process{container.id, pod.uid, std::move(pidfd)});
    }
  }
  for (const auto& id : gone) look_for(pod.uid, id);
}

void RuntimeObserver::look(const PodUid& uid) { look_for(uid, std::nullopt); }

void RuntimeObserver::process_exited(int64_t pid) {
  std::optional<std::pair<PodUid, ContainerId>> known;
  {
    const MutexLock lock(mu_);
    if (const auto found = processes_.find(pid); found != processes_.end()) known.emplace(found->second.uid, found->second.container);
  }
  if (known) look_for(known->first, known->second);
}

void RuntimeObserver::look_for(const PodUid& uid, const std::optional<ContainerId>& exited) {
  const MutexLock lock(mu_);
  if (stopping_) return;
  auto [found, made] = reads_.try_emplace(uid);
  found->second.again = !made;
  if (exited) found->second.exits.insert(*exited);
  if (made) outputs_.spawn([this, uid] { read(uid); });
}

void RuntimeObserver::read(const PodUid& uid) {
  for (size_t attempt = 0;;) {
    std::set<ContainerId> exits;
    {
      const MutexLock lock(mu_);
      if (stopping_) {
        reads_.erase(uid);
        changed_.notify_all();
        return;
      }
      reads_[uid].again = false;
      exits = reads_[uid].exits;
    }
    const bool settled = read_once(uid, exits);
    const MutexLock lock(mu_);
    auto& row = reads_[uid];
    if (settled) std::erase_if(row.exits, [&](const ContainerId& id) { return exits.contains(id); });
    if (settled && !row.again) {
      reads_.erase(uid);
      changed_.notify_all();
      return;
    }
    if (settled) {
      attempt = 0;
      continue;
    }
    if (++attempt >= options_.exit_rereads.size()) {  // the event stream or the audit will tell
      reads_.erase(uid);
      changed_.notify_all();
      return;
    }
    // Only a stop ends the pause early: other pods' reads must not use up this one's attempts.
    (void)changed_.wait_for(mu_, options_.exit_rereads[attempt], [this]() PINTLE_ANNOTATE(no_thread_safety_analysis) { return stopping_; });
  }
}

// True when the read succeeded and shows every expected exit.
bool RuntimeObserver::read_once(const PodUid& uid, const std::set<ContainerId>& exits) {
  const uint64_t mark = outputs_.mark();
  auto pod = runtime_.inspect_pod(uid);
  if (!pod) {
    PINTLE_LOG(kDebug, "observe", "pod '{}': {}", uid.value(), pod.error().message());
    return false;
  }
  const bool settled = !still_running(*pod, exits);
  track(*pod);
  outputs_.pod(std::move(*pod), mark);
  return settled;
}

void RuntimeObserver::audit_now() {
  const MutexLock lock(mu_);
  audit_asked_ = true;
  changed_.notify_all();
}

bool RuntimeObserver::audit_once() {
  const uint64_t mark = outputs_.mark();
  auto sandboxes = runtime_.list_sandboxes();
  if (!sandboxes) return false;
  auto containers = runtime_.list_containers();
  if (!containers) return false;
  outputs_.all(group_by_pod(std::move(*sandboxes), std::move(*containers)), mark);
  return true;
}

void RuntimeObserver::audit_loop(const std::stop_token& stop) {
  Backoff retry(kReconnect);
  while (!stop.stop_requested()) {
    {
      const MutexLock lock(mu_);
      audit_asked_ = false;
    }
    const bool listed = audit_once();
    if (listed) retry.reset();
    const MutexLock lock(mu_);
    if (stopping_) return;
    const Duration delay = !listed ? retry.next() : events_ ? options_.audit_with_events : options_.audit;
    (void)changed_.wait_for(mu_, stop, delay, [this]() PINTLE_ANNOTATE(no_thread_safety_analysis) { return audit_asked_ || stopping_; });
  }
}

void RuntimeObserver::status_loop(const std::stop_token& stop) {
  std::optional<RuntimeHealth> told;
  Backoff retry(kReconnect);
  do {
    RuntimeHealth health;
    if (auto status = runtime_.status()) {
      health.answers = true;
      health.status = *status;
      retry.reset();
    } else {
      health.error = status.error().message();
    }
    const bool came_back = told && !told->answers && health.answers;
    if (!told || !(*told == health)) outputs_.health(health);
    told = health;
    if (came_back) audit_now();
  } while (pause(told->answers ? options_.status_period : retry.next(), stop));
}

void RuntimeObserver::event_loop(const std::stop_token& stop) {
  Backoff retry(kReconnect);
  bool told = false;
  for (;;) {
    bool connected = false;
    const auto ended = runtime_.watch_events(
        [&](const model::RuntimeEvent& event) {
          if (!connected) {
            connected = true;
            const MutexLock lock(mu_);
            events_ = true;
          }
          if (!event.uid.empty()) look(event.uid);
        },
        stop);
    {
      const MutexLock lock(mu_);
      events_ = false;
    }
    if (stop.stop_requested()) return;
    if (!ended && ended.error().code == Code::kUnsupported) {
      if (!told)
        PINTLE_LOG(kInfo, "observe", "no event stream ({}); exits are seen by pidfd and tracepoint, the rest by a list every {}",
                   ended.error().message(), format_duration(options_.audit));
      told = true;
      if (!pause(kAskAgain, stop)) return;
      continue;
    }
    if (connected) {
      retry.reset();
      audit_now();  // what happened while the stream was broken
    }
    if (!pause(retry.next(), stop)) return;
  }
}

void RuntimeObserver::pidfd_loop(const std::stop_token& stop) {
  epoll_event events[64];
  while (!stop.stop_requested()) {
    const int count = ::epoll_wait(epoll_.get(), events, std::size(events), -1);
    for (int i = 0; i < count; ++i) {
      if (events[i].data.u64 == kWake) continue;  // only stop() wakes
      const auto pid = static_cast<int64_t>(events[i].data.u64);
      std::optional<Process> gone;
      {
        const MutexLock lock(mu_);
        if (const auto found = processes_.find(pid); found != processes_.end()) {
          (void)::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, found->second.pidfd.get(), nullptr);
          gone.emplace(std::move(found->second));
          processes_.erase(found);
        }
      }
      if (gone) look_for(gone->uid, gone->container);
    }
  }
}

// False: stop was asked for.
bool RuntimeObserver::pause(Duration limit, const std::stop_token& stop) {
  const MutexLock lock(mu_);
  (void)changed_.wait_for(mu_, stop, limit, [this]() PINTLE_ANNOTATE(no_thread_safety_analysis) { return stopping_; });
  return !stopping_ && !stop.stop_requested();
}

}  // namespace pintle::observe
