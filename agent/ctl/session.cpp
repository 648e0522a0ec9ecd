// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "ctl/session.h"

#include <condition_variable>
#include <mutex>
#include <ostream>

namespace pintle::ctl {
namespace {

bool wants_colour(const Io& io, bool is_tty) {
  if (!is_tty) return false;
  if (!io.env) return true;
  const auto no_colour = io.env("NO_COLOR");
  const auto terminal = io.env("TERM");
  return (!no_colour || no_colour->empty()) && terminal.value_or("") != "dumb";
}

}  // namespace

Session::Session(Io& io, std::string socket_path)
    : io_(io),
      socket_path_(std::move(socket_path)),
      style_(wants_colour(io, io.out_is_tty)),
      error_style_(wants_colour(io, io.err_is_tty)) {}

Result<Client*> Session::client() {
  if (!client_) {
    PINTLE_ASSIGN_OR_RETURN(client_, Client::connect(socket_path_, io_.interrupted));
  }
  return &*client_;
}

void Session::note(std::string_view text) { io_.err << error_style_.paint(Tone::kWarning, "note:") << ' ' << text << '\n'; }

int Session::fail(const Error& error) {
  if (error.code == Code::kCancelled && io_.interrupted.stop_requested()) return kInterrupted;  // who did that knows
  return fail(exit_code_of(error), error.message());
}

int Session::fail(ExitCode code, std::string_view message) {
  io_.out.flush();
  io_.err << error_style_.paint(Tone::kBad, "error:") << ' ' << message << '\n';
  return code;
}

bool Session::pause(Duration duration) {
  std::mutex mutex;
  std::condition_variable_any never;
  std::unique_lock lock(mutex);
  (void)never.wait_for(lock, io_.interrupted, duration, [] { return false; });  // only the stop request or the time ends it
  return !io_.interrupted.stop_requested();
}

ExitCode exit_code_of(const Error& error) {
  switch (error.code) {
    case Code::kNotFound:
    case Code::kGone: return kNotMet;
    case Code::kAlreadyExists:
    case Code::kInvalid:
    case Code::kUnsupported: return kRefused;
    case Code::kUnavailable: return kUnreachable;
    case Code::kCancelled: return kInterrupted;
    case Code::kInternal: break;
  }
  return kFailed;
}

}  // namespace pintle::ctl
