// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "bpf/event_pump.h"

#include <algorithm>
#include <cerrno>

#include <linux/sched/types.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/slot_abi.h"

namespace pintle::bpf {
namespace {

// Seldom much to do, and that at once: with a short slice (Linux 6.12) a waking thread goes before one that computes. Needs no capability.
void ask_for_short_slices() {
  sched_attr attributes{};
  attributes.size = sizeof attributes;
  attributes.sched_runtime = 100'000;                     // ns, the least there is; kernels before take no notice
  (void)::syscall(SYS_sched_setattr, 0, &attributes, 0);  // ignoring: then it waits its turn
}

int milliseconds(Duration left) {
  return static_cast<int>(std::max<int64_t>(std::chrono::ceil<std::chrono::milliseconds>(left).count(), 0));
}

}  // namespace

Result<std::unique_ptr<EventPump>> EventPump::start(const Options& options, RingBuffer::Handler handler) {
  std::unique_ptr<EventPump> pump(new EventPump());
  pump->batch_ = std::max<Duration>(options.bulk_batch, std::chrono::milliseconds(1));
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
  if (word_ != nullptr && bulk_) __atomic_store_n(word_, on ? bulk_->bytes() / 4 : 0, __ATOMIC_SEQ_CST);
}

void EventPump::run() {
  ask_for_short_slices();
  const SystemClock clock;
  const auto drain = [](const std::unique_ptr<RingBuffer>& ring) { return ring ? ring->drain() : 0; };
  enum class Bulk { kRest, kBatching, kLeaving };
  Bulk bulk = Bulk::kBatching;  // what was recorded while nobody read comes first
  set_batching(true);
  (void)drain(bulk_);
  auto look = clock.steady() + batch_;  // by time, whatever the urgent ring does meanwhile
  for (;;) {
    epoll_event ready[3];
    const int count = ::epoll_wait(epoll_.get(), ready, 3, bulk == Bulk::kRest ? -1 : milliseconds(look - clock.steady()));
    if (count < 0 && errno != EINTR) break;
    bool stop = false, woken = false;
    for (int i = 0; i < count; ++i) {
      stop = stop || ready[i].data.fd == stop_.get();
      woken = woken || (bulk_ && ready[i].data.fd == bulk_->fd());
    }
    if (stop) break;
    if (count > 0) (void)drain(urgent_);
    const bool due = bulk != Bulk::kRest && clock.steady() >= look;
    if (!woken && !due) continue;
    const int got = drain(bulk_);
    look = clock.steady() + batch_;
    if (got > 0 || woken) {
      if (bulk != Bulk::kBatching) set_batching(true);
      bulk = Bulk::kBatching;
    } else if (bulk == Bulk::kLeaving) {
      bulk = Bulk::kRest;
    } else {
      bulk = Bulk::kLeaving;
      set_batching(false);
    }
  }
  if (word_ != nullptr) __atomic_store_n(word_, PINTLE_READER_ABSENT, __ATOMIC_SEQ_CST);
}

}  // namespace pintle::bpf
