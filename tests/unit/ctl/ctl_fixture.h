// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// pintlectl run in process against a control service over a real unix socket, with a fake agent behind it.
// The clock stands at test::kNow, so that ages are the same every time.
#pragma once

#include <condition_variable>
#include <map>
#include <mutex>
#include <ostream>
#include <streambuf>
#include <string>
#include <vector>

#include "ctl/session.h"
#include "fakes/agent/fake_agent_view.h"
#include "server/control_service.h"
#include "unit/server/agent_samples.h"

namespace pintle::test {

class StandingClock final : public Clock {
 public:
  [[nodiscard]] Time now() const override { return kNow; }
  [[nodiscard]] SteadyTime steady() const override { return system_.steady(); }  // time limits are real

 private:
  SystemClock system_;
};

// Keeps what is written, and lets another thread wait for a text in it.
class Capture final : public std::streambuf {
 public:
  // From now on nothing can be written, as on a full disk.
  void fill_up() {
    const std::scoped_lock lock(mu_);
    full_ = true;
  }
  void clear() {
    const std::scoped_lock lock(mu_);
    text_.clear();
  }
  [[nodiscard]] std::string text() {
    const std::scoped_lock lock(mu_);
    return text_;
  }
  void wait_for(const std::string& part) {
    std::unique_lock lock(mu_);
    changed_.wait(lock, [&] { return text_.find(part) != std::string::npos; });
  }

 protected:
  int_type overflow(int_type c) override {
    const char one = traits_type::to_char_type(c);
    return xsputn(&one, 1) == 1 ? c : traits_type::eof();
  }
  std::streamsize xsputn(const char* data, std::streamsize size) override {
    const std::scoped_lock lock(mu_);
    if (full_) return 0;
    text_.append(data, static_cast<size_t>(size));
    changed_.notify_all();
    return size;
  }

 private:
  std::mutex mu_;
  std::condition_variable changed_;
  std::string text_;
  bool full_ = false;
};

struct Outcome {
  int code = -1;
  std::string out, err;
};

struct CtlFixture {
  TempDir dir;
  std::string path = dir / "c.sock";
  fakes::FakeAgentView agent;
  fakes::FakeLogReader logs;
  std::unique_ptr<server::ControlService> service;
  std::stop_source interrupt;
  StandingClock clock;
  Capture out, err;  // of the command that runs, or ran last
  std::string input;
  bool tty = false, reader_gone = false;
  int rows = 0;
  std::map<std::string, std::string> environment;

  CtlFixture();
  // Of the command's words, without program and socket.
  Outcome ctl(const std::vector<std::string>& words);
  std::string write(const std::string& name, const std::string& text) const;
};

}  // namespace pintle::test
