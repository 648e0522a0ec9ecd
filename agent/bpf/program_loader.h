// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Has programs verified, which is nearly all the time of a start: on one other thread and on those that wait, the longest first, of what
// they wait for.
// Objects are begun one after the other and are loaded together. Thread rule: any but for the destructor; a thread of its own while it
// lives.
#pragma once

#include <chrono>
#include <deque>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/mutex.h"
#include "base/unique_fd.h"
#include "bpf/elf_object.h"
#include "bpf/side_thread.h"

namespace pintle::bpf {

class ProgramLoader {
 public:
  ProgramLoader() = default;
  ~ProgramLoader();
  ProgramLoader(const ProgramLoader&) = delete;
  ProgramLoader& operator=(const ProgramLoader&) = delete;

  // Something else for the other thread to do, before programs, while the one who asks does something of its own until it waits for it.
  template <typename Work>
  [[nodiscard]] auto aside(Work work) {
    auto task = std::make_shared<std::packaged_task<decltype(work())()>>(std::move(work));
    auto answer = task->get_future();
    run_aside([task] { (*task)(); });
    return answer;
  }
  // Does what is left to do meanwhile. REQUIRES: for each aside(), before this goes.
  template <typename Answer>
  [[nodiscard]] Answer wait(std::future<Answer> answer) {
    help_until([&] { return answer.wait_for(std::chrono::seconds(0)) == std::future_status::ready; });
    return answer.get();
  }

  // Each program as soon as the maps that it uses are there. REQUIRES: the descriptors outlive this, or the end of what is returned.
  [[nodiscard]] size_t begin(const std::shared_ptr<const ElfObject>& object, int types_fd);
  void give_map(size_t batch, size_t map, int fd);  // by its number in the object
  // The end of a batch, one of the two, once. The programs by name. kUnsupported: the kernel refused one; errno and the verifier's words.
  // REQUIRES: all maps were given.
  [[nodiscard]] Result<std::map<std::string, UniqueFd>> finish(size_t batch);
  void abandon(size_t batch);

  // The other thread may end, and does while its owner goes on; what is left to do is for those who wait.
  void dismiss() PINTLE_EXCLUDES(mu_);

 private:
  struct Batch {
    std::shared_ptr<const ElfObject> object;
    int types_fd = -1;
    std::vector<int> maps;  // -1: not there yet
  };
  struct Task {
    size_t batch = 0;
    const ElfProgram* program = nullptr;
    bool begun = false, done = false;
    Result<UniqueFd> loaded = UniqueFd();
  };
  void start_thread();
  void run_aside(std::function<void()> errand) PINTLE_EXCLUDES(mu_);
  static constexpr size_t kAny = SIZE_MAX;
  [[nodiscard]] bool is_ready(const Task& task) const PINTLE_REQUIRES(mu_);
  [[nodiscard]] Task* take(size_t first_of) PINTLE_REQUIRES(mu_);
  // For one who waits for a batch, a program, of that batch if there is one left; else an errand before programs. Nothing: there is none.
  [[nodiscard]] std::function<void()> take_work(size_t batch) PINTLE_REQUIRES(mu_);
  void run(Task& task, const Batch& batch) PINTLE_EXCLUDES(mu_);
  void wait_for(size_t batch) PINTLE_EXCLUDES(mu_);
  void help_until(const std::function<bool()>& done, size_t batch = kAny) PINTLE_EXCLUDES(mu_);

  Mutex mu_;
  ConditionVariable changed_;
  std::deque<Task> tasks_ PINTLE_GUARDED_BY(mu_);  // a task that has begun is its thread's until it is done
  std::vector<Batch> batches_ PINTLE_GUARDED_BY(mu_);
  bool ending_ PINTLE_GUARDED_BY(mu_) = false;
  std::deque<std::function<void()>> errands_ PINTLE_GUARDED_BY(mu_);
  SideThread other_;
};

}  // namespace pintle::bpf
