// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "fakes/otlp/fake_collector.h"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>
#include <httplib.h>
#include <nlohmann/json.hpp>

#include "otlp/logs_service.grpc.pb.h"
#include "otlp/metrics_service.grpc.pb.h"
#include "otlp/trace_service.grpc.pb.h"

namespace pintle::fakes {
namespace {

namespace otel = opentelemetry::proto::collector;

std::string small(std::string text) {
  std::ranges::transform(text, text.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

std::string answer_bytes(const CollectorAnswer& answer) {
  otlp::ExportResponse response;
  if (answer.rejected != 0 || !answer.message.empty()) {
    response.mutable_partial_success()->set_rejected(answer.rejected);
    response.mutable_partial_success()->set_error_message(answer.message);
  }
  return response.SerializeAsString();
}

const char* rejected_name(const std::string& signal) {
  return signal == "traces" ? "rejectedSpans" : signal == "metrics" ? "rejectedDataPoints" : "rejectedLogRecords";
}

// The same in JSON, numbers of 64 bits as text.
std::string answer_text(const CollectorAnswer& answer, const std::string& signal) {
  if (answer.rejected == 0 && answer.message.empty()) return "{}";
  return nlohmann::json({{"partialSuccess", {{rejected_name(signal), std::to_string(answer.rejected)}, {"errorMessage", answer.message}}}})
      .dump();
}
std::string refusal_text(const CollectorAnswer& answer) {
  return nlohmann::json({{"code", answer.status}, {"message", answer.message}}).dump();
}

std::string refusal_bytes(const CollectorAnswer& answer) {
  otlp::RpcStatus status;
  status.set_code(answer.status);
  status.set_message(answer.message);
  if (answer.retry_after_seconds) {
    otlp::RetryInfo info;
    info.mutable_retry_delay()->set_seconds(*answer.retry_after_seconds);
    auto& detail = *status.add_details();
    detail.set_type_url("type.googleapis.com/google.rpc.RetryInfo");
    detail.set_value(info.SerializeAsString());
  }
  return status.SerializeAsString();
}

// What both kinds have.
class Book {
 public:
  explicit Book(FakeCollector::Seen seen) : seen_(std::move(seen)) {}

  CollectorAnswer take(CollectorRequest request) {
    if (seen_) seen_(request);
    std::unique_lock lock(mu_);
    requests_.push_back(std::move(request));
    changed_.notify_all();
    if (answers_.empty()) return {};
    auto answer = std::move(answers_.front());
    answers_.pop_front();
    if (answer.hang) changed_.wait(lock, [&] { return ended_; });
    return answer;
  }
  void end() {
    const std::scoped_lock lock(mu_);
    ended_ = true;
    changed_.notify_all();
  }
  void answer_next(CollectorAnswer answer) {
    const std::scoped_lock lock(mu_);
    answers_.push_back(std::move(answer));
  }
  std::vector<CollectorRequest> requests() {
    const std::scoped_lock lock(mu_);
    return requests_;
  }
  void wait_for(size_t count) {
    std::unique_lock lock(mu_);
    changed_.wait(lock, [&] { return requests_.size() >= count; });
  }

 private:
  const FakeCollector::Seen seen_;
  std::mutex mu_;
  std::condition_variable changed_;
  std::vector<CollectorRequest> requests_;
  std::deque<CollectorAnswer> answers_;
  bool ended_ = false;
};

template <typename Base>
class WithBook : public Base {
 public:
  explicit WithBook(FakeCollector::Seen seen) : book_(std::move(seen)) {}
  void answer_next(CollectorAnswer answer) override { book_.answer_next(std::move(answer)); }
  std::vector<CollectorRequest> requests() override { return book_.requests(); }
  void wait_for(size_t count) override { book_.wait_for(count); }

 protected:
  Book book_;
};

class HttpCollector final : public WithBook<FakeCollector> {
 public:
  HttpCollector(std::unique_ptr<httplib::Server> server, int port, Seen seen) : WithBook(std::move(seen)), server_(std::move(server)) {
    server_->Post(R"((?:/.*)?/(?:v1/(traces|metrics|logs))?)", [this](const httplib::Request& request, httplib::Response& response) {
      CollectorRequest kept{request.matches[1], request.body, {}, request.path, std::to_string(request.remote_port), {}};
      if (request.ssl != nullptr) kept.client = common_name_of_peer(request.ssl);
      for (const auto& [name, value] : request.headers) kept.headers[small(name)] = value;
      const std::string signal = kept.signal;
      const bool json = kept.headers["content-type"] == "application/json";
      const auto answer = book_.take(std::move(kept));
      const bool taken = answer.status == 200 || answer.status == 0;
      response.status = taken ? 200 : answer.status;
      if (answer.retry_after_seconds && !taken) response.set_header("Retry-After", std::to_string(*answer.retry_after_seconds));
      if (json)
        response.set_content(taken ? answer_text(answer, signal) : refusal_text(answer), "application/json");
      else
        response.set_content(taken ? answer_bytes(answer) : refusal_bytes(answer), "application/x-protobuf");
    });
    port_ = port == 0 ? server_->bind_to_any_port("127.0.0.1") : (server_->bind_to_port("127.0.0.1", port) ? port : -1);
    thread_ = std::thread([this] { server_->listen_after_bind(); });
    while (!server_->is_running()) std::this_thread::yield();
  }
  ~HttpCollector() override {
    book_.end();
    server_->stop();
    thread_.join();
  }
  [[nodiscard]] int port() const override { return port_; }

 private:
  const std::unique_ptr<httplib::Server> server_;
  int port_ = 0;
  std::thread thread_;
};

template <typename Base, typename Request>
class Service final : public Base {
 public:
  Service(Book& book, const char* signal) : book_(book), signal_(signal) {}
  grpc::Status Export(grpc::ServerContext* context, const Request* request, otlp::ExportResponse* response) override {
    CollectorRequest kept{signal_, request->SerializeAsString(), {}, {}, {}, {}};
    for (const auto& [name, value] : context->client_metadata())
      kept.headers[std::string(name.data(), name.size())] = std::string(value.data(), value.size());
    const auto answer = book_.take(std::move(kept));
    if (answer.status == 200 || answer.status == 0) {
      (void)response->ParseFromString(answer_bytes(answer));
      return grpc::Status::OK;
    }
    return {static_cast<grpc::StatusCode>(answer.status), answer.message, refusal_bytes(answer)};
  }

 private:
  Book& book_;
  const std::string signal_;
};

class GrpcCollector final : public WithBook<FakeCollector> {
 public:
  GrpcCollector(int port, Seen seen, bool takes_gzip) : WithBook(std::move(seen)) {
    grpc::ServerBuilder builder;
    builder.SetCompressionAlgorithmSupportStatus(GRPC_COMPRESS_GZIP, takes_gzip);
    builder.AddListeningPort("127.0.0.1:" + std::to_string(port), grpc::InsecureServerCredentials(), &port_);
    builder.RegisterService(&traces_);
    builder.RegisterService(&metrics_);
    builder.RegisterService(&logs_);
    server_ = builder.BuildAndStart();
  }
  ~GrpcCollector() override {
    book_.end();
    server_->Shutdown();
    server_->Wait();
  }
  [[nodiscard]] int port() const override { return port_; }

 private:
  Service<otel::trace::v1::TraceService::Service, otel::trace::v1::ExportTraceServiceRequest> traces_{book_, "traces"};
  Service<otel::metrics::v1::MetricsService::Service, otel::metrics::v1::ExportMetricsServiceRequest> metrics_{book_, "metrics"};
  Service<otel::logs::v1::LogsService::Service, otel::logs::v1::ExportLogsServiceRequest> logs_{book_, "logs"};
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace

std::unique_ptr<FakeCollector> FakeCollector::http(int port, Seen seen) {
  return std::make_unique<HttpCollector>(std::make_unique<httplib::Server>(), port, std::move(seen));
}
std::unique_ptr<FakeCollector> FakeCollector::https(const Certificate& own, const Certificate* client_ca) {
  auto server =
      std::make_unique<httplib::SSLServer>(own.certificate.get(), own.key.get(), client_ca == nullptr ? nullptr : store_of(*client_ca));
  return std::make_unique<HttpCollector>(std::move(server), 0, Seen{});
}
std::unique_ptr<FakeCollector> FakeCollector::grpc(int port, Seen seen) {
  return std::make_unique<GrpcCollector>(port, std::move(seen), true);
}
std::unique_ptr<FakeCollector> FakeCollector::grpc_without_gzip() { return std::make_unique<GrpcCollector>(0, Seen{}, false); }

}  // namespace pintle::fakes
