// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "codec/program_event.h"

#include <catch2/catch_test_macros.hpp>

#include "codec/document.h"
#include "codec/text.h"

using namespace pintle;

TEST_CASE("an event's line is JSON whatever a process calls itself") {
  const model::ProgramEvent event{.kind = model::ProgramEventKind::kConnect,
                                  .uid = PodUid("u"),
                                  .cgroup_id = CgroupId(7),
                                  .time = Time{std::chrono::seconds{1'700'000'000}},
                                  .sequence = 3,
                                  .pid = 9,
                                  .comm = "a\"\\\n\x7f\xff\xc3\xa9",
                                  .verdict = model::Verdict::kDenied,
                                  .destination = "[::1]:80/tcp"};
  auto text = codec::text_of(event, "ns", "pod");
  const auto line = codec::encode_program_event(text);
  CHECK(line ==
        R"({"apiVersion":"pintle.dev/v1","kind":"EbpfEvent","type":"connect","time":"2023-11-14T22:13:20Z","namespace":"ns","name":"pod",)"
        R"("uid":"u","cgroupId":7,"pid":9,"comm":"a\"\\\u000a\u007f?é","sequence":3,"verdict":"denied","destination":"[::1]:80/tcp"})");
  CHECK(codec::parse_json(line, ""));
  text.late = true;
  text.skipped = 5;
  CHECK(codec::encode_program_event(text).ends_with(R"(,"late":true,"skipped":5})"));
}

TEST_CASE("a verdict stands only where programs decide, a wait status only at an exit") {
  model::ProgramEvent event{.kind = model::ProgramEventKind::kExit, .exit_code = 9};
  const auto exit = codec::encode_program_event(codec::text_of(event, "", ""));
  CHECK(exit.ends_with(R"("waitStatus":9})"));
  CHECK(exit.find("verdict") == std::string::npos);
  event.kind = model::ProgramEventKind::kDevice;
  const auto device = codec::encode_program_event(codec::text_of(event, "", ""));
  CHECK(device.find("waitStatus") == std::string::npos);
  CHECK(device.find(R"("verdict":"allowed")") != std::string::npos);
}

TEST_CASE("bytes that are not UTF-8 become question marks, one each") {
  CHECK(codec::as_utf8("plain") == "plain");
  CHECK(codec::as_utf8("\xff\xfe") == "??");
  CHECK(codec::as_utf8("a\xc3\xa9\xc3") == "a\xc3\xa9?");
  CHECK(codec::as_utf8("") == "");
}
