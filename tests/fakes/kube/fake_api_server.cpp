// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "fakes/kube/fake_api_server.h"

#include <sstream>

#include <fmt/format.h>
#include <httplib.h>

#include "fakes/certificate.h"

namespace pintle::fakes {
namespace {

using std::chrono::milliseconds;

struct Target {
  std::string resource, space, name, subresource;
};

// /api/v1[/namespaces/NS]/RESOURCE[/NAME[/SUB]] and /apis/GROUP/VERSION/…
std::optional<Target> parse_path(const std::string& path) {
  std::vector<std::string> parts;
  std::stringstream stream(path);
  for (std::string part; std::getline(stream, part, '/');)
    if (!part.empty()) parts.push_back(part);
  size_t at = 0;
  if (parts.size() > 2 && parts[0] == "api")
    at = 2;
  else if (parts.size() > 3 && parts[0] == "apis")
    at = 3;
  else
    return std::nullopt;
  Target out;
  if (parts.size() > at + 2 && parts[at] == "namespaces") {
    out.space = parts[at + 1];
    at += 2;
  }
  if (at < parts.size()) out.resource = parts[at];
  if (at + 1 < parts.size()) out.name = parts[at + 1];
  if (at + 2 < parts.size()) out.subresource = parts[at + 2];
  return out;
}

std::string query_of(const httplib::Request& request) {
  const size_t at = request.target.find('?');
  return at == std::string::npos ? "" : request.target.substr(at + 1);
}

Selector selector_of(const httplib::Request& request) {
  return {request.get_param_value("fieldSelector"), request.get_param_value("labelSelector")};
}

int64_t number(const std::string& text) { return text.empty() ? 0 : std::strtoll(text.c_str(), nullptr, 10); }

}  // namespace

FakeApiServer::FakeApiServer(Carrier carrier)
    : identity_(carrier == Carrier::kTls ? std::make_unique<const Certificate>("api", "IP:127.0.0.1") : nullptr),
      server_(identity_ ? std::make_unique<httplib::SSLServer>(identity_->certificate.get(), identity_->key.get())
                        : std::make_unique<httplib::Server>()) {
  server_->new_task_queue = [] { return new httplib::ThreadPool(24); };
  server_->set_keep_alive_max_count(100000);
  server_->set_keep_alive_timeout(1);
  const auto handler = [this](const httplib::Request& request, httplib::Response& response) { serve(request, response); };
  server_->Get(".*", handler);
  server_->Post(".*", handler);
  server_->Put(".*", handler);
  server_->Patch(".*", handler);
  server_->Delete(".*", handler);
  port_ = server_->bind_to_any_port("127.0.0.1");
  thread_ = std::thread([this] { (void)server_->listen_after_bind(); });
  while (!server_->is_running()) std::this_thread::yield();
}

FakeApiServer::~FakeApiServer() {
  {
    const std::lock_guard lock(mu_);
    stopping_ = true;
  }
  changed_.notify_all();
  server_->stop();
  thread_.join();
}

long FakeApiServer::handshakes() const {
  return identity_ ? SSL_CTX_sess_accept(static_cast<const httplib::SSLServer&>(*server_).ssl_context()) : 0;
}

std::string FakeApiServer::certificate_pem() const { return identity_ ? identity_->certificate_pem() : std::string(); }

kube::Kubeconfig FakeApiServer::config() const {
  kube::Kubeconfig out;
  out.tls = identity_ != nullptr;
  out.ca.inline_data = certificate_pem();
  out.host = "127.0.0.1";
  out.port = port_;
  return out;
}

StoreReply FakeApiServer::create(const std::string& resource, const std::string& space, Json object) {
  const std::lock_guard lock(mu_);
  auto reply = store_.create(resource, space, std::move(object));
  changed_.notify_all();
  return reply;
}
StoreReply FakeApiServer::patch(const std::string& resource, const std::string& space, const std::string& name, const Json& change) {
  const std::lock_guard lock(mu_);
  auto reply = store_.patch(resource, space, name, change, false);
  changed_.notify_all();
  return reply;
}
StoreReply FakeApiServer::remove(const std::string& resource, const std::string& space, const std::string& name) {
  const std::lock_guard lock(mu_);
  auto reply = store_.remove(resource, space, name, Json::object());
  changed_.notify_all();
  return reply;
}
Json FakeApiServer::get(const std::string& resource, const std::string& space, const std::string& name) {
  const std::lock_guard lock(mu_);
  auto reply = store_.get(resource, space, name);
  return reply.status == 200 ? reply.body : Json();
}

void FakeApiServer::fail_next(ApiFault fault) {
  const std::lock_guard lock(mu_);
  faults_.push_back(std::move(fault));
}
void FakeApiServer::drop_watches() {
  const std::lock_guard lock(mu_);
  ++drop_round_;
  changed_.notify_all();
}
void FakeApiServer::expire_watches() {
  const std::lock_guard lock(mu_);
  store_.compact();
  ++expire_round_;
  changed_.notify_all();
}
void FakeApiServer::send_bookmarks() {
  const std::lock_guard lock(mu_);
  ++bookmark_round_;
  changed_.notify_all();
}
void FakeApiServer::inject_line(const std::string& line) {
  const std::lock_guard lock(mu_);
  injected_.push_back(line);
  changed_.notify_all();
}
void FakeApiServer::compact() {
  const std::lock_guard lock(mu_);
  store_.compact();
}
std::vector<ApiCall> FakeApiServer::calls() {
  const std::lock_guard lock(mu_);
  return calls_;
}
int FakeApiServer::open_watches() {
  const std::lock_guard lock(mu_);
  return open_watches_;
}
bool FakeApiServer::wait_for(const std::function<bool(const std::vector<ApiCall>&, int)>& done) {
  std::unique_lock lock(mu_);
  return changed_.wait_for(lock, std::chrono::seconds(10), [&] { return done(calls_, open_watches_); });
}

void FakeApiServer::answer(httplib::Response& response, const StoreReply& reply) {
  response.status = reply.status;
  response.set_content(reply.body.dump(), "application/json");
}

// mu_ is not held.
bool FakeApiServer::apply_fault(const httplib::Request& request, httplib::Response& response) {
  std::optional<ApiFault> fault;
  {
    const std::lock_guard lock(mu_);
    for (auto at = faults_.begin(); at != faults_.end() && !fault; ++at) {
      if (!at->method.empty() && at->method != request.method) continue;
      if (request.target.find(at->path_contains) == std::string::npos) continue;
      fault = *at;
      if (--at->times == 0) {
        faults_.erase(at);
        break;
      }
    }
  }
  if (!fault) return false;
  switch (fault->kind) {
    case ApiFault::Kind::kStatus:
      answer(response, {fault->status, status_object(fault->status, fault->reason, "made to fail")});
      if (fault->retry_after) response.set_header("Retry-After", std::to_string(*fault->retry_after));
      break;
    case ApiFault::Kind::kTruncate:
      response.set_content_provider(1000, "application/json", [](size_t offset, size_t, httplib::DataSink& sink) {
        if (offset >= 500) return false;
        return sink.write(std::string(500, '{').data(), 500);
      });
      break;
    case ApiFault::Kind::kGarbage: response.set_content("<html>not an API server</html>", "text/html"); break;
    case ApiFault::Kind::kBody: response.set_content(fault->body, "application/json"); break;
    case ApiFault::Kind::kHuge: response.set_content(std::string(fault->bytes, ' '), "application/json"); break;
    case ApiFault::Kind::kHang: {
      std::unique_lock lock(mu_);
      changed_.wait(lock, [this] { return stopping_; });
      response.status = 503;
      break;
    }
  }
  return true;
}

void FakeApiServer::serve(const httplib::Request& request, httplib::Response& response) {
  {
    const std::lock_guard lock(mu_);
    calls_.push_back({request.method, request.path, query_of(request), request.body, request.get_header_value("Content-Type"),
                      request.get_header_value("User-Agent"), request.get_header_value("Authorization")});
  }
  changed_.notify_all();
  if (apply_fault(request, response)) return;
  const auto target = parse_path(request.path);
  if (!target) return answer(response, {404, status_object(404, "NotFound", "the server could not find the requested resource")});
  if (request.get_param_value("watch") == "true") return serve_watch(request, response, target->resource, target->space);
  const std::lock_guard lock(mu_);
  const auto& [resource, space, name, subresource] = *target;
  Json body;
  if (!request.body.empty()) {
    body = Json::parse(request.body, nullptr, false);
    if (body.is_discarded()) return answer(response, {400, status_object(400, "BadRequest", "the object provided is unrecognized")});
  }
  if (request.method == "GET" && name.empty()) {
    answer(response, store_.list(resource, selector_of(request), request.get_param_value("continue"),
                                 static_cast<size_t>(number(request.get_param_value("limit")))));
  } else if (request.method == "GET") {
    answer(response, store_.get(resource, space, name));
  } else if (request.method == "POST" && subresource == "token") {
    auto account = store_.get(resource, space, name);
    if (account.status != 200) return answer(response, account);
    body["status"] = {{"token", "token-of-" + name}, {"expirationTimestamp", "2030-01-01T00:00:00Z"}};
    answer(response, {201, body});
  } else if (request.method == "POST") {
    answer(response, store_.create(resource, space, body));
  } else if (request.method == "PUT") {
    answer(response, store_.replace(resource, space, name, body));
  } else if (request.method == "PATCH") {
    if (request.get_header_value("Content-Type") != "application/strategic-merge-patch+json")
      return answer(response, {415, status_object(415, "UnsupportedMediaType", "the body of the request was in an unknown format")});
    answer(response, store_.patch(resource, space, name, body, subresource == "status"));
  } else if (request.method == "DELETE") {
    answer(response, store_.remove(resource, space, name, body.is_object() ? body : Json::object()));
  }
  changed_.notify_all();
}

// One watch's place in the history and in the rounds of misbehaviour.
struct FakeApiServer::Watch {
  std::string resource, space;
  Selector selector;
  int64_t from = 0;
  std::vector<std::string> initial;  // lines: of what there is when no version to start from was given
  size_t next_change = 0, next_injected = 0;
  int drop_round = 0, expire_round = 0, bookmark_round = 0;
  bool bookmarks = false;

