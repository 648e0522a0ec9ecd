// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// One HTTP/1.1 response, taken in as its bytes come: for connections that nobody waits on (object_watcher.h). Chunked, with a length, or
// until the connection closes. Whoever may wait uses HttpClient. Thread rule: as a plain value.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace pintle::kube {

class ResponseReader {
 public:
  enum class State { kHead, kBody, kDone };

  // Takes all of `data`, hands the body on piece by piece. kUnavailable: it is no response; the connection is of no use any more.
  [[nodiscard]] Status feed(std::string_view data, const std::function<void(std::string_view)>& on_body);
  // The peer has closed. kUnavailable: before the response was complete.
  [[nodiscard]] Status end();

  [[nodiscard]] State state() const { return state_; }
  [[nodiscard]] int status() const { return status_; }
  [[nodiscard]] const std::string& retry_after() const { return retry_after_; }
  // Another request may follow on this connection. REQUIRES: kDone.
  [[nodiscard]] bool reusable() const { return reusable_; }

 private:
  enum class Part { kStatusLine, kHeader, kRest, kLength, kChunkSize, kChunk, kChunkEnd, kTrailer };
  [[nodiscard]] Status take_line(std::string_view line);
  [[nodiscard]] Status take_status_line(std::string_view line);
  [[nodiscard]] Status take_header(std::string_view line);
  [[nodiscard]] Status take_chunk_size(std::string_view line);
  [[nodiscard]] Status head_ends();
  void body_ends();

  State state_ = State::kHead;
  Part part_ = Part::kStatusLine;
  int status_ = 0;
  std::string line_, retry_after_;
  size_t head_size_ = 0;
  std::optional<uint64_t> length_;
  bool chunked_ = false, reusable_ = true;
  uint64_t left_ = 0;
};

}  // namespace pintle::kube
