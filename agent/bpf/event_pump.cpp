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
  pump->word_ = options.reader_batching;
  PINTLE_TRY(pump->watch(pump->stop_.get(), EPOLLIN));
  const auto open = [&](int fd, std::unique_ptr<RingBuffer>& ring, uint32_t events) -> Status {
    if (fd < 0) return {};
    PINTLE_ASSIGN_OR_RETURN(auto opened, RingBuffer::open(fd, handler));
    ring = std::make_unique<RingBuffer>(std::move(opened));
    return pump->watch(fd, events);
  };
  PINTLE_TRY(open(options.urgent_fd, pump->urgent_, EPOLLIN));
  // By edge: what lies unread in the bulk ring is no reason to return, being woken for it is.
  PINTLE_TRY(open(options.bulk_fd, pump->bulk_, EPOLLIN | EPOLLET));
  pump->thread_ = std::jthread([raw = pump.get()] { raw->run(); });
  return pump;
}

EventPump::~EventPump() {
  const uint64_t one = 1;
  if (stop_.valid()) (void)!::write(stop_.get(), &one, sizeof one);  // ignoring: an eventfd at zero takes a one
}

Status EventPump::watch(int fd, uint32_t events) const {
  epoll_event event{};
  event.events = events;
  event.data.fd = fd;
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) return fail_errno(errno, "watch an event ring");
  return {};
}

void EventPump::set_batching(bool on) const {
  if (word_ != nullptr) __atomic_store_n(word_, on ? 1 : 0, __ATOMIC_SEQ_CST);
}

void EventPump::run() {
  const auto drain = [](const std::unique_ptr<RingBuffer>& ring) {
    if (!ring) return 0;
    const auto count = ring->drain();
    if (!count) PINTLE_LOG(kDebug, "bpf", "{}", count.error().message());
    return count.value_or(0);
  };
  enum class Bulk { kRest, kBatching, kLeaving };
  Bulk bulk = Bulk::kBatching;  // what was recorded while nobody read comes first
  set_batching(true);
  (void)drain(bulk_);
  for (;;) {
    epoll_event ready[3];
    const int count = ::epoll_wait(epoll_.get(), ready, 3, bulk == Bulk::kRest ? -1 : batch_ms_);
    if (count < 0 && errno != EINTR) break;
    bool stop = false, woken = false;
    for (int i = 0; i < count; ++i) {
      stop = stop || ready[i].data.fd == stop_.get();
      woken = woken || (bulk_ && ready[i].data.fd == bulk_->fd());
    }
    if (stop) break;
    if (count > 0) (void)drain(urgent_);
    if (bulk == Bulk::kRest && !woken) continue;
    if (woken && bulk != Bulk::kBatching) {
      bulk = Bulk::kBatching;
      set_batching(true);
    }
    const int got = drain(bulk_);
    if (got > 0 || count != 0) {  // only a whole quiet interval says anything
      if (got > 0 && bulk == Bulk::kLeaving) {
        bulk = Bulk::kBatching;
        set_batching(true);
      }
      continue;
    }
    if (bulk == Bulk::kLeaving) {
      bulk = Bulk::kRest;
    } else if (bulk == Bulk::kBatching) {
      bulk = Bulk::kLeaving;
      set_batching(false);
    }
  }
  set_batching(true);  // nobody reads: nobody is to be woken
}

}  // namespace pintle::bpf
