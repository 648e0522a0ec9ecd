// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "base/child_process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include <fmt/format.h>

#include "base/unique_fd.h"

extern char** environ;  // NOLINT: POSIX has it in no header

namespace pintle {
namespace {

constexpr size_t kMostOfErrors = 4096, kLongestLine = 300, kLargestPipe = size_t{1} << 20U;

struct Pipe {
  UniqueFd reader, writer;
};
Result<Pipe> make_pipe() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return fail_errno(errno, "make a pipe");
  return Pipe{UniqueFd(ends[0]), UniqueFd(ends[1])};
}

// Ours, and over it what is given: of two entries of one name most programs take the first.
std::vector<std::string> merged(const std::vector<std::string>& given) {
  std::vector<std::string> out = given;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string_view own(*entry);
    const auto same_name = [&](const std::string& other) { return other.substr(0, other.find('=')) == own.substr(0, own.find('=')); };
    if (std::ranges::none_of(given, same_name)) out.emplace_back(own);
  }
  return out;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> out;
  out.reserve(texts.size() + 1);
  for (auto& text : texts) out.push_back(text.data());
  out.push_back(nullptr);
  return out;
}

// The end of what it said, as one line.
std::string last_line(std::string text) {
  while (!text.empty() && static_cast<unsigned char>(text.back()) <= ' ') text.pop_back();
  if (const size_t line = text.rfind('\n'); line != std::string::npos) text.erase(0, line + 1);
  if (text.size() > kLongestLine) text.resize(kLongestLine);
  for (char& c : text)
    if (static_cast<unsigned char>(c) < ' ' || static_cast<unsigned char>(c) >= 0x7F) c = '?';
  return text;
}

// A program that runs; killed and reaped at the latest when this goes.
class Child {
 public:
  explicit Child(pid_t pid) : pid_(pid), ended_(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0))) {}
  ~Child() { (void)end(); }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  [[nodiscard]] const UniqueFd& ended() const { return ended_; }
  // Its wait status. One that has ended by itself is still of its group, so that whom it left behind is reached.
  int end() {
    if (pid_ < 0) return status_;
    (void)::kill(-pid_, SIGKILL);  // ignoring: nobody is left
    while (::waitpid(pid_, &status_, 0) < 0 && errno == EINTR) {}
    pid_ = -1;
    return status_;
  }

 private:
  pid_t pid_;
  UniqueFd ended_;
  int status_ = 0;
};

Result<pid_t> spawn(const ChildRun& run, const Pipe& in, const Pipe& out, const Pipe& err) {
  std::vector<std::string> words = {run.path}, variables = merged(run.environment);
  words.insert(words.end(), run.args.begin(), run.args.end());
  posix_spawn_file_actions_t files{};
  posix_spawnattr_t attributes{};
  (void)::posix_spawn_file_actions_init(&files);  // ignoring here and below: glibc's fail for want of memory alone
  (void)::posix_spawn_file_actions_adddup2(&files, in.reader.get(), STDIN_FILENO);
  (void)::posix_spawn_file_actions_adddup2(&files, out.writer.get(), STDOUT_FILENO);
  (void)::posix_spawn_file_actions_adddup2(&files, err.writer.get(), STDERR_FILENO);
  sigset_t none{}, all{};
  (void)::sigemptyset(&none);
  (void)::sigfillset(&all);
  (void)::posix_spawnattr_init(&attributes);
  (void)::posix_spawnattr_setsigmask(&attributes, &none);
  (void)::posix_spawnattr_setsigdefault(&attributes, &all);
  (void)::posix_spawnattr_setpgroup(&attributes, 0);
  (void)::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  pid_t pid = -1;
  const int error = ::posix_spawn(&pid, run.path.c_str(), &files, &attributes, pointers(words).data(), pointers(variables).data());
  (void)::posix_spawnattr_destroy(&attributes);
  (void)::posix_spawn_file_actions_destroy(&files);
  if (error != 0) return fail_errno(error, fmt::format("run '{}'", run.path));
  return pid;
}

