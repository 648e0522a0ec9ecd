// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Has programs verified, which is nearly all the time of a start: on one other thread and on the one that waits, the longest first.
// Objects are begun one after the other and are loaded together. Thread rule: one owner; a thread of its own while it lives.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/mutex.h"
#include "base/unique_fd.h"
#include "bpf/elf_object.h"

namespace pintle::bpf {

class ProgramLoader {
 public:
  ProgramLoader() = default;
  ~ProgramLoader();
  ProgramLoader(const ProgramLoader&) = delete;
  ProgramLoader& operator=(const ProgramLoader&) = delete;

  // `maps`: descriptors in the object's order. REQUIRES: the descriptors outlive this, or finish() of what is returned.
  [[nodiscard]] size_t begin(std::shared_ptr<const ElfObject> object, int types_fd, const std::vector<int>& maps);
  // The programs by name. kUnsupported: the kernel refused one; errno and the verifier's words. Once for each begin().
  [[nodiscard]] Result<std::map<std::string, UniqueFd>> finish(size_t batch);

 private:
  struct Task {
    size_t batch = 0;
    std::shared_ptr<const ElfObject> object;
    const ElfProgram* program = nullptr;
    int types_fd = -1;
    std::vector<int> maps;
    bool begun = false, done = false;
    Result<UniqueFd> loaded = UniqueFd();
  };
  [[nodiscard]] Task* take() PINTLE_REQUIRES(mu_);
  void run(Task& task) PINTLE_EXCLUDES(mu_);
  void work() PINTLE_EXCLUDES(mu_);

  Mutex mu_;
  ConditionVariable changed_;
  std::deque<Task> tasks_ PINTLE_GUARDED_BY(mu_);  // a task that has begun is its thread's until it is done
  size_t batches_ PINTLE_GUARDED_BY(mu_) = 0;
  bool ending_ PINTLE_GUARDED_BY(mu_) = false;
  std::thread other_;
};

}  // namespace pintle::bpf
