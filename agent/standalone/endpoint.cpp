// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "standalone/endpoint.h"

#include <sys/stat.h>

#include <cerrno>
#include <charconv>

#include <fmt/format.h>

#include "base/check.h"
#include "base/unique_fd.h"
#include "standalone/https_server.h"
#include "standalone/object_store.h"
#include "standalone/rest.h"
#include "standalone/routes.h"
#include "standalone/tls_identity.h"

namespace pintle::standalone {
namespace {

Status make_directories(const std::string& path, mode_t mode) {
  for (size_t end = path.find('/', 1); true; end = path.find('/', end + 1)) {
    const std::string part = path.substr(0, end);
    if (::mkdir(part.c_str(), mode) != 0 && errno != EEXIST) return fail_errno(errno, fmt::format("make directory '{}'", part));
    if (end == std::string::npos) return {};
  }
}

int remembered_port(const std::string& path) {
  const auto text = read_file(path);
  int port = 0;
  if (text) (void)std::from_chars(text->data(), text->data() + text->size(), port);  // an unreadable one means any port
  return port > 0 && port <= 65535 ? port : 0;
}

std::string url_of(const std::string& host, int port) {
  return host == "::1" ? fmt::format("https://[::1]:{}", port) : fmt::format("https://{}:{}", host, port);
}

}  // namespace

struct ApiEndpoint::Parts {
  explicit Parts(Options given) : options(std::move(given)), store(*options.object_log), rest(store, *options.clock, options.node_name) {}

  const Options options;
  std::string url, kubeconfig_path, socket_path;
  std::vector<std::string> warnings;
  ObjectStore store;
  Rest rest;
  std::unique_ptr<Routes> routes;
  std::unique_ptr<HttpsServer> server;  // ends first
};

ApiEndpoint::ApiEndpoint(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
ApiEndpoint::~ApiEndpoint() { stop(); }

Result<std::unique_ptr<ApiEndpoint>> ApiEndpoint::create(Options options) {
  PINTLE_CHECK(options.object_log != nullptr && options.clock != nullptr);
  PINTLE_ASSIGN_OR_RETURN(auto address, parse_listen_address(options.listen));
  PINTLE_TRY(make_directories(options.root_dir, 0700));
  PINTLE_ASSIGN_OR_RETURN(auto identity, load_identity(options.root_dir, options.clock->now()));

  auto parts = std::make_unique<Parts>(std::move(options));
  const Options& kept = parts->options;
  PINTLE_ASSIGN_OR_RETURN(const auto damaged, parts->store.load());
  for (const auto& name : damaged) parts->warnings.push_back(fmt::format("the stored {} is damaged and was left out", name));
  PINTLE_TRY(parts->rest.ensure_base_objects());

  const std::string port_file = kept.root_dir + "/port";
  const bool any_port = address.port == 0;
  if (any_port) address.port = remembered_port(port_file);
  parts->routes =
      std::make_unique<Routes>(parts->rest, parts->store, *kept.clock,
                               Routes::Options{identity.token, fmt::format("{}:{}", address.host, address.port), kept.log_reader});
  const std::string socket_path = kept.root_dir + "/api.sock";
  const auto start = [&] {
    return HttpsServer::start(
        {.address = address,
         .socket_path = socket_path,
         .identity = identity,
         .authorize = [routes = parts->routes.get()](const httplib::Request& request) { return routes->is_authorized(request); },
         .handler = [routes = parts->routes.get()](const httplib::Request& request, const std::string& body, ConnectionStream& connection,
                                                   httplib::Response& response) { routes->handle(request, body, connection, response); },
         .renew = [&kept = parts->options] { return load_identity(kept.root_dir, kept.clock->now()); },
         .clock = kept.clock});
  };
  auto server = start();
  if (!server && any_port && address.port != 0) {  // someone else has our port now: kubeconfig is written anew below
    parts->warnings.push_back(fmt::format("{}; another port is used, and '{}' names it", server.error().message(), kept.kubeconfig_path));
    address.port = 0;
    server = start();
  }
  if (!server) return std::unexpected(std::move(server).error());
  parts->server = *std::move(server);
  if (const auto local = parts->server->on_socket())
    parts->socket_path = socket_path;
  else
    parts->warnings.push_back(local.error().message() + "; the agent reaches its API by TLS instead, which takes more memory");
  if (any_port) PINTLE_TRY(write_file_atomic(port_file, fmt::format("{}\n", parts->server->port()), 0600));

  parts->url = url_of(address.host, parts->server->port());
  parts->kubeconfig_path = kept.kubeconfig_path.empty() ? kept.root_dir + "/kubeconfig" : kept.kubeconfig_path;
  PINTLE_TRY(write_file_atomic(parts->kubeconfig_path, make_kubeconfig(identity, parts->url), 0600));
  return std::unique_ptr<ApiEndpoint>(new ApiEndpoint(std::move(parts)));
}

int ApiEndpoint::port() const { return parts_->server->port(); }
std::string ApiEndpoint::url() const { return parts_->url; }
const std::string& ApiEndpoint::kubeconfig_path() const { return parts_->kubeconfig_path; }
const std::string& ApiEndpoint::socket_path() const { return parts_->socket_path; }
const std::vector<std::string>& ApiEndpoint::warnings() const { return parts_->warnings; }

void ApiEndpoint::stop() {
  parts_->routes->stop();
  parts_->server->stop();
}

}  // namespace pintle::standalone
