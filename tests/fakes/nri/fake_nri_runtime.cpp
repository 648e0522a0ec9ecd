// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "fakes/nri/fake_nri_runtime.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <fmt/format.h>

#include "base/check.h"
#include "nri/plugin.pb.h"
#include "nri/ttrpc.pb.h"

namespace pintle::fakes {
namespace {

namespace wire = nri::wire;
using nri::Message;
using nri::MessageType;
using SteadyPoint = std::chrono::steady_clock::time_point;

constexpr std::string_view kPluginService = "nri.pkg.api.v1alpha1.Plugin", kRuntimeService = "nri.pkg.api.v1alpha1.Runtime";

std::string big_endian(uint32_t value) {
  std::string out;
  for (const int shift : {24, 16, 8, 0}) out += static_cast<char>(value >> shift & 0xffU);
  return out;
}

wire::PodSandbox to_wire(const NriPod& pod) {
  wire::PodSandbox out;
  out.set_id("sandbox-" + pod.uid);
  out.set_uid(pod.uid);
  out.set_name(pod.name);
  out.set_namespace_(pod.namespace_);
  for (const auto& [key, value] : pod.labels) (*out.mutable_labels())[key] = value;
  (*out.mutable_labels())["io.kubernetes.pod.uid"] = pod.uid;  // a kubelet's
  for (const auto& [key, value] : pod.annotations) (*out.mutable_annotations())[key] = value;
  out.mutable_linux()->set_cgroup_parent(pod.cgroup_parent);
  for (const char* const type : {"pid", "ipc", "uts", "mount", "network"})
    if (!pod.host_network || std::string_view(type) != "network") out.mutable_linux()->add_namespaces()->set_type(type);
  return out;
}

}  // namespace

class FakeNriRuntime::Connection {
 public:
  Connection(UniqueFd fd, size_t piece) : fd_(std::move(fd)), piece_(piece) {}

  [[nodiscard]] bool send(const std::string& bytes) {
    return ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(bytes.size());
  }
  [[nodiscard]] bool send(const Message& message) {
    std::string stream = big_endian(static_cast<uint32_t>(message.data.size())) + big_endian(message.stream);
    stream += static_cast<char>(message.type);
    stream += static_cast<char>(message.flags);
    stream += message.data;
    for (size_t at = 0; at < stream.size();) {
      const size_t size = std::min(piece_ != 0 ? piece_ : at == 0 ? size_t{4096} : stream.size(), stream.size() - at);
      if (!send(big_endian(message.connection)) || !send(big_endian(static_cast<uint32_t>(size))) || !send(stream.substr(at, size)))
        return false;
      at += size;
    }
    return true;
  }
  // nullopt: the time is up, the plugin has closed, or it sent what can't be read.
  [[nodiscard]] std::optional<Message> receive(SteadyPoint until, int wake) {
    while (waiting_.empty()) {
      const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until - std::chrono::steady_clock::now()).count();
      std::array<pollfd, 2> fds{pollfd{fd_.get(), POLLIN, 0}, pollfd{wake, POLLIN, 0}};
      if (left <= 0 || ::poll(fds.data(), fds.size(), static_cast<int>(left)) <= 0 || fds[0].revents == 0) return std::nullopt;
      std::array<char, 4096> buffer{};
      const ssize_t got = ::recv(fd_.get(), buffer.data(), buffer.size(), 0);
      if (got <= 0) return std::nullopt;
      auto messages = reader_.feed({buffer.data(), static_cast<size_t>(got)});
      if (!messages) return std::nullopt;
      for (auto& message : *messages) waiting_.push_back(std::move(message));
    }
    auto message = std::move(waiting_.front());
    waiting_.pop_front();
    return message;
  }
  // The payload, or the status that the plugin gave. kUnavailable: no answer.
  [[nodiscard]] Result<std::string> call(const std::string& method, const std::string& payload, std::chrono::milliseconds timeout,
                                         int wake) {
    wire::Request request;
    request.set_service(std::string(kPluginService));
    request.set_method(method);
    request.set_payload(payload);
    request.set_timeout_nano(std::chrono::nanoseconds(timeout).count());
    stream_ += 2;
    const auto until = std::chrono::steady_clock::now() + timeout;
    if (!send(
            {.connection = nri::kPluginConnection, .stream = stream_, .type = MessageType::kRequest, .data = request.SerializeAsString()}))
      return fail(Code::kUnavailable, "closed");
    const auto answer = receive(until, wake);
    if (!answer || answer->type != MessageType::kResponse || answer->stream != stream_)
      return fail(Code::kUnavailable, method + ": no answer");
    wire::Response response;
    if (!response.ParseFromString(answer->data)) return fail(Code::kUnavailable, method + ": not readable");
    if (response.status().code() != 0)
      return fail(Code::kInvalid, fmt::format("code {}: {}", response.status().code(), response.status().message()));
    return response.payload();
  }

