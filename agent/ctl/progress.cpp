// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "ctl/progress.h"

#include "ctl/pod_text.h"

namespace pintle::ctl {
namespace {

constexpr std::string_view kWipe = "\r\033[K";
constexpr std::string_view kFrames[] = {"|", "/", "-", "\\"};
constexpr std::chrono::milliseconds kFrameTime{120};
constexpr size_t kMostText = 100;  // a wrapped line could not be wiped

}  // namespace

Progress::Progress(Session& session) : session_(session), shown_(session.io().err_is_tty) {
  if (shown_) wheel_ = std::jthread([this](const std::stop_token& stop) { turn(stop); });
}

Progress::~Progress() {
  if (!shown_) return;
  wheel_.request_stop();
  wheel_.join();
  session_.io().err << kWipe << std::flush;
}

void Progress::say(std::string text) {
  const std::scoped_lock lock(mu_);
  text_ = safe(text).substr(0, kMostText);
}

void Progress::print(const std::function<void(std::ostream&)>& writer) {
  const std::scoped_lock lock(mu_);
  if (shown_) session_.io().err << kWipe << std::flush;
  writer(session_.io().out);
  session_.io().out.flush();
}

void Progress::turn(const std::stop_token& stop) {
  std::unique_lock lock(mu_);
  while (!stop.stop_requested()) {
    if (!text_.empty())
      session_.io().err << kWipe
                        << session_.error_style().paint(Tone::kDim, std::string(kFrames[frame_++ % std::size(kFrames)]) + " " + text_)
                        << std::flush;
    (void)changed_.wait_for(lock, stop, kFrameTime, [] { return false; });
  }
}

}  // namespace pintle::ctl
