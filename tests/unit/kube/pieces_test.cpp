// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// The pure pieces: line splitter, token bucket, event correlator, status mapping, Retry-After.
#include <cerrno>

#include <catch2/catch_test_macros.hpp>

#include <fmt/format.h>

#include "kube/api_connection.h"
#include "kube/event_correlator.h"
#include "kube/line_splitter.h"
#include "kube/rate_limiter.h"
#include "kube/retry_after.h"

using namespace pintle;
using namespace pintle::kube;
using std::chrono::seconds;

namespace {

struct Split {
  std::vector<std::string> lines;
  int overlong = 0;
};
// Feeds `text` in pieces of `step` bytes.
Split split(const std::string& text, size_t step, size_t limit) {
  Split out;
  LineSplitter splitter(limit);
  for (size_t at = 0; at < text.size(); at += step)
    splitter.feed(
        std::string_view(text).substr(at, step), [&](std::string_view line) { out.lines.emplace_back(line); }, [&] { ++out.overlong; });
  return out;
}

const SteadyTime kStart{std::chrono::hours(1)};

model::Event event(const std::string& pod, const std::string& reason, const std::string& message) {
  model::Event out;
  out.object.kind = "Pod";
  out.object.namespace_ = "ns";
  out.object.name = pod;
  out.object.uid = "u-" + pod;
  out.reason = reason;
  out.message = message;
  out.time = Time{seconds(1000)};
  return out;
}

}  // namespace

TEST_CASE("lines come out whole however the stream is cut") {
  const std::string text = "one\ntwo\r\n\n\nthree\nunfinished";
  for (size_t step = 1; step <= text.size(); ++step) {
    CAPTURE(step);
    CHECK(split(text, step, 100).lines == std::vector<std::string>{"one", "two", "three"});
  }
}

TEST_CASE("an overlong line is dropped alone") {
  const std::string text = "ab\n" + std::string(50, 'x') + "\ncd\n";
  for (size_t step : {size_t{1}, size_t{7}, text.size()}) {
    const auto out = split(text, step, 10);
    CHECK(out.lines == std::vector<std::string>{"ab", "cd"});
    CHECK(out.overlong == 1);
  }
  CHECK(split(std::string(10, 'x') + "\n", 3, 10).overlong == 0);
  CHECK(split(std::string(11, 'x') + "\n", 3, 10).overlong == 1);
}

TEST_CASE("a token bucket lets a burst through and then a rate") {
  TokenBucket bucket(50, 100);
  for (int i = 0; i < 100; ++i) CHECK(bucket.reserve(kStart) == Duration::zero());
  CHECK(bucket.reserve(kStart) == std::chrono::milliseconds(20));
  CHECK(bucket.reserve(kStart) == std::chrono::milliseconds(40));
  CHECK(bucket.reserve(kStart + seconds(10)) == Duration::zero());
}

TEST_CASE("HTTP statuses become codes by what callers do about them") {
  struct Row {
    int status;
    const char* reason;
    Code code;
    int sys_errno = 0;
  };
  const Row rows[] = {{404, "NotFound", Code::kNotFound},
                      {409, "AlreadyExists", Code::kAlreadyExists},
                      {409, "Conflict", Code::kGone},
                      {410, "Expired", Code::kGone},
                      {400, "BadRequest", Code::kInvalid},
                      {422, "Invalid", Code::kInvalid},
                      {401, "Unauthorized", Code::kUnavailable},
                      {403, "Forbidden", Code::kUnavailable, EACCES},
                      {429, "TooManyRequests", Code::kUnavailable},
                      {500, "InternalError", Code::kUnavailable},
                      {503, "ServiceUnavailable", Code::kUnavailable},
                      {504, "Timeout", Code::kUnavailable},
                      {302, "", Code::kInternal}};
  for (const auto& row : rows) {
    CAPTURE(row.status, row.reason);
    const HttpResponse response{
        .status = row.status,
        .body =
            fmt::format(R"({{"kind":"Status","apiVersion":"v1","code":{},"reason":"{}","message":"the message"}})", row.status, row.reason),
        .retry_after = std::nullopt};
    const Error error = error_from_response(response, "get pod 'a'");
    CHECK(error.code == row.code);
    CHECK(error.sys_errno == row.sys_errno);
    CHECK(error.context.starts_with(fmt::format("get pod 'a': {}", row.status)));
    CHECK(error.context.ends_with("the message"));
  }
  CHECK(error_from_response({.status = 502, .body = "Bad Gateway\n<html>", .retry_after = std::nullopt}, "x").context ==
        "x: 502: Bad Gateway");
}

