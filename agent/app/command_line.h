// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// pintled's own few flags; everything else is the configuration file's. Flags win over the file.
#pragma once

#include <string>

#include "base/result.h"
#include "config/config.h"

namespace pintle::app {

enum class Command { kRun, kCleanup, kMountBpffs, kPrintConfig, kVersion, kHelp };
struct CommandLine {
  Command command = Command::kRun;
  config::AgentConfig config;
  bool stay = false;  // kCleanup: then wait for a signal
  std::string help;   // kHelp: the text
};

// kInvalid: unknown flag or bad configuration; the text names it.
[[nodiscard]] Result<CommandLine> parse_command_line(int argc, char** argv);

}  // namespace pintle::app
