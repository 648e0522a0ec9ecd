// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "nri/wire.h"

#include <random>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

using namespace pintle;
using namespace pintle::nri;
using namespace std::string_literals;
using Catch::Matchers::ContainsSubstring;

namespace {

std::vector<Message> read_all(MessageReader& reader, std::string_view bytes, size_t step) {
  std::vector<Message> out;
  for (; !bytes.empty(); bytes.remove_prefix(std::min(step, bytes.size()))) {
    auto got = reader.feed(bytes.substr(0, step));
    if (!got) FAIL(got.error().message());
    out.insert(out.end(), got->begin(), got->end());
  }
  return out;
}

}  // namespace

TEST_CASE("a message is these bytes") {
  CHECK(encode({.connection = 2, .stream = 1, .type = MessageType::kRequest, .flags = 0, .data = "abc"}) ==
        "\0\0\0\2\0\0\0\x0d"  // connection 2, 13 bytes
        "\0\0\0\3\0\0\0\1\1\0"
        "abc"s);
  CHECK(encode({.connection = 1, .stream = 258, .type = MessageType::kResponse, .flags = 0, .data = {}}) ==
        "\0\0\0\1\0\0\0\x0a\0\0\0\0\0\0\1\2\2\0"s);
}

TEST_CASE("large messages go out in pieces that the other side can read at once") {
  const std::string bytes = encode({.connection = 1, .stream = 3, .type = MessageType::kResponse, .data = std::string(10'000, 'x')});
  CHECK(bytes.size() == 10'000 + kMessageHeader + 3 * kTrunkHeader);
  CHECK(bytes.substr(4, 4) == "\0\0\x10\0"s);
  CHECK(bytes.substr(4096 + 8 + 4, 4) == "\0\0\x10\0"s);
  MessageReader reader;
  const auto back = read_all(reader, bytes, 1000);
  REQUIRE(back.size() == 1);
  CHECK(back[0].data == std::string(10'000, 'x'));
}

TEST_CASE("messages come back whole, however the bytes are cut") {
  const std::vector<Message> sent{{1, 1, MessageType::kRequest, 0, "one"},
                                  {2, 1, MessageType::kResponse, 0, ""},
                                  {1, 3, MessageType::kRequest, 2, std::string(9000, 'y')},
                                  {1, 5, MessageType::kData, 4, "end"}};
  std::string bytes;
  for (const auto& message : sent) bytes += encode(message);
  bytes.insert(0, "\0\0\0\7\0\0\0\2zz"s);  // a connection that nobody opened
  bytes.insert(0, "\0\0\0\1\0\0\0\0"s);    // an empty frame
  for (const size_t step : {size_t{1}, size_t{2}, size_t{7}, size_t{13}, size_t{4096}, bytes.size()}) {
    MessageReader reader;
    CHECK(read_all(reader, bytes, step) == sent);
  }
}

TEST_CASE("interleaved connections keep their own streams") {
  // Half a message of connection 1, a whole one of 2, the rest of 1.
  const std::string bytes =
      "\0\0\0\1\0\0\0\4\0\0\0\2"
      "\0\0\0\2\0\0\0\x0b\0\0\0\1\0\0\0\1\2\0r"
      "\0\0\0\1\0\0\0\x08\0\0\0\1\1\0ab"s;
  MessageReader reader;
  const auto got = reader.feed(bytes);
  REQUIRE(got);
  CHECK(*got == std::vector<Message>{{2, 1, MessageType::kResponse, 0, "r"}, {1, 1, MessageType::kRequest, 0, "ab"}});
}

TEST_CASE("what is larger than allowed, or no message, is refused before it is kept") {
  struct Row {
    std::string bytes, error;
  };
  const Row rows[] = {
      {"\0\0\0\1\xff\xff\xff\xff"s, "a frame of 4294967295 bytes: NRI allows 4194314"},
      {"\0\0\0\1\0\x40\0\x0b"s, "a frame of 4194315 bytes"},
      {"\0\0\0\1\0\0\0\x0a\0\x40\0\1\0\0\0\1\1\0"s, "a message of 4194305 bytes: ttrpc allows 4194304"},
      {"\0\0\0\1\0\0\0\x0a\0\0\0\0\0\0\0\1\0\0"s, "a message of type 0"},
      {"\0\0\0\1\0\0\0\x0a\0\0\0\0\0\0\0\1\4\0"s, "a message of type 4"},
  };
  for (const auto& row : rows) {
    MessageReader reader;
    const auto got = reader.feed(row.bytes);
    REQUIRE_FALSE(got);
    CHECK(got.error().code == Code::kInvalid);
    CHECK_THAT(got.error().message(), ContainsSubstring(row.error));
  }
  MessageReader reader;
  CHECK(reader.feed("\0\0\0\1\0\x40\0\x0a"s));             // the largest frame there may be
  CHECK(reader.feed("\0\x40\0\0\0\0\0\1\1\0"s)->empty());  // … and message
  CHECK(reader.feed(std::string(kMostData, 'z'))->size() == 1);
}

TEST_CASE("chance bytes end in messages or an error, never worse") {
  std::mt19937 chance(7);  // the same each time
  for (int round = 0; round < 3000; ++round) {
    std::string bytes;
    for (int i = 0; i < 4; ++i) {
      Message message{.connection = static_cast<uint32_t>(chance() % 4),
                      .stream = static_cast<uint32_t>(chance() % 9),
                      .type = static_cast<MessageType>(1 + chance() % 3),
                      .data = std::string(chance() % 40, 'd')};
      bytes += encode(message);
    }
    for (int flips = static_cast<int>(chance() % 4); flips > 0; --flips) bytes[chance() % bytes.size()] = static_cast<char>(chance());
    bytes.resize(chance() % (bytes.size() + 1));
    MessageReader reader;
    for (std::string_view rest = bytes; !rest.empty();) {
      const size_t step = 1 + chance() % rest.size();
      const auto got = reader.feed(rest.substr(0, step));
      if (!got) {
        CHECK(got.error().code == Code::kInvalid);
        break;
      }
      for (const auto& message : *got) CHECK(message.data.size() <= bytes.size());
      rest.remove_prefix(step);
    }
  }
}
