// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include <fmt/format.h>

#include "telemetry/otlp_encode.h"
#include "telemetry/otlp_transport.h"

namespace pintle::telemetry {
namespace {

using Kind = SendOutcome::Kind;

const char* path_of(OtlpSignal signal) {
  switch (signal) {
    case OtlpSignal::kTraces: return "/v1/traces";
    case OtlpSignal::kMetrics: return "/v1/metrics";
    case OtlpSignal::kLogs: return "/v1/logs";
  }
  return "";
}

// Others (400, 401, 404, 413 …) say that it will not be taken at another time either.
bool is_worth_a_retry(int status) { return status == 429 || status == 502 || status == 503 || status == 504; }

SendOutcome outcome_of(const ports::HttpReply& reply) {
  if (reply.status >= 200 && reply.status < 300) {
    const auto answer = decode_answer(reply.body);
    if (!answer) return {};  // taken; what else it says is not for us
    return {.rejected = static_cast<uint64_t>(answer->rejected), .message = answer->message};
  }
  SendOutcome outcome{.kind = is_worth_a_retry(reply.status) ? Kind::kRetry : Kind::kRefused};
  const auto told = decode_refusal(reply.body);
  outcome.message = fmt::format("HTTP status {}{}{}", reply.status, told.message.empty() ? "" : ": ", told.message.substr(0, 200));
  if (reply.retry_after) outcome.retry_after = *reply.retry_after;
  return outcome;
}

class HttpTransport final : public OtlpTransport {
 public:
  explicit HttpTransport(std::unique_ptr<ports::HttpPoster> poster) : poster_(std::move(poster)) {}

  [[nodiscard]] SendOutcome send(OtlpSignal signal, const std::string& request, std::stop_token stop) override {
    const auto reply = poster_->post({.path = path_of(signal), .body = request, .content_type = "application/x-protobuf"}, std::move(stop));
    if (reply) return outcome_of(*reply);
    // No answer. A certificate that can't be read may be mended as well, and is read again for the next connection.
    return {.kind = Kind::kRetry, .message = reply.error().message()};
  }

 private:
  const std::unique_ptr<ports::HttpPoster> poster_;
};

}  // namespace

std::unique_ptr<OtlpTransport> make_http_transport(std::unique_ptr<ports::HttpPoster> poster) {
  return std::make_unique<HttpTransport>(std::move(poster));
}

}  // namespace pintle::telemetry
