// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include <fmt/format.h>

#include "telemetry/gzip.h"
#include "telemetry/otlp_encode.h"
#include "telemetry/otlp_json.h"
#include "telemetry/otlp_transport.h"

namespace pintle::telemetry {
namespace {

using Kind = SendOutcome::Kind;

// Others (400, 401, 404, 413 …) say that it will not be taken at another time either.
bool is_worth_a_retry(int status) { return status == 429 || status == 502 || status == 503 || status == 504; }

SendOutcome outcome_of(const ports::HttpReply& reply, OtlpEncoding encoding) {
  const bool json = encoding == OtlpEncoding::kJson;
  if (reply.status >= 200 && reply.status < 300) {
    const auto answer = json ? decode_json_answer(reply.body) : decode_answer(reply.body);
    if (!answer) return {};  // taken; what else it says is not for us
    return {.rejected = static_cast<uint64_t>(answer->rejected), .message = answer->message};
  }
  SendOutcome outcome{.kind = is_worth_a_retry(reply.status) ? Kind::kRetry : Kind::kRefused};
  const auto told = json ? decode_json_refusal(reply.body) : decode_refusal(reply.body);
  outcome.message = fmt::format("HTTP status {}{}{}", reply.status, told.message.empty() ? "" : ": ", told.message.substr(0, 200));
  if (reply.retry_after) outcome.retry_after = *reply.retry_after;
  return outcome;
}

class HttpTransport final : public OtlpTransport {
 public:
  HttpTransport(std::unique_ptr<ports::HttpPoster> poster, HttpOptions options)
      : poster_(std::move(poster)), options_(std::move(options)) {}

  [[nodiscard]] std::string packed(OtlpSignal signal, std::string request) const override {
    if (options_.encoding == OtlpEncoding::kJson) request = to_otlp_json(signal, request);
    return options_.packing == OtlpPacking::kGzip ? gzip(request) : request;
  }

  [[nodiscard]] SendOutcome send(OtlpSignal signal, const std::string& request, std::stop_token stop) override {
    const char* const type = options_.encoding == OtlpEncoding::kJson ? "application/json" : "application/x-protobuf";
    const auto reply = poster_->post({.path = options_.paths[index_of(signal)],
                                      .body = request,
                                      .content_type = type,
                                      .content_encoding = options_.packing == OtlpPacking::kGzip ? "gzip" : "",
                                      .accept = type},
                                     std::move(stop));
    if (reply) return outcome_of(*reply, options_.encoding);
    // No answer. A certificate that can't be read may be mended as well, and is read again for the next connection.
    return {.kind = Kind::kRetry, .message = reply.error().message()};
  }

 private:
  const std::unique_ptr<ports::HttpPoster> poster_;
  const HttpOptions options_;
};

}  // namespace

std::unique_ptr<OtlpTransport> make_http_transport(std::unique_ptr<ports::HttpPoster> poster, HttpOptions options) {
  return std::make_unique<HttpTransport>(std::move(poster), std::move(options));
}

}  // namespace pintle::telemetry