  [[nodiscard]] bool selects(const Json& object) const {
    return (space.empty() || object["metadata"].value("namespace", "") == space) && is_selected(object, selector);
  }
};

void FakeApiServer::serve_watch(const httplib::Request& request, httplib::Response& response, const std::string& resource,
                                const std::string& space) {
  auto watch = std::make_shared<Watch>();
  {
    const std::lock_guard lock(mu_);
    watch->resource = resource;
    watch->space = space;
    watch->selector = selector_of(request);
    watch->from = number(request.get_param_value("resourceVersion"));
    if (watch->from == 0) {
      watch->from = store_.version();
      const auto there = store_.list(resource, watch->selector, {}, 0);
      for (const auto& object : there.body["items"])
        if (watch->selects(object)) watch->initial.push_back(Json{{"type", "ADDED"}, {"object", object}}.dump());
    }
    if (store_.is_compacted(watch->from))
      return answer(response, {410, status_object(410, "Expired", fmt::format("too old resource version: {}", watch->from))});
    watch->bookmarks = request.get_param_value("allowWatchBookmarks") == "true";
    watch->next_injected = injected_.size();
    watch->drop_round = drop_round_;
    watch->expire_round = expire_round_;
    watch->bookmark_round = bookmark_round_;
    ++open_watches_;
  }
  changed_.notify_all();
  const auto write = [](httplib::DataSink& sink, const std::string& line) { return sink.write((line + "\n").data(), line.size() + 1); };
  const auto provider = [this, watch, write](size_t, httplib::DataSink& sink) {
    std::vector<std::string> lines;
    {
      std::unique_lock lock(mu_);
      // Woken now and then to see whether the client is still there.
      changed_.wait_for(lock, milliseconds(100), [&] {
        return stopping_ || !watch->initial.empty() || watch->next_change < store_.history().size() ||
               watch->next_injected < injected_.size() || watch->drop_round != drop_round_ || watch->expire_round != expire_round_ ||
               watch->bookmark_round != bookmark_round_;
      });
      if (stopping_ || watch->drop_round != drop_round_) return false;
      lines = std::exchange(watch->initial, {});
      for (; watch->next_change < store_.history().size(); ++watch->next_change) {
        const Change& change = store_.history()[watch->next_change];
        if (change.resource != watch->resource || change.version <= watch->from) continue;
        if (!watch->selects(change.object)) continue;
        lines.push_back(Json{{"type", change.type}, {"object", change.object}}.dump());
      }
      for (; watch->next_injected < injected_.size(); ++watch->next_injected) lines.push_back(injected_[watch->next_injected]);
      if (watch->bookmark_round != bookmark_round_ && watch->bookmarks)
        lines.push_back(
            Json{{"type", "BOOKMARK"},
                 {"object", {{"kind", "Pod"}, {"apiVersion", "v1"}, {"metadata", {{"resourceVersion", std::to_string(store_.version())}}}}}}
                .dump());
      watch->bookmark_round = bookmark_round_;
      if (watch->expire_round != expire_round_)
        lines.push_back(Json{{"type", "ERROR"}, {"object", status_object(410, "Expired", "too old resource version")}}.dump());
      watch->expire_round = expire_round_;
    }
    for (const auto& line : lines)
      if (!write(sink, line)) return false;
    return sink.is_writable();
  };
  response.set_chunked_content_provider("application/json", provider, [this](bool) {
    {
      const std::lock_guard lock(mu_);
      --open_watches_;
    }
    changed_.notify_all();
  });
}

std::string list_json(const std::string& kind, const Json& items) {
  return Json{{"kind", kind + "List"}, {"apiVersion", "v1"}, {"metadata", {{"resourceVersion", "100"}}}, {"items", items}}.dump();
}

Json pod_json(const std::string& name, const std::string& node, const std::string& space) {
  return {{"metadata", {{"name", name}, {"namespace", space}, {"labels", {{"app", name}}}}},
          {"spec", {{"nodeName", node}, {"containers", {{{"name", "c"}, {"image", "busybox"}}}}}},
          {"status", {{"phase", "Pending"}}}};
}

}  // namespace pintle::fakes
