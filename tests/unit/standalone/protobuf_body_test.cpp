// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "standalone/protobuf_body.h"

#include <catch2/catch_test_macros.hpp>

namespace pintle::standalone {
namespace {

std::string bytes_field(int number, const std::string& value) {
  REQUIRE(value.size() < 128);
  return std::string(1, static_cast<char>(number << 3 | 2)) + std::string(1, static_cast<char>(value.size())) + value;
}
std::string envelope(const std::string& kind, const std::string& raw) {
  return std::string("k8s\0", 4) + bytes_field(1, bytes_field(1, "v1") + bytes_field(2, kind)) + bytes_field(2, raw) + bytes_field(3, "") +
         bytes_field(4, "");
}

}  // namespace

TEST_CASE("the kinds that kubectl sends as protobuf are read") {
  const std::string entry = bytes_field(1, "key") + bytes_field(2, "value");
  const auto map = decode_protobuf_body(
      envelope("ConfigMap", bytes_field(1, bytes_field(1, "cm") + bytes_field(3, "")) + bytes_field(2, entry) + "\x20\x01"));
  REQUIRE(map);
  CHECK(*map == Json::parse(R"({"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"cm"},"data":{"key":"value"},"immutable":true})"));
  const auto secret =
      decode_protobuf_body(envelope("Secret", bytes_field(1, bytes_field(1, "s")) + bytes_field(2, entry) + bytes_field(3, "Opaque")));
  REQUIRE(secret);
  CHECK((*secret)["data"]["key"] == "dmFsdWU=");
  const auto options = decode_protobuf_body(
      envelope("DeleteOptions", std::string("\x08\x05", 2) + bytes_field(2, bytes_field(1, "u")) + bytes_field(5, "All")));
  REQUIRE(options);
  CHECK((*options)["gracePeriodSeconds"] == 5);
  CHECK((*options)["preconditions"]["uid"] == "u");
}

TEST_CASE("other kinds and broken bytes are refused, at every cut") {
  CHECK(decode_protobuf_body(envelope("Pod", "")).error().code == 415);
  CHECK(decode_protobuf_body("{}").error().code == 400);
  const std::string whole =
      envelope("ConfigMap", bytes_field(1, bytes_field(1, "cm")) + bytes_field(2, bytes_field(1, "k") + bytes_field(2, "v")));
  REQUIRE(decode_protobuf_body(whole));
  for (size_t size = 0; size < whole.size(); ++size) {
    const auto cut = decode_protobuf_body(whole.substr(0, size));  // a cut between two fields can be a smaller message
    if (!cut) CHECK((cut.error().code == 400 || cut.error().code == 415));
  }
  CHECK(decode_protobuf_body(std::string("k8s\0", 4) + "\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01").error().code == 400);
}

}  // namespace pintle::standalone
