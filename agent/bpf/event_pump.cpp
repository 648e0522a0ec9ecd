// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "bpf/event_pump.h"

#include <algorithm>
#include <cerrno>

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/log.h"

namespace pintle::bpf {

Result<std::unique_ptr<EventPump>> EventPump::start(const Options& options, RingBuffer::Handler handler) {
  std::unique_ptr<EventPump> pump(new EventPump());
  pump->batch_ms_ = std::max(1, static_cast<int>(std::chrono::duration_cast<std::chrono::milliseconds>(options.bulk_batch).count()));
  pump->epoll_ = UniqueFd(::epoll_create1(EPOLL_CLOEXEC));
  pump->stop_ = UniqueFd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!pump->epoll_.valid() || !pump->stop_.valid()) return fail_errno(errno, "make the event thread's descriptors");
  PINTLE_TRY(pump->watch(pump->stop_.get(), EPOLLIN, false));
  const auto open = [&](int fd, std::unique_ptr<RingBuffer>& ring) -> Status {
    if (fd < 0) return {};
    PINTLE_ASSIGN_OR_RETURN(auto opened, RingBuffer::open(fd, handler));
    ring = std::make_unique<RingBuffer>(std::move(opened));
    return pump->watch(fd, EPOLLIN, false);
  };
  PINTLE_TRY(open(options.urgent_fd, pump->urgent_));
  PINTLE_TRY(open(options.bulk_fd, pump->bulk_));
  pump->thread_ = std::jthread([raw = pump.get()] { raw->run(); });
  return pump;
}

EventPump::~EventPump() {
  const uint64_t one = 1;
  if (stop_.valid()) (void)!::write(stop_.get(), &one, sizeof one);  // ignoring: an eventfd at zero takes a one
}

Status EventPump::watch(int fd, uint32_t events, bool change) const {
  epoll_event event{};
  event.events = events;
  event.data.fd = fd;
  if (::epoll_ctl(epoll_.get(), change ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &event) != 0) return fail_errno(errno, "watch an event ring");
  return {};
}

void EventPump::run() {
  const auto drain = [](const std::unique_ptr<RingBuffer>& ring) {
    const auto count = ring->drain();
    if (!count) PINTLE_LOG(kDebug, "bpf", "{}", count.error().message());
    return count.value_or(0);
  };
  bool batching = false;  // the bulk ring is read by time, not by wake-up
  for (;;) {
    epoll_event ready[3];
    const int count = ::epoll_wait(epoll_.get(), ready, 3, batching ? batch_ms_ : -1);
    if (count < 0 && errno != EINTR) return;
    bool bulk_ready = false;
    for (int i = 0; i < count; ++i) {
      const int fd = ready[i].data.fd;
      if (fd == stop_.get()) return;
      if (urgent_ && fd == urgent_->fd()) (void)drain(urgent_);
      if (bulk_ && fd == bulk_->fd()) bulk_ready = true;
    }
    if (!batching && !bulk_ready) continue;
    const int got = drain(bulk_);
    const bool more = bulk_ready || got > 0 || count != 0;  // only a whole quiet interval ends the batching
    if (more != batching) (void)watch(bulk_->fd(), more ? 0 : static_cast<uint32_t>(EPOLLIN), true);  // ignoring: both descriptors are ours
    batching = more;
  }
}

}  // namespace pintle::bpf
