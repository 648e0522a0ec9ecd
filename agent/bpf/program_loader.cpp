// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "bpf/program_loader.h"

#include <algorithm>

#include <fcntl.h>
#include <linux/bpf.h>

#include <fmt/format.h>

#include "bpf/errno_causes.h"
#include "bpf/raw_call.h"

namespace pintle::bpf {
namespace {

constexpr size_t kLogBytes = 256 * 1024;
constexpr int kDescriptors = 256;

// A table of descriptors that grows (at 64) while threads share it waits for all processors to have looked elsewhere: 10 to 15 ms. So it
// grows before there is a thread, and stays so.
void make_room_for_descriptors() {
  const UniqueFd any(::open("/", O_PATH | O_CLOEXEC));
  const UniqueFd far(::fcntl(any.get(), F_DUPFD_CLOEXEC, kDescriptors - 1));
}

// Once more with a log where it is refused.
Result<UniqueFd> load(const ElfObject& object, const ElfProgram& program, int types_fd, const std::vector<int>& maps) {
  auto instructions = program.instructions;
  for (const auto& use : program.map_uses) instructions[use.instruction].imm = maps[use.map];
  ProgramRequest request{.program = program, .instructions = instructions, .license = object.license(), .types_fd = types_fd};
  auto loaded = load_program(request);
  if (loaded) return loaded;
  std::string log(kLogBytes, '\0');
  request.log = log;
  auto again = load_program(request);
  if (again) return again;
  const int err = again.error().sys_errno;
  return std::unexpected(Error{Code::kUnsupported, err, fmt::format("load program '{}': {}", program.name, explain_load(err, log.data()))});
}

}  // namespace

ProgramLoader::~ProgramLoader() {
  dismiss();
  other_.join();
}

void ProgramLoader::dismiss() {
  {
    const MutexLock lock(mu_);
    ending_ = true;
  }
  changed_.notify_all();
}

void ProgramLoader::start_thread() {
  if (other_.running()) return;
  make_room_for_descriptors();
  (void)other_.start([this] { help_until([this]() PINTLE_REQUIRES(mu_) { return ending_; }); });  // ignoring: who waits does it all
}

void ProgramLoader::run_aside(std::function<void()> errand) {
  {
    const MutexLock lock(mu_);
    errands_.push_back(std::move(errand));
  }
  changed_.notify_all();
  start_thread();
}

size_t ProgramLoader::begin(const std::shared_ptr<const ElfObject>& object, int types_fd) {
  size_t batch = 0;
  {
    const MutexLock lock(mu_);
    batch = batches_.size();
    batches_.push_back({.object = object, .types_fd = types_fd, .maps = std::vector<int>(object->maps().size(), -1)});
    for (const auto& program : object->programs()) tasks_.push_back({.batch = batch, .program = &program});
  }
  start_thread();
  return batch;
}

void ProgramLoader::give_map(size_t batch, size_t map, int fd) {
  {
    const MutexLock lock(mu_);
    batches_[batch].maps[map] = fd;
  }
  changed_.notify_all();
}

bool ProgramLoader::is_ready(const Task& task) const {
  const auto& maps = batches_[task.batch].maps;
  return std::ranges::all_of(task.program->map_uses, [&](const auto& use) { return maps[use.map] >= 0; });
}

// The longest that nobody has begun and that can be, of the batch before all others.
ProgramLoader::Task* ProgramLoader::take(size_t first_of) {
  const auto rank = [&](const Task& task) { return std::pair(task.batch == first_of, task.program->instructions.size()); };
  Task* next = nullptr;
  for (auto& task : tasks_)
    if (!task.begun && (next == nullptr || rank(task) > rank(*next)) && is_ready(task)) next = &task;
  if (next != nullptr) next->begun = true;
  return next;
}

std::function<void()> ProgramLoader::take_work(size_t batch) {
  if (batch == kAny && !errands_.empty()) {
    auto errand = std::move(errands_.front());
    errands_.pop_front();
    return errand;
  }
  auto* task = take(batch);
  if (task == nullptr) return {};
  return [this, task, of = batches_[task->batch]] { run(*task, of); };
}

void ProgramLoader::run(Task& task, const Batch& batch) {
  auto loaded = load(*batch.object, *task.program, batch.types_fd, batch.maps);
  const MutexLock lock(mu_);
  task.loaded = std::move(loaded);
  task.done = true;
}

// Asks `done` with the lock held.
void ProgramLoader::help_until(const std::function<bool()>& done, size_t batch) {
  for (;;) {
    std::function<void()> work;
    {
      const MutexLock lock(mu_);
      changed_.wait(mu_, [&]() PINTLE_REQUIRES(mu_) { return done() || (work = take_work(batch)); });
    }
    if (!work) return;
    work();
    { const MutexLock lock(mu_); }  // who has asked in between waits by now
    changed_.notify_all();
  }
}

void ProgramLoader::wait_for(size_t batch) {
  const auto is_done = [&](const Task& task) { return task.batch != batch || task.done; };
  help_until([&]() PINTLE_REQUIRES(mu_) { return std::ranges::all_of(tasks_, is_done); }, batch);
}

void ProgramLoader::abandon(size_t batch) {
  {
    const MutexLock lock(mu_);
    for (auto& task : tasks_)
      if (task.batch == batch && !task.begun) task.begun = task.done = true;
  }
  wait_for(batch);
}

Result<std::map<std::string, UniqueFd>> ProgramLoader::finish(size_t batch) {
  wait_for(batch);
  std::map<std::string, UniqueFd> programs;
  const MutexLock lock(mu_);
  for (auto& task : tasks_) {
    if (task.batch != batch) continue;
    if (!task.loaded) return std::unexpected(std::move(task.loaded).error());
    programs[task.program->name] = *std::move(task.loaded);
  }
  return programs;
}

}  // namespace pintle::bpf
