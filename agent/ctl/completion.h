// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Shell completion scripts, generated from the command tree, so that they can't fall behind it. Pods are completed by asking
// the daemon through `pintlectl get pods -o name`. Pure; knows nothing of the parser.
#pragma once

#include <string>
#include <vector>

namespace pintle::ctl {

// What an argument is, by the placeholder that stands for it in the help: FILE, POD, KIND, FORMAT, STATE, SHELL, EVENT, COLUMN; others
// have nothing to offer.
struct CompletionFlag {
  std::vector<std::string> names;  // "-n", "--namespace"
  std::string value;               // placeholder; empty: takes none
  std::string description;
};
struct CompletionCommand {
  std::string path;  // "ebpf status"; empty: the program itself
  std::string description;
  std::vector<CompletionFlag> flags;
  std::string argument;  // placeholder of what follows
  std::vector<CompletionCommand> commands;
};

[[nodiscard]] std::string bash_completion(const CompletionCommand& root);
[[nodiscard]] std::string zsh_completion(const CompletionCommand& root);
[[nodiscard]] std::string fish_completion(const CompletionCommand& root);

}  // namespace pintle::ctl