 private:
  UniqueFd fd_;
  const size_t piece_;
  nri::MessageReader reader_;
  std::deque<Message> waiting_;
  uint32_t stream_ = static_cast<uint32_t>(-1);
};

FakeNriRuntime::FakeNriRuntime(std::string socket, NriRuntimeOptions options) : socket_(std::move(socket)), options_(options) {
  wake_.reset(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
}

FakeNriRuntime::~FakeNriRuntime() { stop(); }

void FakeNriRuntime::start() {
  std::filesystem::remove(socket_);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  PINTLE_CHECK(socket_.size() < sizeof address.sun_path);
  std::memcpy(address.sun_path, socket_.c_str(), socket_.size() + 1);
  listener_.reset(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  PINTLE_CHECK(::bind(listener_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  PINTLE_CHECK(::listen(listener_.get(), 8) == 0);
  thread_ = std::thread([this] { accept_plugins(); });
}

void FakeNriRuntime::stop() {
  if (!thread_.joinable()) return;
  const uint64_t one = 1;
  (void)!::write(wake_.get(), &one, sizeof one);
  thread_.join();
  uint64_t drained = 0;
  (void)!::read(wake_.get(), &drained, sizeof drained);
  listener_.reset();
  const std::scoped_lock lock(mu_);
  plugin_.reset();
}

void FakeNriRuntime::add_fault(NriFault fault) {
  const std::scoped_lock lock(mu_);
  faults_.push_back(fault);
}

void FakeNriRuntime::accept_plugins() {
  while (true) {
    std::array<pollfd, 2> fds{pollfd{listener_.get(), POLLIN, 0}, pollfd{wake_.get(), POLLIN, 0}};
    (void)::poll(fds.data(), fds.size(), -1);
    if (fds[1].revents != 0) return;
    UniqueFd fd(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!fd.valid()) continue;
    std::optional<NriFault> fault;
    {
      const std::scoped_lock lock(mu_);
      ++connections_;
      if (!faults_.empty()) {
        fault = faults_.front();
        faults_.pop_front();
      }
      changed_.notify_all();
    }
    auto plugin = std::make_unique<Connection>(std::move(fd), options_.piece);
    if (!introduce(*plugin, fault)) continue;
    const std::scoped_lock lock(mu_);
    if (!synchronize(*plugin)) continue;
    plugin_ = std::move(plugin);
    ++plugins_;
    changed_.notify_all();
  }
}

bool FakeNriRuntime::introduce(Connection& plugin, std::optional<NriFault> fault) {
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(5);
  if (fault == NriFault::kCloseAtOnce) return false;
  const auto message = plugin.receive(until, wake_.get());
  wire::Request request;
  wire::RegisterPluginRequest ask;
  if (!message || message->connection != nri::kRuntimeConnection || !request.ParseFromString(message->data)) return false;
  if (request.service() != kRuntimeService || request.method() != "RegisterPlugin" || !ask.ParseFromString(request.payload())) return false;
  if (fault == NriFault::kSilent) {  // until the plugin gives up
    (void)plugin.receive(until + std::chrono::seconds(60), wake_.get());
    return false;
  }
  wire::Response response;
  if (fault == NriFault::kRefuseRegistration) {
    response.mutable_status()->set_code(2);
    response.mutable_status()->set_message("invalid plugin index");
  }
  Message answer{.connection = nri::kRuntimeConnection,
                 .stream = message->stream,
                 .type = MessageType::kResponse,
                 .data = response.SerializeAsString()};
  if (fault && !send_fault(plugin, *fault)) return false;
  if (!plugin.send(answer) || fault == NriFault::kRefuseRegistration) {
    (void)plugin.receive(until, wake_.get());  // its end
    return false;
  }
  wire::ConfigureRequest configure;
  configure.set_runtime_name("fake");
  configure.set_runtime_version("v1");
  configure.set_request_timeout(options_.request_timeout.count());
  const auto told = plugin.call("Configure", configure.SerializeAsString(), options_.request_timeout, wake_.get());
  wire::ConfigureResponse events;
  if (!told || !events.ParseFromString(*told)) return false;
  if (fault == NriFault::kNoSynchronize) {
    (void)plugin.receive(until + std::chrono::seconds(60), wake_.get());
    return false;
  }
  if (fault == NriFault::kUnknownCall) {
    const auto refused = plugin.call("ValidateContainerAdjustment", "", options_.request_timeout, wake_.get());
    if (refused || !refused.error().message().starts_with("code 12")) return false;
  }
  const std::scoped_lock lock(mu_);
  seen_.plugin_name = ask.plugin_name();
  seen_.plugin_index = ask.plugin_idx();
  seen_.events = events.events();
  return true;
}

// False: the connection is over.
bool FakeNriRuntime::send_fault(Connection& plugin, NriFault fault) {
  switch (fault) {
    case NriFault::kCloseInFrame: (void)plugin.send(big_endian(nri::kRuntimeConnection) + big_endian(20) + "abc"); return false;
    case NriFault::kGarbage: {
      (void)plugin.send(big_endian(nri::kPluginConnection) + big_endian(12) + big_endian(2) + big_endian(1) + std::string("\x09\x00hi", 4));
      break;
    }
    case NriFault::kHugeFrame: (void)plugin.send(big_endian(nri::kPluginConnection) + big_endian(0xffffffff)); break;
    default: return true;
  }
  // The plugin must close: what it sends instead, or its silence, fails the test that waits for the next connection.
  (void)plugin.receive(std::chrono::steady_clock::now() + std::chrono::seconds(10), wake_.get());
  return false;
}

bool FakeNriRuntime::synchronize(Connection& plugin) {
  const size_t part = options_.pods_per_part == 0 ? std::max<size_t>(sandboxes_.size(), 1) : options_.pods_per_part;
  size_t at = 0;
  do {
    wire::SynchronizeRequest request;
    for (size_t i = 0; i < part && at < sandboxes_.size(); ++i) *request.add_pods() = to_wire(sandboxes_[at++]);
    request.set_more(at < sandboxes_.size());
    const auto told = plugin.call("Synchronize", request.SerializeAsString(), options_.request_timeout, wake_.get());
    wire::SynchronizeResponse response;
    if (!told || !response.ParseFromString(*told) || response.more() != request.more()) return false;
  } while (at < sandboxes_.size());
  return true;
}

// As containerd: a plugin that does not answer is dropped, and what was asked goes on without it.
Result<std::string> FakeNriRuntime::call_locked(const std::string& method, const std::string& payload) {
  if (!plugin_) return std::string();
  auto answer = plugin_->call(method, payload, options_.request_timeout, wake_.get());
  if (!answer && answer.error().code == Code::kUnavailable) {
    plugin_.reset();
    ++seen_.dropped;
    return std::string();
  }
  return answer;
}

Result<std::string> FakeNriRuntime::call(const std::string& method, const std::string& payload) {
  const std::scoped_lock lock(mu_);
  return call_locked(method, payload);
}

Status FakeNriRuntime::run_sandbox(const NriPod& pod) {
  const std::scoped_lock lock(mu_);
  Result<std::string> told;
  if (options_.new_calls) {
    wire::RunPodSandboxRequest request;
    *request.mutable_pod() = to_wire(pod);
    told = call_locked("RunPodSandbox", request.SerializeAsString());
  } else {
    wire::StateChangeEvent event;
    event.set_event(wire::RUN_POD_SANDBOX);
    *event.mutable_pod() = to_wire(pod);
    told = call_locked("StateChange", event.SerializeAsString());
  }
  PINTLE_TRY(told);
  sandboxes_.push_back(pod);
  return {};
}

Status FakeNriRuntime::create_container(const NriPod& pod, const std::string& name) {
  const std::scoped_lock lock(mu_);
  wire::CreateContainerRequest request;
  *request.mutable_pod() = to_wire(pod);
  request.mutable_container()->set_id("container-" + name);
  request.mutable_container()->set_name(name);
  PINTLE_TRY(call_locked("CreateContainer", request.SerializeAsString()));
  return {};
}

void FakeNriRuntime::remove(const NriPod& pod) {
  const std::scoped_lock lock(mu_);
  std::erase_if(sandboxes_, [&](const auto& one) { return one.uid == pod.uid; });
}

bool FakeNriRuntime::wait_for_plugins(size_t count) {
  std::unique_lock lock(mu_);
  return changed_.wait_for(lock, std::chrono::seconds(10), [&] { return plugins_ >= count; });
}

bool FakeNriRuntime::wait_for_connections(size_t count) {
  std::unique_lock lock(mu_);
  return changed_.wait_for(lock, std::chrono::seconds(10), [&] { return connections_ >= count; });
}

FakeNriRuntime::Seen FakeNriRuntime::seen() {
  const std::scoped_lock lock(mu_);
  return seen_;
}

}  // namespace pintle::fakes
