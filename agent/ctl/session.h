// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// What every command of pintlectl is given: the streams, the clock, the wish to stop, and a connection made when first asked
// for. The exit codes, which are part of the interface (docs/cli.md). run() is the whole program, callable in process.
// Thread rule: one thread; `interrupted` is requested from another one.
#pragma once

#include <functional>
#include <iosfwd>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/time.h"
#include "ctl/client.h"
#include "ctl/style.h"

namespace pintle::ctl {

enum ExitCode : int {
  kOk = 0,
  kNotMet = 1,  // the asked-for condition does not hold, a check failed, or the object is not there
  kUsage = 2,
  kUnreachable = 3,  // no daemon answers
  kRefused = 4,      // input or request refused: it will not work unchanged
  kFailed = 5,       // the daemon tried and failed; trying again may help
  kInterrupted = 130,
};

struct Io {
  std::ostream& out;
  std::ostream& err;
  std::istream& in;
  const Clock& clock;
  bool out_is_tty = false;
  bool err_is_tty = false;
  std::function<int()> rows = {};          // of the terminal that `out` is; absent or 0: not known
  std::function<bool()> reader_gone = {};  // whether whoever read `out` has closed it: no error
  std::stop_token interrupted;
  std::function<std::optional<std::string>(const std::string&)> env;  // absent: no variable is set
};

// Never throws. Everything meant for machines goes to `out`, notes and errors to `err`.
[[nodiscard]] int run(int argc, const char* const* argv, Io& io);

class Session {
 public:
  Session(Io& io, std::string socket_path);

  [[nodiscard]] Io& io() { return io_; }
  [[nodiscard]] const Style& style() const { return style_; }  // of standard output
  [[nodiscard]] const Style& error_style() const { return error_style_; }
  [[nodiscard]] const std::string& socket_path() const { return socket_path_; }
  [[nodiscard]] Time now() const { return io_.clock.now(); }
  [[nodiscard]] int rows() const { return io_.rows ? io_.rows() : 0; }
  // kUnavailable in words: what was tried, and how to start the daemon.
  [[nodiscard]] Result<Client*> client();

  void note(std::string_view text);  // "note: …" on standard error
  int fail(const Error& error);      // "error: …" and the exit code of its kind; no word of an interruption
  int fail(ExitCode code, std::string_view message);
  // Waits on nothing but the clock and the wish to stop. False: interrupted.
  [[nodiscard]] bool pause(Duration duration);

 private:
  Io& io_;
  std::string socket_path_;
  Style style_, error_style_;
  std::optional<Client> client_;
};

[[nodiscard]] ExitCode exit_code_of(const Error& error);

}  // namespace pintle::ctl
