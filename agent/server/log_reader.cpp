// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "server/log_reader.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <vector>

#include <fmt/format.h>

#include "base/unique_fd.h"
#include "server/cri_log_line.h"

namespace pintle::server {
namespace {

constexpr size_t kBlock = 16 * 1024;
constexpr size_t kLongestLine = 1024 * 1024;  // the runtimes cut at 16 KiB; what is longer isn't a log line
constexpr int kFollowCheckMs = 1000;

bool is_path_part(const std::string& name) { return !name.empty() && name != "." && name != ".." && name.find('/') == std::string::npos; }

Result<size_t> read_at(int fd, char* buffer, size_t size, off_t offset, const std::string& path) {
  while (true) {
    const ssize_t got = ::pread(fd, buffer, size, offset);
    if (got >= 0) return static_cast<size_t>(got);
    if (errno != EINTR) return fail_errno(errno, fmt::format("read '{}'", path));
  }
}

// Where the last `lines` lines of the file begin. The parts of one long line count as one.
Result<off_t> find_tail(int fd, int64_t lines, const std::string& path) {
  struct stat info{};
  if (::fstat(fd, &info) != 0) return fail_errno(errno, fmt::format("stat '{}'", path));
  if (lines <= 0) return info.st_size;
  std::array<char, kBlock> block{};
  std::array<char, 96> head{};
  off_t begin = info.st_size, candidate = info.st_size;
  int64_t full = 0;
  // Takes a raw line that starts at `start`; true once enough lines lie behind it.
  const auto take = [&](off_t start) -> Result<bool> {
    if (start >= info.st_size) return false;
    PINTLE_ASSIGN_OR_RETURN(const size_t got, read_at(fd, head.data(), head.size(), start, path));
    const std::string_view text(head.data(), got);
    const auto line = parse_cri_log_line(text.substr(0, text.find('\n')));
    const bool ends_line = !line || !line->partial || candidate == info.st_size;
    if (ends_line && ++full > lines) return true;
    candidate = start;
    return false;
  };
  while (begin > 0) {
    const size_t want = static_cast<size_t>(std::min<off_t>(begin, static_cast<off_t>(kBlock)));
    const off_t from = begin - static_cast<off_t>(want);
    PINTLE_ASSIGN_OR_RETURN(const size_t got, read_at(fd, block.data(), want, from, path));
    for (size_t i = got; i > 0; --i) {
      if (block[i - 1] != '\n') continue;
      PINTLE_ASSIGN_OR_RETURN(const bool enough, take(from + static_cast<off_t>(i)));
      if (enough) return candidate;
    }
    begin = from;
  }
  PINTLE_ASSIGN_OR_RETURN(const bool enough, take(0));
  return enough ? candidate : off_t{0};
}

class CriLogStream final : public ports::LogStream {
 public:
  CriLogStream(std::string path, UniqueFd file, off_t offset, ports::LogOptions options)
      : path_(std::move(path)), options_(options), file_(std::move(file)), offset_(offset), left_(options_.limit_bytes.value_or(-1)) {}

  Status read(const std::function<bool(std::string_view)>& sink, const std::function<bool()>& keep_following,
              std::stop_token stop) override;

 private:
  enum class Step { kEnd, kDone };  // end of file reached; or limit, sink or stop ended it

  [[nodiscard]] Result<Step> drain(const std::function<bool(std::string_view)>& sink, const std::stop_token& stop);
  bool flush(const std::function<bool(std::string_view)>& sink);  // false: no more is wanted
  void format(std::string_view raw);
  [[nodiscard]] Result<bool> reopen_if_rotated();
  [[nodiscard]] Status follow(const std::function<bool(std::string_view)>& sink, const std::function<bool()>& keep_following,
                              const std::stop_token& stop);

