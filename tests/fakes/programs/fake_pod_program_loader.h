// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// A verifier in memory: takes every object whose bytes do not begin with "bad", and keeps what is loaded over a restart of the agent.
// Held to the same contract as bpf::PodPrograms.
#pragma once

#include <map>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "ports/pod_programs.h"

namespace pintle::fakes {

class FakePodProgramLoader final : public ports::PodProgramLoader {
 public:
  std::vector<std::string> loads, unloads;  // what the kernel was asked for, in order

  void restart() {
    for (auto& [name, one] : loaded_) one.fresh = false;
  }
  [[nodiscard]] bool has(const std::string& name) const { return loaded_.contains(name); }

  Result<ports::LoadedPodProgram> load(const model::PodProgram& program, std::string_view object) override {
    const std::string key = fmt::format("{}/{}/{}", program.program, to_string(program.hook), object);
    const auto known = loaded_.find(program.name);
    if (known != loaded_.end() && known->second.key == key)
      return ports::LoadedPodProgram{known->second.id, "0123456789abcdef", !known->second.fresh};
    loads.push_back(program.name);
    if (object.starts_with("bad") || object.empty())
      return std::unexpected(Error{Code::kInvalid, 13, "the verifier refused: R1 invalid mem access"});
    loaded_[program.name] = {key, ++last_id_, true};
    return ports::LoadedPodProgram{last_id_, "0123456789abcdef", false};
  }
  Status unload(const std::string& name) override {
    unloads.push_back(name);
    loaded_.erase(name);
    return {};
  }
  Result<std::vector<std::string>> list_loaded() override {
    std::vector<std::string> names;
    for (const auto& [name, one] : loaded_) names.push_back(name);
    return names;
  }

 private:
  struct One {
    std::string key;
    uint32_t id = 0;
    bool fresh = true;
  };
  std::map<std::string, One> loaded_;
  uint32_t last_id_ = 40;
};

}  // namespace pintle::fakes
