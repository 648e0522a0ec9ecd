// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "kube/response_reader.h"

#include <algorithm>
#include <cctype>
#include <charconv>

#include <fmt/format.h>

namespace pintle::kube {
namespace {

constexpr size_t kHeadBudget = size_t{64} * 1024;

std::unexpected<Error> no_response(std::string_view what) {
  return fail(Code::kUnavailable, fmt::format("not an HTTP response: {}", what));
}

std::string lower(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return out;
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

template <typename Number>
bool parse(std::string_view text, Number& out, int base = 10) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out, base);
  return error == std::errc() && end == text.data() + text.size() && !text.empty();
}

}  // namespace

Status ResponseReader::feed(std::string_view data, const std::function<void(std::string_view)>& on_body) {
  while (!data.empty()) {
    if (state_ == State::kDone) return no_response("something follows it that was not asked for");
    if (part_ == Part::kRest || part_ == Part::kLength || part_ == Part::kChunk) {
      const auto piece = part_ == Part::kRest ? data : data.substr(0, std::min<uint64_t>(left_, data.size()));
      data.remove_prefix(piece.size());
      on_body(piece);
      if (part_ == Part::kRest) continue;
      left_ -= piece.size();
      if (left_ > 0) continue;
      if (part_ == Part::kLength)
        body_ends();
      else
        part_ = Part::kChunkEnd;
      continue;
    }
    const size_t end = data.find('\n');
    const auto piece = data.substr(0, end);
    head_size_ += piece.size();
    if (line_.size() + piece.size() > kHeadBudget || (state_ == State::kHead && head_size_ > kHeadBudget))
      return no_response("its head is too large");
    line_.append(piece);
    if (end == std::string_view::npos) return {};
    data.remove_prefix(end + 1);
    if (line_.ends_with('\r')) line_.pop_back();
    const std::string line = std::exchange(line_, {});
    PINTLE_TRY(take_line(line));
  }
  return {};
}

Status ResponseReader::take_line(std::string_view line) {
  switch (part_) {
    case Part::kStatusLine: return take_status_line(line);
    case Part::kHeader: return line.empty() ? head_ends() : take_header(line);
    case Part::kChunkSize: return take_chunk_size(line);
    case Part::kChunkEnd:
      if (!line.empty()) return no_response("a chunk is longer than it says");
      part_ = Part::kChunkSize;
      return {};
    case Part::kTrailer:
      if (line.empty()) body_ends();
      return {};
    default: return no_response("a line where there is none");
  }
}

Status ResponseReader::take_status_line(std::string_view line) {
  const bool known = line.starts_with("HTTP/1.1 ") || line.starts_with("HTTP/1.0 ");
  if (!known || line.size() < 12 || !parse(line.substr(9, 3), status_)) return no_response(fmt::format("'{}'", line.substr(0, 60)));
  if (line[7] == '0') reusable_ = false;
  part_ = Part::kHeader;
  return {};
}

Status ResponseReader::take_header(std::string_view line) {
  const size_t colon = line.find(':');
  if (colon == std::string_view::npos) return no_response(fmt::format("header '{}'", line.substr(0, 60)));
  const std::string name = lower(line.substr(0, colon));
  const auto value = trimmed(line.substr(colon + 1));
  if (name == "content-length") {
    uint64_t length = 0;
    if (!parse(value, length)) return no_response(fmt::format("Content-Length '{}'", value.substr(0, 60)));
    length_ = length;
  } else if (name == "transfer-encoding") {
    if (lower(value) != "chunked") return no_response(fmt::format("Transfer-Encoding '{}' was not asked for", value.substr(0, 60)));
    chunked_ = true;
  } else if (name == "connection" && lower(value) == "close") {
    reusable_ = false;
  } else if (name == "retry-after") {
    retry_after_ = value;
  }
  return {};
}

Status ResponseReader::take_chunk_size(std::string_view line) {
  if (!parse(trimmed(line.substr(0, line.find(';'))), left_, 16)) return no_response(fmt::format("chunk size '{}'", line.substr(0, 60)));
  part_ = left_ == 0 ? Part::kTrailer : Part::kChunk;
  return {};
}

Status ResponseReader::head_ends() {
  if (status_ >= 100 && status_ < 200) {  // the answer itself is still to come
    part_ = Part::kStatusLine;
    return {};
  }
  state_ = State::kBody;
  if (status_ == 204 || status_ == 304) {
    body_ends();
  } else if (chunked_) {
    part_ = Part::kChunkSize;
  } else if (length_) {
    part_ = Part::kLength;
    left_ = *length_;
    if (left_ == 0) body_ends();
  } else {
    part_ = Part::kRest;
    reusable_ = false;
  }
  return {};
}

void ResponseReader::body_ends() { state_ = State::kDone; }

Status ResponseReader::end() {
  if (state_ == State::kDone) return {};
  if (part_ != Part::kRest) return fail(Code::kUnavailable, "the connection closed before the response was complete");
  body_ends();
  return {};
}

}  // namespace pintle::kube
