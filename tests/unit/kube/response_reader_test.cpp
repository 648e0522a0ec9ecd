// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "kube/response_reader.h"

#include <catch2/catch_test_macros.hpp>

using namespace pintle;
using namespace pintle::kube;

namespace {

struct Read {
  std::string body, error;
  ResponseReader reader;
};

// In pieces of `size`, then the end of the connection if `closes`.
Read read(std::string_view text, size_t size, bool closes) {
  Read out;
  for (size_t at = 0; at < text.size() && out.error.empty(); at += size)
    if (auto fed = out.reader.feed(text.substr(at, size), [&](std::string_view piece) { out.body += piece; }); !fed)
      out.error = fed.error().message();
  if (closes && out.error.empty())
    if (auto ended = out.reader.end(); !ended) out.error = ended.error().message();
  return out;
}

constexpr size_t kPieces[] = {1, 2, 3, 7, 100000};

}  // namespace

TEST_CASE("a response is read the same in whatever pieces it comes") {
  struct Case {
    const char *name, *text;
    int status;
    const char *body, *retry_after;
    bool reusable, closes;
  };
  static constexpr Case kCases[] = {
      {"chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n1;x=y\r\n \r\n5\r\nworld\r\n0\r\n\r\n", 200,
       "hello world", "", true, false},
      {"chunked with a trailer", "HTTP/1.1 200 OK\r\ntransfer-encoding:  Chunked\r\n\r\nA\r\n0123456789\r\n0\r\nX: y\r\n\r\n", 200,
       "0123456789", "", true, false},
      {"with a length", "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\n{}", 403, "{}", "", true, false},
      {"without a body", "HTTP/1.1 429 Too Many\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n", 429, "", "7", true, false},
      {"no content", "HTTP/1.1 204 No Content\r\n\r\n", 204, "", "", true, false},
      {"until the end", "HTTP/1.0 200 OK\r\n\r\nall of it", 200, "all of it", "", false, true},
      {"closed after it", "HTTP/1.1 410 Gone\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx", 410, "x", "", false, true},
      {"after another", "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\nContent-Length: 1\n\nx", 200, "x", "", true, false},
  };
  for (const auto& one : kCases)
    for (const size_t size : kPieces) {
      CAPTURE(one.name, size);
      const Read got = read(one.text, size, one.closes);
      CHECK(got.error == "");
      CHECK(got.reader.state() == ResponseReader::State::kDone);
      CHECK(got.reader.status() == one.status);
      CHECK(got.body == one.body);
      CHECK(got.reader.retry_after() == one.retry_after);
      CHECK(got.reader.reusable() == one.reusable);
    }
}

TEST_CASE("what is no response, or not all of one, is told") {
  struct Case {
    const char *name, *text, *error;
  };
  static constexpr Case kCases[] = {
      {"another protocol", "SSH-2.0-OpenSSH\r\n", "'SSH-2.0-OpenSSH'"},
      {"HTTP/2", "HTTP/2.0 200 OK\r\n\r\n", "'HTTP/2.0 200 OK'"},
      {"no status", "HTTP/1.1 abc\r\n\r\n", "'HTTP/1.1 abc'"},
      {"no header", "HTTP/1.1 200 OK\r\nhello\r\n\r\n", "header 'hello'"},
      {"a bad length", "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", "Content-Length '-1'"},
      {"compressed", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", "was not asked for"},
      {"a bad chunk size", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", "chunk size 'xyz'"},
      {"a huge chunk size", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n", "chunk size"},
      {"a long chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nxy\r\n", "longer than it says"},
      {"more than asked for", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nHTTP", "not asked for"},
      {"half a head", "HTTP/1.1 200 OK\r\n", "closed before"},
      {"half a chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhe", "closed before"},
      {"half a body", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe", "closed before"},
  };
  for (const auto& one : kCases)
    for (const size_t size : kPieces) {
      CAPTURE(one.name, size);
      const Read got = read(one.text, size, true);
      CHECK(got.error.find(one.error) != std::string::npos);
    }
  CHECK(read(std::string(100000, 'x'), 1000, false).error.find("too large") != std::string::npos);
  std::string many = "HTTP/1.1 200 OK\r\n";
  for (int i = 0; i < 10000; ++i) many += "X: 12345678\r\n";
  CHECK(read(many, 1000, false).error.find("too large") != std::string::npos);
}
