// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// The part of the command line below `pintlectl ebpf`. Holds the arguments that the parser fills; neither copied nor moved.
#pragma once

#include <functional>

#include "ctl/ebpf_commands.h"

namespace CLI {
class App;
}

namespace pintle::ctl {

class EbpfCli {
 public:
  // Adds one command to the tree.
  using AddCommand = std::function<CLI::App*(CLI::App& parent, const char* name, const char* description, const char* examples,
                                             std::function<int(Session&)> action)>;
  EbpfCli() = default;
  EbpfCli(const EbpfCli&) = delete;
  EbpfCli& operator=(const EbpfCli&) = delete;

  void add_to(CLI::App& root, const AddCommand& command);

 private:
  void add_looking(CLI::App& ebpf, const AddCommand& command);
  void add_listening(CLI::App& ebpf, const AddCommand& command);
  void add_policy(CLI::App& ebpf, const AddCommand& command);
  void add_programs(CLI::App& ebpf, const AddCommand& command);
  [[nodiscard]] int listen(Session& session);

  EbpfStatusArgs status_;
  EbpfExplainArgs explain_;
  EbpfDoctorArgs doctor_;
  EbpfTopArgs top_;
  EbpfTraceArgs trace_, listened_;
  bool follow_ = false;
  std::string duration_ = "5s";
  EbpfPolicyArgs policy_;
  EbpfFlowArgs flow_;
  EbpfListArgs list_;
  EbpfDumpArgs dump_;
};

}  // namespace pintle::ctl