TEST_CASE("path segments are encoded") {
  CHECK(percent_encode("spec.nodeName=n 1/ä") == "spec.nodeName%3Dn%201%2F%C3%A4");
  CHECK(percent_encode(std::string_view("a\0b", 3)) == "a%00b");
}

TEST_CASE("events of the same words are counted, others created") {
  EventCorrelator correlator("kubelet", "n1");
  const auto first = correlator.add(event("a", "BackOff", "again"), kStart);
  CHECK(first.verdict == EventVerdict::kCreate);
  CHECK(first.record.name.starts_with("a."));
  CHECK(first.record.namespace_ == "ns");
  CHECK(first.record.component == "kubelet");
  auto later = event("a", "BackOff", "again");
  later.time += seconds(5);
  const auto second = correlator.add(later, kStart);
  CHECK(second.verdict == EventVerdict::kUpdate);
  CHECK(second.record.name == first.record.name);
  CHECK(second.record.count == 2);
  CHECK(second.record.first_time == first.record.first_time);
  CHECK(second.record.last_time == later.time);
  CHECK(correlator.add(event("a", "BackOff", "other words"), kStart).verdict == EventVerdict::kCreate);
  CHECK(correlator.add(event("b", "BackOff", "again"), kStart).verdict == EventVerdict::kCreate);
  correlator.forget(second.record);
  CHECK(correlator.add(later, kStart).verdict == EventVerdict::kCreate);
}

TEST_CASE("an object that talks too much is cut off after 25 and heard again later") {
  EventCorrelator correlator("kubelet", "n1");
  for (int i = 0; i < 25; ++i) CHECK(correlator.add(event("a", "R", fmt::to_string(i)), kStart).verdict == EventVerdict::kCreate);
  CHECK(correlator.add(event("a", "R", "26th"), kStart).verdict == EventVerdict::kDrop);
  CHECK(correlator.add(event("b", "R", "first"), kStart).verdict == EventVerdict::kCreate);
  CHECK(correlator.add(event("a", "R", "x"), kStart + seconds(299)).verdict == EventVerdict::kDrop);
  CHECK(correlator.add(event("a", "R", "x"), kStart + seconds(301)).verdict == EventVerdict::kCreate);
  CHECK(correlator.add(event("a", "R", "y"), kStart + seconds(301)).verdict == EventVerdict::kDrop);
}

TEST_CASE("Retry-After is seconds or a date, and never more than five minutes") {
  const auto now = parse_rfc3339("1999-12-31T23:59:00.5Z").value();
  struct Row {
    const char* text;
    std::optional<seconds> expected;
  };
  for (const auto& row : {Row{"7", seconds(7)}, Row{"0", seconds(0)}, Row{"86400", seconds(300)}, Row{"-1", {}}, Row{"", {}}, Row{"7s", {}},
                          Row{"Fri, 31 Dec 1999 23:59:59 GMT", seconds(59)}, Row{"Fri, 31 Dec 1999 23:58:59 GMT", seconds(0)},
                          Row{"Sat, 01 Jan 2000 23:59:59 GMT", seconds(300)}, Row{"Fri, 31 Dec 1999 23:59:59 CET", {}},
                          Row{"Fri, 31 Dec 1999 23:59:59 GMT x", {}}, Row{"1999-12-31T23:59:59Z", {}}}) {
    INFO(row.text);
    CHECK(parse_retry_after(row.text, now) == row.expected);
  }
}
