// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "kube/kubeconfig.h"

#include <charconv>
#include <cstdlib>
#include <cstring>

#include <arpa/inet.h>

#include <fmt/format.h>

#include "base/unique_fd.h"
#include "codec/kubeconfig.h"

namespace pintle::kube {
namespace {

std::string resolve(const std::string& path, const std::string& folder) {
  if (path.empty() || path.front() == '/' || folder.empty()) return path;
  return folder + "/" + path;
}

std::string folder_of(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return "";
  return slash == 0 ? "/" : path.substr(0, slash);
}

Result<int> parse_port(std::string_view text) {
  int port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc{} || end != text.data() + text.size() || port < 1 || port > 65535)
    return fail(Code::kInvalid, fmt::format("port '{}' is not a number from 1 to 65535", text));
  return port;
}

// http(s)://host[:port][/prefix], the host a name, an IPv4 address or an IPv6 one in brackets.
Status apply_server_url(std::string_view url, Kubeconfig& config) {
  std::string_view rest = url;
  if (rest.starts_with("https://")) {
    rest.remove_prefix(8);
    config.tls = true;
    config.port = 443;
  } else if (rest.starts_with("http://")) {
    rest.remove_prefix(7);
    config.tls = false;
    config.port = 80;
  } else {
    return fail(Code::kInvalid, fmt::format("server '{}': expected http:// or https://", url));
  }
  const size_t slash = rest.find('/');
  if (slash != std::string_view::npos) {
    config.path_prefix = rest.substr(slash);
    while (config.path_prefix.ends_with('/')) config.path_prefix.pop_back();
    rest = rest.substr(0, slash);
  }
  std::string_view port;
  if (rest.starts_with('[')) {
    const size_t close = rest.find(']');
    if (close == std::string_view::npos) return fail(Code::kInvalid, fmt::format("server '{}': '[' without ']'", url));
    config.host = rest.substr(1, close - 1);
    if (rest.size() > close + 1) {
      if (rest[close + 1] != ':') return fail(Code::kInvalid, fmt::format("server '{}': expected ':' after ']'", url));
      port = rest.substr(close + 2);
    }
  } else {
    const size_t colon = rest.find(':');
    config.host = rest.substr(0, colon);
    if (colon != std::string_view::npos) port = rest.substr(colon + 1);
  }
  if (config.host.empty()) return fail(Code::kInvalid, fmt::format("server '{}': no host", url));
  for (const char c : config.host + config.path_prefix)
    if (static_cast<unsigned char>(c) <= ' ' || c == 0x7f || c == '@' || c == '?' || c == '#')
      return fail(Code::kInvalid, fmt::format("server '{}': unexpected character '{}'", url, c));
  if (!port.empty()) {
    auto parsed = parse_port(port);
    if (!parsed) return std::unexpected(with_context(std::move(parsed).error(), fmt::format("server '{}'", url)));
    config.port = *parsed;
  }
  return {};
}

// Nothing that is sent there leaves the machine. A name that merely begins like a loopback address may be anybody's.
bool is_loopback(const std::string& host) {
  if (host == "localhost" || host == "::1") return true;
  in_addr v4{};
  return ::inet_pton(AF_INET, host.c_str(), &v4) == 1 && (ntohl(v4.s_addr) >> 24) == IN_LOOPBACKNET;
}

}  // namespace

Result<std::string> Material::read() const {
  if (!inline_data.empty() || file.empty()) return inline_data;
  return read_file(file);
}

Result<Kubeconfig> Kubeconfig::load(const std::string& path, const std::string& context) {
  auto text = read_file(path);
  if (!text) return std::unexpected(with_context(std::move(text).error(), "kubeconfig"));
  return parse(*text, path, context);
}

Result<Kubeconfig> Kubeconfig::parse(std::string_view text, const std::string& path, const std::string& context) {
  PINTLE_ASSIGN_OR_RETURN(codec::KubeconfigContext raw, codec::decode_kubeconfig(text, path, context));
  const std::string folder = folder_of(path);
  Kubeconfig out;
  if (auto ok = apply_server_url(raw.server, out); !ok) return std::unexpected(with_context(std::move(ok).error(), path));
  if (!raw.proxy_url.empty()) return fail(Code::kInvalid, fmt::format("{}: proxy-url is not supported", path));
  out.namespace_ = raw.namespace_;
  out.ca = {std::move(raw.ca_data), resolve(raw.ca_file, folder)};
  out.tls_server_name = raw.tls_server_name;
  out.insecure_skip_tls_verify = raw.insecure_skip_tls_verify;
  out.client_certificate = {std::move(raw.client_certificate_data), resolve(raw.client_certificate_file, folder)};
  out.client_key = {std::move(raw.client_key_data), resolve(raw.client_key_file, folder)};
  // A token file wins over a token, as client-go has it: the file is the one that gets renewed.
  out.token = raw.token_file.empty() ? Material{raw.token, ""} : Material{"", resolve(raw.token_file, folder)};
  out.basic_user = raw.username;
  out.basic_password = raw.password;
  if (out.client_certificate.given() != out.client_key.given())
    return fail(Code::kInvalid, fmt::format("{}: a client certificate needs its client key, and the other way round", path));
  if (out.insecure_skip_tls_verify && out.ca.given())
    return fail(Code::kInvalid, fmt::format("{}: insecure-skip-tls-verify and a certificate authority exclude one another", path));
  const bool credentials = out.token.given() || out.client_certificate.given() || !out.basic_user.empty();
  if (!out.tls && credentials && !is_loopback(out.host))
    return fail(Code::kInvalid, fmt::format("{}: credentials would go unencrypted to http://{}; use https", path, out.host));
  return out;
}

Result<Kubeconfig> Kubeconfig::in_cluster(const std::string& folder) {
  const char* host = std::getenv("KUBERNETES_SERVICE_HOST");
  const char* port = std::getenv("KUBERNETES_SERVICE_PORT");
  if (host == nullptr || port == nullptr || *host == '\0')
    return fail(Code::kNotFound, "service account: KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set; not in a pod");
  Kubeconfig out;
  out.host = host;
  PINTLE_ASSIGN_OR_RETURN(out.port, parse_port(port));
  out.ca.file = folder + "/ca.crt";
  out.token.file = folder + "/token";
  PINTLE_TRY(out.token.read());  // a missing mount is better said now than at the first request
  return out;
}

std::string Kubeconfig::host_header() const {
  const bool v6 = host.find(':') != std::string::npos;
  return fmt::format("{}{}{}:{}", v6 ? "[" : "", host, v6 ? "]" : "", port);
}

std::string Kubeconfig::url() const { return fmt::format("{}://{}{}", tls ? "https" : "http", host_header(), path_prefix); }
std::string Kubeconfig::peer() const { return socket.empty() ? url() : "unix:" + socket; }

Result<std::string> Kubeconfig::read_token() const {
  if (!token.given()) return std::string();
  PINTLE_ASSIGN_OR_RETURN(std::string text, token.read());
  while (!text.empty() && std::strchr(" \r\n\t", text.back()) != nullptr) text.pop_back();
  for (const char c : text)  // a line break would become another header
    if (static_cast<unsigned char>(c) <= ' ' || c == 0x7f)
      return fail(Code::kInvalid, fmt::format("token '{}': has blanks inside", token.file));
  return text;
}

}  // namespace pintle::kube