  const std::string path_;
  const ports::LogOptions options_;
  UniqueFd file_;
  off_t offset_;
  int64_t left_;         // bytes still allowed; negative: any number
  std::string pending_;  // a raw line whose newline hasn't come yet
  std::string out_;
  bool mid_line_ = false;  // a partial line was handed out and its rest is to come
};

Status CriLogStream::read(const std::function<bool(std::string_view)>& sink, const std::function<bool()>& keep_following,
                          std::stop_token stop) {
  if (options_.follow) return follow(sink, keep_following, stop);
  PINTLE_ASSIGN_OR_RETURN(const Step step, drain(sink, stop));
  (void)step;  // either way there is no more
  if (stop.stop_requested()) return fail(Code::kCancelled, fmt::format("read '{}': stopped", path_));
  return {};
}

Result<CriLogStream::Step> CriLogStream::drain(const std::function<bool(std::string_view)>& sink, const std::stop_token& stop) {
  std::array<char, kBlock> block{};
  while (!stop.stop_requested()) {
    PINTLE_ASSIGN_OR_RETURN(const size_t got, read_at(file_.get(), block.data(), block.size(), offset_, path_));
    if (got == 0) return flush(sink) ? Step::kEnd : Step::kDone;
    offset_ += static_cast<off_t>(got);
    std::string_view rest(block.data(), got);
    for (size_t end = rest.find('\n'); end != std::string_view::npos; end = rest.find('\n')) {
      if (pending_.empty()) {
        format(rest.substr(0, end));
      } else {
        pending_.append(rest.substr(0, end));
        format(pending_);
        pending_.clear();
      }
      rest.remove_prefix(end + 1);
    }
    if (pending_.size() + rest.size() <= kLongestLine) pending_.append(rest);
    if (out_.size() >= kBlock && !flush(sink)) return Step::kDone;
  }
  return Step::kDone;
}

bool CriLogStream::flush(const std::function<bool(std::string_view)>& sink) {
  if (left_ >= 0 && static_cast<int64_t>(out_.size()) > left_) out_.resize(static_cast<size_t>(left_));
  if (!out_.empty() && !sink(out_)) return false;
  if (left_ >= 0) left_ -= static_cast<int64_t>(out_.size());
  out_.clear();
  return left_ != 0;
}

void CriLogStream::format(std::string_view raw) {
  const auto line = parse_cri_log_line(raw);
  if (!line) return;  // not ours to guess: a torn write at a power cut
  if (options_.since) {
    const auto time = parse_rfc3339(line->timestamp);
    if (!time || *time < *options_.since) return;
  }
  if (options_.timestamps && !mid_line_) out_.append(line->timestamp).push_back(' ');
  out_.append(line->text);
  if (!line->partial) out_.push_back('\n');
  mid_line_ = line->partial;
}

// The runtime renames the file and begins a new one under the same name.
Result<bool> CriLogStream::reopen_if_rotated() {
  struct stat ours{}, named{};
  if (::fstat(file_.get(), &ours) != 0) return fail_errno(errno, fmt::format("stat '{}'", path_));
  if (::stat(path_.c_str(), &named) != 0) return false;  // between rename and reopen, or removed with its container
  if (ours.st_ino == named.st_ino && ours.st_dev == named.st_dev) {
    if (named.st_size < offset_) {  // truncated in place
      offset_ = 0;
      pending_.clear();
      return true;
    }
    return false;
  }
  UniqueFd fresh(::open(path_.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fresh.valid()) return false;
  file_ = std::move(fresh);
  offset_ = 0;
  pending_.clear();
  return true;
}

Status CriLogStream::follow(const std::function<bool(std::string_view)>& sink, const std::function<bool()>& keep_following,
                            const std::stop_token& stop) {
  UniqueFd notify(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  UniqueFd wake(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!notify.valid() || !wake.valid()) return fail_errno(errno, fmt::format("watch '{}'", path_));
  // The directory tells of writes to every file in it and of the new file after a rotation. Without a watch (limit of
  // watches reached) the check once a second still finds what was written.
  (void)::inotify_add_watch(notify.get(), path_.substr(0, path_.rfind('/')).c_str(), IN_MODIFY | IN_CREATE | IN_MOVED_TO | IN_DELETE);
  const std::stop_callback on_stop(stop, [&wake] {
    const uint64_t one = 1;
    (void)!::write(wake.get(), &one, sizeof one);  // a full counter is awake already
  });
  std::array<char, 4096> events{};
  while (!stop.stop_requested()) {
    const bool more_may_come = keep_following();  // asked before the read: what came in between is read below
    PINTLE_ASSIGN_OR_RETURN(Step step, drain(sink, stop));
    if (step == Step::kDone) break;
    // A new file under the name: nothing is written to the old one any more, but its end may have come after our read.
    struct stat ours{}, named{};
    if (::fstat(file_.get(), &ours) == 0 && ::stat(path_.c_str(), &named) == 0 && ours.st_ino != named.st_ino) {
      PINTLE_ASSIGN_OR_RETURN(step, drain(sink, stop));
      if (step == Step::kDone) break;
    }
    PINTLE_ASSIGN_OR_RETURN(const bool rotated, reopen_if_rotated());
    if (rotated) continue;
    if (!more_may_come) return {};
    std::array<pollfd, 2> wait{pollfd{notify.get(), POLLIN, 0}, pollfd{wake.get(), POLLIN, 0}};
    if (::poll(wait.data(), wait.size(), kFollowCheckMs) < 0 && errno != EINTR) return fail_errno(errno, fmt::format("watch '{}'", path_));
    while (::read(notify.get(), events.data(), events.size()) > 0) {}
  }
  if (stop.stop_requested()) return fail(Code::kCancelled, fmt::format("follow '{}': stopped", path_));
  return {};
}

}  // namespace

Result<std::unique_ptr<ports::LogStream>> CriLogReader::open(const ports::LogTarget& target, const ports::LogOptions& options) {
  for (const auto* part : {&target.namespace_, &target.pod, &target.uid, &target.container})
    if (!is_path_part(*part)) return fail(Code::kInvalid, fmt::format("'{}' can't be part of a log's path", *part));
  std::string path =
      fmt::format("{}/{}_{}_{}/{}/{}.log", root_, target.namespace_, target.pod, target.uid, target.container, target.attempt);
  UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.valid()) return fail_errno(errno, fmt::format("open the log '{}'", path));
  off_t offset = 0;
  if (options.tail_lines) {
    PINTLE_ASSIGN_OR_RETURN(offset, find_tail(file.get(), *options.tail_lines, path));
  }
  return std::make_unique<CriLogStream>(std::move(path), std::move(file), offset, options);
}

}  // namespace pintle::server