// What is there now, kept up to `most` in all; false: its other end is closed. A pipe's fill at once, so that no program which writes
// without an end keeps us here.
bool take(const UniqueFd& from, std::string& into, size_t most) {
  std::array<char, 4096> part{};
  for (size_t taken = 0; taken < kLargestPipe;) {
    const ssize_t count = ::read(from.get(), part.data(), part.size());
    if (count == 0) return false;
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return errno == EAGAIN;
    taken += static_cast<size_t>(count);
    into.append(part.data(), std::min(static_cast<size_t>(count), most - std::min(most, into.size())));
  }
  return true;
}

std::unexpected<Error> failed(const ChildRun& run, const std::string& how, const std::string& errors) {
  const std::string said = last_line(errors);
  return fail(Code::kUnavailable, fmt::format("'{}' {}{}{}", run.path, how, said.empty() ? "" : ": ", said));
}

}  // namespace

Result<ChildOutput> run_child(const ChildRun& run, const Clock& clock, const std::stop_token& stop) {
  const SteadyTime until = clock.steady() + run.timeout;
  PINTLE_ASSIGN_OR_RETURN(Pipe in, make_pipe());
  PINTLE_ASSIGN_OR_RETURN(Pipe out, make_pipe());
  PINTLE_ASSIGN_OR_RETURN(Pipe err, make_pipe());
  const UniqueFd stopped(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!stopped.valid()) return fail_errno(errno, "make an eventfd");
  for (const auto* end : {&in.writer, &out.reader, &err.reader}) (void)::fcntl(end->get(), F_SETFL, O_NONBLOCK);
  // All of it before there is a reader: a program that reads none can't raise SIGPIPE then.
  if (run.input.size() > ChildRun::kMostInput) return fail(Code::kInvalid, fmt::format("input of '{}': too long", run.path));
  if (const ssize_t written = ::write(in.writer.get(), run.input.data(), run.input.size());
      written != static_cast<ssize_t>(run.input.size()))
    return fail_errno(written < 0 ? errno : ENOBUFS, "write to a pipe");
  PINTLE_ASSIGN_OR_RETURN(const pid_t pid, spawn(run, in, out, err));
  Child child(pid);
  if (!child.ended().valid()) return fail(Code::kUnsupported, fmt::format("run '{}': the kernel has no pidfd_open", run.path));
  in = {};
  out.writer.reset();
  err.writer.reset();
  const std::stop_callback wake(stop, [&stopped] { (void)::eventfd_write(stopped.get(), 1); });
  ChildOutput said;
  for (bool ended = false; !ended;) {
    std::array<pollfd, 4> wait = {pollfd{child.ended().get(), POLLIN, 0}, pollfd{stopped.get(), POLLIN, 0},
                                  pollfd{out.reader.get(), POLLIN, 0}, pollfd{err.reader.get(), POLLIN, 0}};
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - clock.steady()).count();
    if (::poll(wait.data(), wait.size(), static_cast<int>(std::max<int64_t>(left, 0))) < 0 && errno != EINTR)
      return fail_errno(errno, fmt::format("wait for '{}'", run.path));
    if (stop.stop_requested()) return fail(Code::kCancelled, fmt::format("run '{}': stopped", run.path));
    ended = wait[0].revents != 0;  // before its pipes are read: nothing of it comes after
    if (!take(out.reader, said.out, run.most_output + 1)) out.reader.reset();
    if (!take(err.reader, said.err, kMostOfErrors)) err.reader.reset();
    if (said.out.size() > run.most_output) return failed(run, fmt::format("wrote more than {} bytes", run.most_output), {});
    if (!ended && clock.steady() >= until)
      return failed(run, fmt::format("has not ended after {}", format_duration(run.timeout)), said.err);
  }
  const int status = child.end();
  if (WIFSIGNALED(status)) return failed(run, fmt::format("was ended by signal {}", WTERMSIG(status)), said.err);
  if (WEXITSTATUS(status) != 0) return failed(run, fmt::format("ended with code {}", WEXITSTATUS(status)), said.err);
  return said;
}

}  // namespace pintle
