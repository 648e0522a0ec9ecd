// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Where the command line is turned into a command's arguments: the only user of the parser (CLI11) of the program.
#pragma once

#include "ctl/completion.h"
#include "ctl/session.h"

namespace pintle::ctl {

inline constexpr const char* kDefaultSocket = "/run/pintle/pintle.sock";

// The whole tree of commands, as completion needs it.
[[nodiscard]] CompletionCommand command_tree();

}  // namespace pintle::ctl
