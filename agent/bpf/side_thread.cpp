// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "bpf/side_thread.h"

#include <sched.h>

namespace pintle::bpf {
namespace {

// Attributes of a thread that is not to begin here.
class Elsewhere {
 public:
  Elsewhere() {
    made_ = ::pthread_attr_init(&attributes_) == 0;
    cpu_set_t processors;
    const int here = ::sched_getcpu();
    if (!made_ || here < 0 || here >= CPU_SETSIZE || ::sched_getaffinity(0, sizeof processors, &processors) != 0) return;
    CPU_CLR(static_cast<size_t>(here), &processors);
    if (CPU_COUNT(&processors) > 0) (void)::pthread_attr_setaffinity_np(&attributes_, sizeof processors, &processors);  // ignoring: a hint
  }
  ~Elsewhere() {
    if (made_) (void)::pthread_attr_destroy(&attributes_);  // ignoring: never fails here
  }
  Elsewhere(const Elsewhere&) = delete;
  Elsewhere& operator=(const Elsewhere&) = delete;
  [[nodiscard]] const pthread_attr_t* get() const { return made_ ? &attributes_ : nullptr; }

 private:
  pthread_attr_t attributes_;
  bool made_ = false;
};

}  // namespace

bool SideThread::start(std::function<void()> work) {
  work_ = std::move(work);
  running_ = ::pthread_create(&thread_, Elsewhere().get(), run, this) == 0 ||  // a processor may have been taken from us meanwhile
             ::pthread_create(&thread_, nullptr, run, this) == 0;
  return running_;
}

void SideThread::join() {
  if (running_) (void)::pthread_join(thread_, nullptr);  // ignoring: fails only for a thread that is not ours
  running_ = false;
}

void* SideThread::run(void* self) {
  static_cast<SideThread*>(self)->work_();
  return nullptr;
}

}  // namespace pintle::bpf
