// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Programs and maps as a kernel would hold them, for tests; what they cost is summed up from them. Thread rule: any thread.
#pragma once

#include <algorithm>
#include <mutex>
#include <string>
#include <vector>

#include "ports/program_inventory.h"

namespace pintle::fakes {

class FakeProgramInventory final : public ports::ProgramInventory {
 public:
  void load(ports::LoadedProgram program) {
    const std::scoped_lock lock(mu_);
    programs_.push_back(std::move(program));
  }
  void load(ports::LoadedMap map) {
    const std::scoped_lock lock(mu_);
    maps_.push_back(std::move(map));
  }
  void set_rings(std::vector<ports::RingUse> rings) {
    const std::scoped_lock lock(mu_);
    rings_ = std::move(rings);
  }
  void set_run_statistics(bool on) {
    const std::scoped_lock lock(mu_);
    run_statistics_ = on;
  }
  void hide_instructions() {
    const std::scoped_lock lock(mu_);
    hidden_ = true;
  }

  [[nodiscard]] Result<std::vector<ports::LoadedProgram>> programs() override {
    const std::scoped_lock lock(mu_);
    return programs_;
  }
  void lose_pin(std::string path) {
    const std::scoped_lock lock(mu_);
    missing_.push_back(std::move(path));
  }
  [[nodiscard]] std::vector<std::string> missing_pins() override {
    const std::scoped_lock lock(mu_);
    return missing_;
  }
  [[nodiscard]] Result<std::vector<ports::LoadedMap>> maps() override {
    const std::scoped_lock lock(mu_);
    return maps_;
  }
  [[nodiscard]] Result<ports::ProgramCost> cost() override {
    const std::scoped_lock lock(mu_);
    ports::ProgramCost cost{.rings = rings_, .programs = programs_.size(), .maps = maps_.size(), .run_statistics = run_statistics_};
    for (const auto& program : programs_) {
      cost.links += program.links;
      cost.kernel_bytes += program.memlock_bytes;
    }
    for (const auto& map : maps_) cost.kernel_bytes += map.memlock_bytes;
    return cost;
  }
  [[nodiscard]] Result<std::string> dump(uint32_t program_id, bool jited) override {
    const std::scoped_lock lock(mu_);
    if (std::ranges::find(programs_, program_id, &ports::LoadedProgram::id) == programs_.end())
      return fail(Code::kNotFound, "program " + std::to_string(program_id) + " is not loaded");
    if (hidden_) return fail(Code::kUnsupported, "the kernel shows instructions to CAP_PERFMON only: kernel.kptr_restrict");
    return std::string(jited ? "0000: 55 48\n" : "0000: b7 00\n") + "0008: 95 00\n";
  }

 private:
  std::mutex mu_;
  std::vector<ports::LoadedProgram> programs_;
  std::vector<std::string> missing_;
  std::vector<ports::LoadedMap> maps_;
  std::vector<ports::RingUse> rings_;
  bool run_statistics_ = false, hidden_ = false;
};

}  // namespace pintle::fakes
