// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include <catch2/catch_test_macros.hpp>

#include "base/sha256.h"

using namespace pintle;

// The examples of FIPS 180-4 and its test vectors.
TEST_CASE("SHA-256 is that of the standard") {
  CHECK(sha256_hex("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  CHECK(sha256_hex("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CHECK(sha256_hex("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq") ==
        "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  CHECK(sha256_hex(std::string(1000000, 'a')) == "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST_CASE("SHA-256 of pieces is that of the whole, at every length around a block") {
  const std::string text(200, 'x');
  for (size_t length = 0; length <= text.size(); ++length) {
    const std::string whole = text.substr(0, length);
    const size_t half = length / 3;
    CHECK(Sha256().add(whole.substr(0, half)).add(whole.substr(half)).hex() == sha256_hex(whole));
  }
}
