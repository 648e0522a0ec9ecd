// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "codec/program_event.h"

#include <iterator>

#include <fmt/format.h>

#include "codec/text.h"

namespace pintle::codec {
namespace {

void append_string(std::string& out, std::string_view key, std::string_view text) {
  fmt::format_to(std::back_inserter(out), ",\"{}\":\"", key);
  for (const char c : as_utf8(std::string(text))) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out.push_back('\\');
      out.push_back(c);
    } else if (byte < 0x20 || byte == 0x7F) {
      fmt::format_to(std::back_inserter(out), "\\u{:04x}", byte);
    } else {
      out.push_back(c);
    }
  }
  out.push_back('"');
}

void append_number(std::string& out, std::string_view key, auto value) {
  fmt::format_to(std::back_inserter(out), ",\"{}\":{}", key, value);
}

}  // namespace

ProgramEventText text_of(const model::ProgramEvent& event, std::string_view namespace_, std::string_view name) {
  return {.type = to_string(event.kind),
          .namespace_ = namespace_,
          .name = name,
          .uid = event.uid.value(),
          .comm = event.comm,
          .verdict = to_string(event.verdict),
          .destination = event.destination,
          .detail = event.detail,
          .time = event.time,
          .cgroup_id = event.cgroup_id.value(),
          .sequence = event.sequence,
          .pid = event.pid,
          .wait_status = event.exit_code};
}

bool has_verdict(std::string_view type) { return type != "exec" && type != "exit" && type != "oom" && type != "tcp"; }

std::string encode_program_event(const ProgramEventText& event) {
  std::string out = R"({"apiVersion":"pintle.dev/v1","kind":"EbpfEvent")";
  append_string(out, "type", event.type);
  append_string(out, "time", format_rfc3339_nano(event.time));
  append_string(out, "namespace", event.namespace_);
  append_string(out, "name", event.name);
  append_string(out, "uid", event.uid);
  append_number(out, "cgroupId", event.cgroup_id);
  append_number(out, "pid", event.pid);
  append_string(out, "comm", event.comm);
  append_number(out, "sequence", event.sequence);
  if (has_verdict(event.type)) append_string(out, "verdict", event.verdict);
  if (!event.destination.empty()) append_string(out, "destination", event.destination);
  if (!event.detail.empty()) append_string(out, "detail", event.detail);
  if (event.late) out += ",\"late\":true";
  if (event.skipped != 0) append_number(out, "skipped", event.skipped);
  if (event.type == "exit") append_number(out, "waitStatus", event.wait_status);
  out.push_back('}');
  return out;
}

}  // namespace pintle::codec
