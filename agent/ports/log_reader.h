// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// The seam to containers' logs, for whoever serves them (the node's API, the embedded endpoint), and the rule that finds
// which attempt's log a request means (facts rows 17.6, 20.5, 20.6). Not the HTTP side of it.
// Thread rule: open() from any thread; a LogStream belongs to one thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>

#include "base/result.h"
#include "model/status.h"

namespace pintle::ports {

// One attempt of one container: <root>/NAMESPACE_POD_UID/CONTAINER/ATTEMPT.log.
struct LogTarget {
  std::string namespace_, pod, uid, container;
  int32_t attempt = 0;
  bool operator==(const LogTarget&) const = default;
};

struct LogOptions {
  bool follow = false;
  bool timestamps = false;
  std::optional<int64_t> tail_lines;
  std::optional<int64_t> limit_bytes;
  std::optional<Time> since;
};

class LogStream {
 public:
  virtual ~LogStream() = default;
  // Hands the log to `sink` in pieces of whole or partial lines until its end, its limit, `sink` returning false, or `stop`
  // (kCancelled). When following, the end is reached once `keep_following` has answered false and everything
  // written so far was handed over; it is asked at least once a second. kUnavailable: the disk.
  [[nodiscard]] virtual Status read(const std::function<bool(std::string_view)>& sink, const std::function<bool()>& keep_following,
                                    std::stop_token stop) = 0;
};

class LogReader {
 public:
  virtual ~LogReader() = default;
  // kNotFound: this attempt's log isn't there (yet, or any more). kInvalid: the target's names can't be a path.
  [[nodiscard]] virtual Result<std::unique_ptr<LogStream>> open(const LogTarget& target, const LogOptions& options) = 0;
};

// Which log is meant by (pod as published, container, previous). An empty `container` means the only one.
// kInvalid with the text that goes to the user with HTTP 400: no such container, waiting to start, no previous one.
[[nodiscard]] Result<LogTarget> resolve_log_target(const model::Pod& pod, const std::string& container, bool previous);

// Whether the container of `target` may still write: false once its attempt has ended, or another one has taken its place.
[[nodiscard]] bool may_still_log(const model::Pod& pod, const LogTarget& target);

}  // namespace pintle::ports
