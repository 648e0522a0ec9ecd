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
void make_room_for_descriptors(int any) { const UniqueFd far(::fcntl(any, F_DUPFD_CLOEXEC, kDescriptors - 1)); }

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
  return std::unexpected(
      Error{Code::kUnsupported, err, fmt::format("load program '{}': {}", program.name, explain_load(err, log.c_str()))});
}

}  // namespace

ProgramLoader::~ProgramLoader() {
  {
    const MutexLock lock(mu_);
    ending_ = true;
  }
  changed_.notify_all();
  if (other_.joinable()) other_.join();
}

size_t ProgramLoader::begin(std::shared_ptr<const ElfObject> object, int types_fd, const std::vector<int>& maps) {
  size_t batch = 0;
  {
    const MutexLock lock(mu_);
    batch = batches_++;
    for (const auto& program : object->programs())
      tasks_.push_back({.batch = batch, .object = object, .program = &program, .types_fd = types_fd, .maps = maps});
  }
  changed_.notify_all();
  if (!other_.joinable()) {
    make_room_for_descriptors(types_fd);
    other_ = std::thread([this] { work(); });
  }
  return batch;
}

// The longest that nobody has begun.
ProgramLoader::Task* ProgramLoader::take() {
  Task* longest = nullptr;
  for (auto& task : tasks_)
    if (!task.begun && (longest == nullptr || task.program->instructions.size() > longest->program->instructions.size())) longest = &task;
  if (longest != nullptr) longest->begun = true;
  return longest;
}

void ProgramLoader::run(Task& task) {
  auto loaded = load(*task.object, *task.program, task.types_fd, task.maps);
  const MutexLock lock(mu_);
  task.loaded = std::move(loaded);
  task.done = true;
  changed_.notify_all();
}

void ProgramLoader::work() {
  for (;;) {
    Task* task = nullptr;
    {
      const MutexLock lock(mu_);
      changed_.wait(mu_, [&]() PINTLE_REQUIRES(mu_) { return ending_ || (task = take()) != nullptr; });
      if (task == nullptr) return;
    }
    run(*task);
  }
}

Result<std::map<std::string, UniqueFd>> ProgramLoader::finish(size_t batch) {
  const auto is_done = [&](const Task& task) { return task.batch != batch || task.done; };
  for (;;) {
    Task* task = nullptr;
    {
      const MutexLock lock(mu_);
      changed_.wait(mu_, [&]() PINTLE_REQUIRES(mu_) { return std::ranges::all_of(tasks_, is_done) || (task = take()) != nullptr; });
      if (task == nullptr) break;
    }
    run(*task);
  }
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
