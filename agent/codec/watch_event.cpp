// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// One line of a watch stream, cut rather than decoded: the object stays the text that it was, found by one pass of
// the parser that keeps nothing but the few fields a watch needs.
#include <fmt/format.h>

#include "codec/json_tree.h"
#include "codec/objects.h"
#include "codec/text.h"

namespace pintle::codec {
namespace {

class EventScanner {
 public:
  EventScanner(const JsonPosition& position, WatchEvent& out) : position_(position), out_(out) {}

  bool null() { return after_value(); }
  bool boolean(bool) { return after_value(); }
  bool number_integer(int64_t value) { return number(value); }
  bool number_unsigned(uint64_t value) { return number(value <= 999 ? static_cast<int64_t>(value) : 0); }
  bool number_float(double, const std::string&) { return after_value(); }
  bool string(std::string& text) {
    if (at({"type"})) type = text;
    if (at({"object", "message"})) out_.status_message = text;
    if (at({"object", "metadata", "resourceVersion"})) out_.resource_version = text;
    return after_value();
  }
  bool binary(nlohmann::json::binary_t&) { return false; }
  bool start_object(size_t) {
    if (at({"object"})) object_start_ = position_.offset - 1;
    return enter();
  }
  bool key(std::string& text) {
    keys_.back() = std::move(text);
    return true;
  }
  bool end_object() {
    keys_.pop_back();
    if (at({"object"})) {
      has_object = true;
      out_.object_json = position_.text.substr(object_start_, position_.offset - object_start_);
    }
    return after_value();
  }
  bool start_array(size_t) { return enter(); }
  bool end_array() {
    keys_.pop_back();
    return after_value();
  }
  bool parse_error(size_t, const std::string&, const nlohmann::json::exception&) {
    problem = fmt::format("invalid JSON at byte {}", position_.offset);
    return false;
  }

  std::string type;
  std::string problem;
  bool has_object = false;

 private:
  bool enter() {
    if (keys_.size() < kMaxDepth) {
      keys_.emplace_back();
      return true;
    }
    problem = fmt::format("nested deeper than {} levels", kMaxDepth);
    return false;
  }
  bool after_value() { return true; }
  bool number(int64_t value) {
    if (at({"object", "code"})) out_.status_code = static_cast<int>(value);
    return after_value();
  }
  // Whether the value at hand is the one at this path. Lists put an empty name on the way.
  [[nodiscard]] bool at(std::initializer_list<std::string_view> path) const {
    return path.size() == keys_.size() && std::equal(path.begin(), path.end(), keys_.begin());
  }

  const JsonPosition& position_;
  WatchEvent& out_;
  std::vector<std::string> keys_;
  size_t object_start_ = 0;
};

}  // namespace

Result<WatchEvent> decode_watch_event(std::string_view line) {
  static constexpr std::pair<std::string_view, WatchEvent::Kind> kKinds[] = {{"ADDED", WatchEvent::Kind::kAdded},
                                                                             {"MODIFIED", WatchEvent::Kind::kModified},
                                                                             {"DELETED", WatchEvent::Kind::kDeleted},
                                                                             {"BOOKMARK", WatchEvent::Kind::kBookmark},
                                                                             {"ERROR", WatchEvent::Kind::kError}};
  if (line.size() > kMaxJsonBytes) return fail(Code::kInvalid, fmt::format("watch event: {} bytes are more than the limit", line.size()));
  WatchEvent event;
  JsonPosition position{.text = line};
  EventScanner scanner(position, event);
  try {
    if (!nlohmann::json::sax_parse(JsonIterator(&position), JsonIterator(), &scanner))
      return fail(Code::kInvalid, fmt::format("watch event: {}", scanner.problem));
  } catch (const std::exception&) {  // the SAX interface reports instead of throwing; only allocation is left
    return fail(Code::kInvalid, "watch event: out of memory");
  }
  if (!scanner.has_object) return fail(Code::kInvalid, "watch event: no object");
  for (const auto& [name, kind] : kKinds) {
    if (scanner.type != name) continue;
    event.kind = kind;
    if (kind == WatchEvent::Kind::kError || kind == WatchEvent::Kind::kBookmark) event.object_json.clear();
    if (kind == WatchEvent::Kind::kError) event.resource_version.clear();
    if (kind != WatchEvent::Kind::kError && event.resource_version.empty())
      return fail(Code::kInvalid, "watch event: the object has no resourceVersion");
    return event;
  }
  return fail(Code::kInvalid, "watch event: its type is not one of ADDED, MODIFIED, DELETED, BOOKMARK, ERROR");
}

}  // namespace pintle::codec
