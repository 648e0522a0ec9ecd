// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "standalone/packed_text.h"

#include <catch2/catch_test_macros.hpp>
#include <random>

namespace pintle::standalone {

TEST_CASE("a packed text is told as it was") {
  std::minstd_rand random(1);
  for (const size_t size : {0, 1, 2, 3, 50, 4095, 4096, 100'000, 1'000'000}) {
    INFO(size);
    std::string noise(size, '\0'), words;
    for (char& c : noise) c = static_cast<char>(random());
    while (words.size() < size) words += R"({"type":"Ready","status":"True"},)" + std::to_string(random());
    for (const auto& text : {std::string(size, 'x'), noise, words}) {
      const PackedText packed(text);
      CHECK(packed.text() == text);
      CHECK(packed.text_size() == text.size());
      CHECK(packed.held_bytes() <= text.size());
    }
  }
  CHECK(PackedText().text().empty());
}

TEST_CASE("what objects usually say takes next to nothing") {
  const std::string event =
      R"({"apiVersion":"v1","count":1,"eventTime":null,"firstTimestamp":"2026-11-30T20:13:32Z","involvedObject":{"apiVersion":"v1","fieldPath":"spec.containers{c0}","kind":"Pod","name":"idle-0","namespace":"default","resourceVersion":"211","uid":"0b4ca17f-9653-47b7-9b82-f85c05490fec"},"kind":"Event","lastTimestamp":"2026-11-30T20:13:32Z","message":"Container created","metadata":{"creationTimestamp":"2026-11-30T20:13:32Z","name":"idle-0.18ecebcbd76aee94","namespace":"default","resourceVersion":"480","uid":"6227d692-b587-4f3b-a461-2286c6509a69"},"reason":"Created","reportingComponent":"kubelet","reportingInstance":"e2e-node","source":{"component":"kubelet","host":"e2e-node"},"type":"Normal"})";
  CHECK(PackedText(event).held_bytes() * 3 < event.size());
}

}  // namespace pintle::standalone
