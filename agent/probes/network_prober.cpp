// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "probes/network_prober.h"

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <mutex>

#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>

#include <fmt/format.h>

#include "base/unique_fd.h"
#include "probes/grpc_health.h"
#include "probes/http_get.h"

namespace pintle::probes {
namespace {

using ports::ProbeOutcome;
using ports::ProbeReport;
constexpr size_t kOutputLimit = 10 * 1024;  // row 12.9
constexpr const char* kProbeAgent = "kube-probe/1.36";
constexpr const char* kHookAgent = "kube-lifecycle/1.36";

Result<int> port_number(const model::Container& container, const model::IntOrString& port) {
  if (const auto* number = std::get_if<int64_t>(&port)) {
    if (*number < 1 || *number > 65535) return fail(Code::kInvalid, fmt::format("port {} is not between 1 and 65535", *number));
    return static_cast<int>(*number);
  }
  const auto& name = std::get<std::string>(port);
  const auto found = std::ranges::find(container.ports, name, &model::ContainerPort::name);
  if (found == container.ports.end())
    return fail(Code::kInvalid, fmt::format("container '{}' has no port named '{}'", container.name, name));
  return found->container_port;
}

HttpRequest request_of(const model::HttpGetAction& action, const ports::ProbeTarget& target, int port, const char* agent) {
  HttpRequest request{.tls = action.scheme == "HTTPS",
                      .host = action.host.empty() ? target.pod_ip : action.host,
                      .port = port,
                      .path = action.path,
                      .headers = action.headers,
                      .user_agent = agent};
  return request;
}

// Connects and closes. The text of a refusal is the kernel's.
Status tcp_connect(const std::string& host, int port, std::chrono::seconds timeout) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* list = nullptr;
  const std::string service = std::to_string(port);
  if (const int error = ::getaddrinfo(host.c_str(), service.c_str(), &hints, &list); error != 0)
    return fail(Code::kUnavailable, fmt::format("dial tcp {}:{}: {}", host, port, ::gai_strerror(error)));
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> owner(list, ::freeaddrinfo);
  const UniqueFd fd(::socket(list->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return fail_errno(errno, "socket");
  const linger option{.l_onoff = 1, .l_linger = 1};  // row 12.13
  (void)::setsockopt(fd.get(), SOL_SOCKET, SO_LINGER, &option, sizeof option);
  int error = ::connect(fd.get(), list->ai_addr, list->ai_addrlen) == 0 ? 0 : errno;
  if (error == EINPROGRESS) {
    pollfd wait{.fd = fd.get(), .events = POLLOUT, .revents = 0};
    const int ready = ::poll(&wait, 1, static_cast<int>(std::chrono::milliseconds(timeout).count()));
    socklen_t length = sizeof error;
    error = ready == 0 ? ETIMEDOUT : 0;
    if (ready > 0) (void)::getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &error, &length);
  }
  if (error != 0) return fail_errno(error, fmt::format("dial tcp {}:{}", host, port));
  return {};
}

ProbeReport http_report(const Result<HttpAnswer>& answer) {
  if (!answer) return {ProbeOutcome::kFailure, answer.error().message()};
  if (answer->redirected_away) return {ProbeOutcome::kSuccess, "Probe terminated redirects"};
  if (answer->status >= 200 && answer->status < 400) return {ProbeOutcome::kSuccess, answer->body};
  return {ProbeOutcome::kFailure, fmt::format("HTTP probe failed with statuscode: {}", answer->status)};
}

ProbeReport exec_report(const Result<model::ExecResult>& result, std::chrono::seconds timeout) {
  if (!result) {
    const bool late = result.error().code == Code::kUnavailable && result.error().message().find("deadline") != std::string::npos;
    if (late) return {ProbeOutcome::kFailure, fmt::format("command timed out after {} s", timeout.count())};
    return {ProbeOutcome::kError, result.error().message()};
  }
  std::string output = result->stdout_text + result->stderr_text;
  output.resize(std::min(output.size(), kOutputLimit));
  return {result->exit_code == 0 ? ProbeOutcome::kSuccess : ProbeOutcome::kFailure, std::move(output)};
}

}  // namespace

ProbeReport NetworkProber::probe(const ports::ProbeTarget& target, const model::Probe& probe, std::stop_token stop) {
  const std::chrono::seconds timeout(std::max(1, probe.timeout_seconds));
  if (const auto* exec = std::get_if<model::ExecAction>(&probe.action))
    return exec_report(runtime_.exec_sync(target.container, exec->command, timeout, std::move(stop)), timeout);
  if (const auto* get = std::get_if<model::HttpGetAction>(&probe.action)) {
    const auto port = port_number(target.spec, get->port);
    if (!port) return {ProbeOutcome::kError, port.error().message()};
    auto request = request_of(*get, target, *port, kProbeAgent);
    request.timeout = timeout;
    return http_report(http_get(request));
  }
  if (const auto* tcp = std::get_if<model::TcpSocketAction>(&probe.action)) {
    const auto port = port_number(target.spec, tcp->port);
    if (!port) return {ProbeOutcome::kError, port.error().message()};
    const auto connected = tcp_connect(tcp->host.empty() ? target.pod_ip : tcp->host, *port, timeout);
    return connected ? ProbeReport{ProbeOutcome::kSuccess, ""} : ProbeReport{ProbeOutcome::kFailure, connected.error().message()};
  }
  const auto& grpc = std::get<model::GrpcAction>(probe.action);
  const bool v6 = target.pod_ip.find(':') != std::string::npos;
  const auto serving =
      check_health(fmt::format("{}{}{}:{}", v6 ? "[" : "", target.pod_ip, v6 ? "]" : "", grpc.port), grpc.service, timeout);
  if (!serving) return {ProbeOutcome::kFailure, serving.error().message()};
  if (*serving == Serving::kServing) return {ProbeOutcome::kSuccess, "service healthy"};
  return {ProbeOutcome::kFailure, "service unhealthy (responded with \"NOT_SERVING\")"};
}

Status NetworkProber::run_hook(const ports::ProbeTarget& target, const model::HookAction& action, std::stop_token stop) {
  if (const auto* exec = std::get_if<model::ExecAction>(&action)) {
    PINTLE_ASSIGN_OR_RETURN(const auto result,
                            runtime_.exec_sync(target.container, exec->command, std::chrono::seconds(0), std::move(stop)));
    if (result.exit_code == 0) return {};
    return fail(Code::kInternal, fmt::format("command '{}' exited with {}: {}{}", exec->command.empty() ? "" : exec->command.front(),
                                             result.exit_code, result.stdout_text, result.stderr_text));
  }
  if (const auto* get = std::get_if<model::HttpGetAction>(&action)) {
    PINTLE_ASSIGN_OR_RETURN(const int port, port_number(target.spec, get->port));
    auto request = request_of(*get, target, port, kHookAgent);
    request.timeout = std::chrono::seconds(30);
    PINTLE_TRY(http_get(request));  // row 11.1: any answer will do
    return {};
  }
  if (const auto* sleep = std::get_if<model::SleepAction>(&action)) {
    std::mutex mutex;
    std::condition_variable_any condition;
    std::unique_lock lock(mutex);
    (void)condition.wait_for(lock, stop, std::chrono::seconds(sleep->seconds), [] { return false; });
    return {};
  }
  return fail(Code::kInvalid, "lifecycle hook tcpSocket is not supported (use exec, httpGet or sleep)");  // row 11.1
}

}  // namespace pintle::probes
