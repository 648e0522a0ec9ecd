// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// The lines of a watch stream: each is an event or an error, and the object that was cut out is JSON of its own.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "codec/document.h"
#include "codec/objects.h"
#include "codec/text.h"

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

void check_line(std::string_view line) {
  using namespace pintle::codec;
  const auto event = decode_watch_event(line);
  if (!event) {
    require(event.error().code == pintle::Code::kInvalid);
    require(!find_bad_utf8(event.error().context));
    return;
  }
  if (event->kind == WatchEvent::Kind::kError) return;
  require(!event->resource_version.empty());
  if (event->kind == WatchEvent::Kind::kBookmark) return;
  const auto object = parse_json(event->object_json, "");
  // The scanner keeps no keys and does not see that one stands twice; the decoder of the object does.
  if (object) require(object->is_map());
  if (!object) require(object.error().context.find("is given twice") != std::string::npos);
  (void)decode_pod(event->object_json);  // any outcome is fine
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view rest(reinterpret_cast<const char*>(data), size);
  while (!rest.empty()) {
    const size_t end = std::min(rest.find('\n'), rest.size());
    check_line(rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return 0;
}
