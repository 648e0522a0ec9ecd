// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "probes/http_get.h"

#ifndef CPPHTTPLIB_OPENSSL_SUPPORT  // the packaged library is built with it
#define CPPHTTPLIB_OPENSSL_SUPPORT
#endif
#include <httplib.h>

#include <fmt/format.h>

namespace pintle::probes {
namespace {

constexpr size_t kBodyLimit = 10 * 1024;
constexpr int kMaxRedirects = 10;

std::string url_of(const HttpRequest& request) {
  const bool v6 = request.host.find(':') != std::string::npos;
  return fmt::format("{}://{}{}{}:{}{}", request.tls ? "https" : "http", v6 ? "[" : "", request.host, v6 ? "]" : "", request.port,
                     request.path);
}

template <typename Client>
httplib::Result send(Client& client, const HttpRequest& request, std::string& body) {
  client.set_connection_timeout(request.timeout);
  client.set_read_timeout(request.timeout);
  client.set_write_timeout(request.timeout);
  client.set_keep_alive(false);
  client.set_socket_options([](auto socket) {
    const linger option{.l_onoff = 1, .l_linger = 1};  // row 12.13: no pile of TIME_WAIT
    (void)::setsockopt(socket, SOL_SOCKET, SO_LINGER, &option, sizeof option);
  });
  httplib::Headers headers{{"User-Agent", request.user_agent}, {"Accept", "*/*"}};
  for (const auto& [name, value] : request.headers) {
    if (const auto own = headers.find(name); own != headers.end()) headers.erase(own);
    headers.emplace(name, value);
  }
  return client.Get(request.path, headers, [&body](const char* data, size_t size) {
    body.append(data, std::min(size, kBodyLimit - body.size()));
    return body.size() < kBodyLimit;  // the rest is nobody's business
  });
}

httplib::Result get_once(const HttpRequest& request, std::string& body) {
  if (request.tls) {
    httplib::SSLClient client(request.host, request.port);
    client.enable_server_certificate_verification(false);
    return send(client, request, body);
  }
  httplib::ClientImpl client(request.host, request.port);
  return send(client, request, body);
}

// Points the request at the redirect's target; false when that is another host.
bool follow(HttpRequest& request, const std::string& location) {
  if (location.starts_with('/')) {
    request.path = location;
    return true;
  }
  const size_t scheme_end = location.find("://");
  if (scheme_end == std::string::npos) return true;
  const bool tls = location.starts_with("https");
  const size_t path_start = std::min(location.find('/', scheme_end + 3), location.size());
  std::string authority = location.substr(scheme_end + 3, path_start - scheme_end - 3);
  int port = tls ? 443 : 80;
  if (const size_t colon = authority.rfind(':'); colon != std::string::npos && authority.find(']', colon) == std::string::npos) {
    port = std::atoi(authority.c_str() + colon + 1);
    authority.resize(colon);
  }
  if (authority.starts_with('[') && authority.ends_with(']')) authority = authority.substr(1, authority.size() - 2);
  if (authority != request.host) return false;
  request.tls = tls;
  request.port = port;
  request.path = path_start == location.size() ? "/" : location.substr(path_start);
  return true;
}

}  // namespace

Result<HttpAnswer> http_get(const HttpRequest& original) {
  HttpRequest request = original;
  if (!request.path.starts_with('/')) request.path.insert(0, "/");
  for (int redirects = 0;; ++redirects) {
    HttpAnswer answer;
    int status = 0;
    std::string location;
    std::string body;
    const auto result = get_once(request, body);
    if (!result && body.size() < kBodyLimit)
      return fail(Code::kUnavailable, fmt::format("Get \"{}\": {}", url_of(request), httplib::to_string(result.error())));
    status = result ? result->status : 200;
    if (result) location = result->get_header_value("Location");
    answer.status = status;
    answer.body = std::move(body);
    if (status < 300 || status >= 400 || location.empty()) return answer;
    if (redirects == kMaxRedirects) return fail(Code::kUnavailable, fmt::format("Get \"{}\": stopped after 10 redirects", url_of(request)));
    if (!follow(request, location)) {
      answer.redirected_away = true;
      return answer;
    }
  }
}

}  // namespace pintle::probes
