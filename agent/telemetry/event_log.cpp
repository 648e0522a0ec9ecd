// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "telemetry/event_log.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <deque>
#include <thread>

#include <fmt/format.h>

#include "base/log.h"
#include "base/mutex.h"
#include "base/reorder_buffer.h"
#include "base/unique_fd.h"
#include "codec/program_event.h"
#include "ports/pod_names.h"

namespace pintle::telemetry {
namespace {

constexpr std::string_view kStandardOutput = "stdout";
constexpr size_t kBatchBytes = size_t{64} << 10U;
// As the control service's: longer than a ring is left unread under load.
constexpr std::chrono::milliseconds kReorderHold{20};

class Sink {
 public:
  static Result<Sink> open(const std::string& path) {
    Sink sink(path);
    PINTLE_TRY(sink.reopen());
    return sink;
  }

  // All or an error. A line that was cut is ended before the next one.
  Status write(std::string_view text) {
    if (path_ != kStandardOutput && !is_current()) PINTLE_TRY(reopen());
    if (torn_) PINTLE_TRY(write_all("\n"));
    torn_ = false;
    return write_all(text);
  }

 private:
  explicit Sink(std::string path) : path_(std::move(path)) {}

  Status reopen() {
    fd_ = path_ == kStandardOutput ? UniqueFd(::fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 0))
                                   : UniqueFd(::open(path_.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640));
    if (!fd_.valid()) return fail_errno(errno, fmt::format("open event log '{}'", path_));
    torn_ = false;
    return {};
  }
  [[nodiscard]] bool is_current() const {
    struct stat ours{}, named{};
    return fd_.valid() && ::fstat(fd_.get(), &ours) == 0 && ::stat(path_.c_str(), &named) == 0 && ours.st_ino == named.st_ino &&
           ours.st_dev == named.st_dev;
  }
  Status write_all(std::string_view text) {
    for (size_t written = 0; written < text.size();) {
      const ssize_t n = ::write(fd_.get(), text.data() + written, text.size() - written);
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) {
        torn_ = torn_ || written != 0;
        return fail_errno(n < 0 ? errno : EIO, fmt::format("write event log '{}'", path_));
      }
      written += static_cast<size_t>(n);
    }
    return {};
  }

  std::string path_;
  UniqueFd fd_;
  bool torn_ = false;
};

class QueuedLog final : public EventLog {
 public:
  QueuedLog(ports::AgentView& agent, Sink sink, const Clock& clock)
      : sink_(std::move(sink)), names_(agent), clock_(clock), writer_([this](const std::stop_token& stop) { write_until(stop); }) {
    subscription_ = agent.watch_ebpf([this](const model::ProgramEvent& event) { push(event); });
  }
  ~QueuedLog() override {
    subscription_.reset();  // nothing comes after this
    writer_.request_stop();
    writer_.join();
  }
  [[nodiscard]] EventLogCounts counts() const override { return {written_.load(), lost_.load(), late_.load()}; }

 private:
  void push(const model::ProgramEvent& event) {
    {
      const MutexLock lock(mu_);
      if (queue_.size() == kMostQueued) {
        ++gap_;
        ++lost_;
        return;
      }
      queue_.push_back({event, std::exchange(gap_, 0), clock_.steady()});
    }
    changed_.notify_one();
  }

  struct Queued {
    model::ProgramEvent event;
    uint64_t skipped = 0;  // before this one came
    SteadyTime arrival;
  };

  void write_until(const std::stop_token& stop) {
    for (;;) {
      std::deque<Queued> batch;
      {
        const MutexLock lock(mu_);
        const auto some = [this]() PINTLE_REQUIRES(mu_) { return !queue_.empty(); };
        if (const auto due = order_.next_due())
          (void)changed_.wait_for(mu_, stop, std::max<Duration>(*due - clock_.steady(), Duration::zero()), some);
        else
          (void)changed_.wait(mu_, stop, some);
        batch.swap(queue_);
      }
      const bool last = batch.empty() && stop.stop_requested();
      for (auto& [event, skipped, arrival] : batch) {
        const Time time = event.time;
        skipped_ += skipped;
        order_.push(std::move(event), time, arrival);
      }
      write_ready(order_.take(last ? SteadyTime::max() - kReorderHold : clock_.steady()));
      if (last) return;  // stopped, and nothing is left
    }
  }

  void write_ready(const std::vector<ReorderBuffer<model::ProgramEvent>::Ready>& ready) {
    std::string text;
    uint64_t lines = 0, told = 0;
    for (const auto& [event, late] : ready) {
      const auto& [namespace_, name] = names_.find(event.uid.value());
      auto row = codec::text_of(event, namespace_, name);
      row.late = late;
      row.skipped = std::exchange(skipped_, 0) + std::exchange(unwritten_, 0);
      told += row.skipped;
      text += codec::encode_program_event(row);
      text.push_back('\n');
      ++lines;
      if (text.size() >= kBatchBytes) flush(text, lines, told);
    }
    flush(text, lines, told);
    late_ = order_.late();
  }

  // `told`: gaps that the lines speak of, which are told again if they are not written.
  void flush(std::string& text, uint64_t& lines, uint64_t& told) {
    if (lines == 0) return;
    const auto done = sink_.write(text);
    if (done) {
      written_ += lines;
    } else {
      lost_ += lines;
      unwritten_ += lines + told;
    }
    if (done.has_value() != healthy_) {
      if (done)
        PINTLE_LOG(kInfo, "telemetry", "the event log is written again");
      else
        PINTLE_LOG(kWarning, "telemetry", "{}; events are counted as lost until it works", done.error().message());
    }
    healthy_ = done.has_value();
    text.clear();
    lines = told = 0;
  }

  // Writer's thread.
  Sink sink_;
  ports::PodNames names_;
  ReorderBuffer<model::ProgramEvent> order_{kReorderHold, kMostQueued};
  uint64_t skipped_ = 0;  // before the next line
  uint64_t unwritten_ = 0;
  bool healthy_ = true;

  const Clock& clock_;
  std::atomic<uint64_t> written_ = 0, lost_ = 0, late_ = 0;
  Mutex mu_;
  ConditionVariable changed_;
  std::deque<Queued> queue_ PINTLE_GUARDED_BY(mu_);
  uint64_t gap_ PINTLE_GUARDED_BY(mu_) = 0;
  std::unique_ptr<ports::Subscription> subscription_;
  std::jthread writer_;  // last: uses all of the above
};

}  // namespace

Result<std::unique_ptr<EventLog>> EventLog::start(ports::AgentView& agent, const std::string& path, const Clock& clock) {
  PINTLE_ASSIGN_OR_RETURN(Sink sink, Sink::open(path));
  return std::make_unique<QueuedLog>(agent, std::move(sink), clock);
}

}  // namespace pintle::telemetry
