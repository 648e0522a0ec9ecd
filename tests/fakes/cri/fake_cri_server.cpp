// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "fakes/cri/fake_cri_server.h"

#include <condition_variable>
#include <cstdlib>
#include <filesystem>
#include <mutex>

#include <fmt/format.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>
#include <grpcpp/server_context.h>

#include "base/check.h"
#include "cri/runtime.grpc.pb.h"
#include "fakes/cri/wire.h"

namespace pintle::fakes {
namespace {

namespace rt = runtime::v1;
using grpc::ServerContext;
using grpc::StatusCode;

// As containerd words and codes them.
grpc::Status refusal(const Error& error) {
  switch (error.code) {
    case Code::kNotFound: return {StatusCode::NOT_FOUND, error.context};
    case Code::kInvalid: return {StatusCode::INVALID_ARGUMENT, error.context};
    case Code::kUnavailable: return {StatusCode::UNAVAILABLE, error.context};
    case Code::kUnsupported: return {StatusCode::UNIMPLEMENTED, error.context};
    case Code::kCancelled: return {StatusCode::CANCELLED, error.context};
    default: return {StatusCode::UNKNOWN, error.context};
  }
}

template <typename Value>
grpc::Status answer(const Result<Value>& result) {
  return result ? grpc::Status::OK : refusal(result.error());
}

grpc::Status reserved(const std::string& name, const std::string& id) {
  return {StatusCode::UNKNOWN, fmt::format("failed to reserve name \"{}\": name \"{}\" is reserved for \"{}\"", name, name, id)};
}

template <typename Labels>
bool matches(const Labels& selector, const model::StringMap& labels) {
  for (const auto& [key, value] : selector) {
    const auto found = labels.find(key);
    if (found == labels.end() || found->second != value) return false;
  }
  return true;
}

}  // namespace

// What all calls share: the lock, the faults, the waits.
class FakeCriServer::Impl {
 public:
  Impl();
  ~Impl();

  // One call: wait, refuse, work, wait, lose. `work` runs with the lock held.
  grpc::Status handle(const std::string& method, ServerContext* context, const std::function<grpc::Status(FakeContainerRuntime&)>& work);
  grpc::Status stream(ServerContext* context, grpc::ServerWriter<rt::ContainerEventResponse>* writer);

  struct Fault {
    StatusCode code;
    std::string text;
  };

  std::filesystem::path folder_;
  std::mutex mu_;
  std::condition_variable changed_;
  // Guarded by mu_.
  FakeContainerRuntime state_;
  std::vector<std::string> calls_, traces_;
  std::map<std::string, int> counts_;
  std::map<std::pair<std::string, int>, Fault> faults_;
  std::set<std::pair<std::string, int>> lost_;
  std::set<std::string> unimplemented_;
  std::map<std::string, Where> blocked_;
  std::map<std::string, int> waiting_;
  bool events_ = false;
  int streams_ = 0, stream_generation_ = 0;
  std::vector<model::RuntimeEvent> emitted_;

  void start();
  void stop();

 private:
  class RuntimeCalls;
  class ImageCalls;
  void wait_while_blocked(std::unique_lock<std::mutex>& lock, const std::string& method, Where where, ServerContext* context);

  std::unique_ptr<RuntimeCalls> runtime_calls_;
  std::unique_ptr<ImageCalls> image_calls_;
  std::unique_ptr<grpc::Server> server_;
};

void FakeCriServer::Impl::wait_while_blocked(std::unique_lock<std::mutex>& lock, const std::string& method, Where where,
                                             ServerContext* context) {
  const auto held = [&] {
    const auto found = blocked_.find(method);
    return found != blocked_.end() && found->second == where;
  };
  if (!held()) return;
  ++waiting_[method];
  changed_.notify_all();
  // gRPC gives no condition to wait on for a client that went away; hence the short turns.
  while (held() && !context->IsCancelled()) changed_.wait_for(lock, std::chrono::milliseconds{2});
  --waiting_[method];
}

grpc::Status FakeCriServer::Impl::handle(const std::string& method, ServerContext* context,
                                         const std::function<grpc::Status(FakeContainerRuntime&)>& work) {
  std::unique_lock lock(mu_);
  calls_.push_back(method);
  if (const auto trace = context->client_metadata().find("traceparent"); trace != context->client_metadata().end())
    traces_.push_back(method + " " + std::string(trace->second.data(), trace->second.size()));
  const int number = ++counts_[method];
  if (unimplemented_.contains(method)) return {StatusCode::UNIMPLEMENTED, fmt::format("unknown method {}", method)};
  wait_while_blocked(lock, method, Where::kBefore, context);
  if (context->IsCancelled()) return grpc::Status::CANCELLED;
  if (const auto fault = faults_.extract({method, number}); !fault.empty()) return {fault.mapped().code, fault.mapped().text};
  grpc::Status status = work(state_);
  wait_while_blocked(lock, method, Where::kAfter, context);
  if (lost_.erase({method, number}) != 0) return {StatusCode::UNAVAILABLE, "transport is closing"};
  return status;
}

grpc::Status FakeCriServer::Impl::stream(ServerContext* context, grpc::ServerWriter<rt::ContainerEventResponse>* writer) {
  std::unique_lock lock(mu_);
  calls_.emplace_back("GetContainerEvents");
  if (!events_) return {StatusCode::UNIMPLEMENTED, "unknown method GetContainerEvents"};
  const int generation = stream_generation_;
  size_t sent = emitted_.size();  // a stream tells what happens after it began
  ++streams_;
  changed_.notify_all();
  while (generation == stream_generation_ && !context->IsCancelled()) {
    for (; sent < emitted_.size(); ++sent) {
      rt::ContainerEventResponse event;
      event.set_container_id(emitted_[sent].container_id.value());
      event.mutable_pod_sandbox_status()->mutable_metadata()->set_uid(emitted_[sent].uid.value());
      writer->Write(event);
    }
    changed_.wait_for(lock, std::chrono::milliseconds{2});
  }
  --streams_;
  return grpc::Status::OK;
}

class FakeCriServer::Impl::RuntimeCalls final : public rt::RuntimeService::Service {
 public:
  explicit RuntimeCalls(Impl& impl) : impl_(impl) {}

  grpc::Status Version(ServerContext* context, const rt::VersionRequest*, rt::VersionResponse* response) override {
    return impl_.handle("Version", context, [&](FakeContainerRuntime& state) {
      const auto version = state.version();
      if (!version) return refusal(version.error());
      response->set_runtime_name(version->name);
      response->set_runtime_version(version->version);
      response->set_runtime_api_version(version->api_version);
      return grpc::Status::OK;
    });
  }

  grpc::Status Status(ServerContext* context, const rt::StatusRequest*, rt::StatusResponse* response) override {
    return impl_.handle("Status", context, [&](FakeContainerRuntime& state) {
      const auto status = state.status();
      if (!status) return refusal(status.error());
      const auto add = [&](const char* type, const model::RuntimeCondition& from) {
        auto* condition = response->mutable_status()->add_conditions();
        condition->set_type(type);
        condition->set_status(from.ok);
        condition->set_reason(from.reason);
        condition->set_message(from.message);
      };
      add("RuntimeReady", status->runtime_ready);
      add("NetworkReady", status->network_ready);
      return grpc::Status::OK;
    });
  }

  grpc::Status RunPodSandbox(ServerContext* context, const rt::RunPodSandboxRequest* request,
                             rt::RunPodSandboxResponse* response) override {
    return impl_.handle("RunPodSandbox", context, [&](FakeContainerRuntime& state) {
      const auto config = read_config(request->config());
      if (const auto* earlier = state.find_sandbox(config.uid, config.attempt)) return reserved(config.name, earlier->seen.id.value());
      const auto id = state.run_sandbox(config, {});
      if (id) response->set_pod_sandbox_id(id->value());
      return answer(id);
    });
  }

  grpc::Status StopPodSandbox(ServerContext* context, const rt::StopPodSandboxRequest* request, rt::StopPodSandboxResponse*) override {
    return impl_.handle("StopPodSandbox", context,
                        [&](FakeContainerRuntime& state) { return answer(state.stop_sandbox(SandboxId{request->pod_sandbox_id()})); });
  }

  grpc::Status RemovePodSandbox(ServerContext* context, const rt::RemovePodSandboxRequest* request,
                                rt::RemovePodSandboxResponse*) override {
    return impl_.handle("RemovePodSandbox", context,
                        [&](FakeContainerRuntime& state) { return answer(state.remove_sandbox(SandboxId{request->pod_sandbox_id()})); });
  }

  grpc::Status PodSandboxStatus(ServerContext* context, const rt::PodSandboxStatusRequest* request,
                                rt::PodSandboxStatusResponse* response) override {
    return impl_.handle("PodSandboxStatus", context, [&](FakeContainerRuntime& state) -> grpc::Status {
      const auto found = state.sandboxes().find(SandboxId{request->pod_sandbox_id()});
      if (found == state.sandboxes().end())
        return {StatusCode::NOT_FOUND,
                fmt::format("an error occurred when try to find sandbox \"{}\": not found", request->pod_sandbox_id())};
      write(found->second.seen, response->mutable_status());
      return grpc::Status::OK;
    });
  }

  grpc::Status ListPodSandbox(ServerContext* context, const rt::ListPodSandboxRequest* request,
                              rt::ListPodSandboxResponse* response) override {
    return impl_.handle("ListPodSandbox", context, [&](FakeContainerRuntime& state) {
      const auto listed = state.list_sandboxes();
      if (!listed) return refusal(listed.error());
      for (const auto& sandbox : *listed) {
        const auto& filter = request->filter();
        if (!filter.id().empty() && filter.id() != sandbox.id.value()) continue;
        if (matches(filter.label_selector(), sandbox.labels)) write(sandbox, response->add_items());
      }
      return grpc::Status::OK;
    });
  }

  grpc::Status CreateContainer(ServerContext* context, const rt::CreateContainerRequest* request,
                               rt::CreateContainerResponse* response) override {
    return impl_.handle("CreateContainer", context, [&](FakeContainerRuntime& state) {
      const auto config = read_config(request->config());
      const auto sandbox_config = read_config(request->sandbox_config());
      if (const auto* earlier = state.find_container(sandbox_config.uid, config.name, config.attempt))
        return reserved(config.name, earlier->seen.id.value());
      const auto id = state.create_container(SandboxId{request->pod_sandbox_id()}, config, sandbox_config, {});
      if (id) response->set_container_id(id->value());
      return answer(id);
    });
  }

  grpc::Status StartContainer(ServerContext* context, const rt::StartContainerRequest* request, rt::StartContainerResponse*) override {
    return impl_.handle("StartContainer", context,
                        [&](FakeContainerRuntime& state) { return answer(state.start_container(ContainerId{request->container_id()})); });
  }

  grpc::Status StopContainer(ServerContext* context, const rt::StopContainerRequest* request, rt::StopContainerResponse*) override {
    return impl_.handle("StopContainer", context, [&](FakeContainerRuntime& state) {
      return answer(state.stop_container(ContainerId{request->container_id()}, std::chrono::seconds{request->timeout()}, {}));
    });
  }

  grpc::Status RemoveContainer(ServerContext* context, const rt::RemoveContainerRequest* request, rt::RemoveContainerResponse*) override {
    return impl_.handle("RemoveContainer", context,
                        [&](FakeContainerRuntime& state) { return answer(state.remove_container(ContainerId{request->container_id()})); });
  }

  grpc::Status ListContainers(ServerContext* context, const rt::ListContainersRequest* request,
                              rt::ListContainersResponse* response) override {
    return impl_.handle("ListContainers", context, [&](FakeContainerRuntime& state) {
      const auto listed = state.list_containers();
      if (!listed) return refusal(listed.error());
      for (const auto& container : *listed) {
        const auto& filter = request->filter();
        if (!filter.id().empty() && filter.id() != container.id.value()) continue;
        if (!filter.pod_sandbox_id().empty() && filter.pod_sandbox_id() != container.sandbox_id.value()) continue;
        if (matches(filter.label_selector(), container.labels)) write(container, response->add_containers());
      }
      return grpc::Status::OK;
    });
  }

  grpc::Status ContainerStatus(ServerContext* context, const rt::ContainerStatusRequest* request,
                               rt::ContainerStatusResponse* response) override {
    return impl_.handle("ContainerStatus", context, [&](FakeContainerRuntime& state) {
      const auto seen = state.container_status(ContainerId{request->container_id()});
      if (!seen) return refusal(seen.error());
      write(*seen, response->mutable_status());
      if (request->verbose())
        (*response->mutable_info())["info"] =
            fmt::format(R"({{"sandboxID":"{}","pid":{},"removing":false,"runtimeSpec":{{"process":{{"pid":1}}}}}})",
                        seen->sandbox_id.value(), seen->pid);
      return grpc::Status::OK;
    });
  }

  grpc::Status ExecSync(ServerContext* context, const rt::ExecSyncRequest* request, rt::ExecSyncResponse* response) override {
    return impl_.handle("ExecSync", context, [&](FakeContainerRuntime& state) {
      const auto result = state.exec_sync(ContainerId{request->container_id()}, {request->cmd().begin(), request->cmd().end()},
                                          std::chrono::seconds{request->timeout()}, {});
      if (!result) return refusal(result.error());
      response->set_exit_code(result->exit_code);
      response->set_stdout(result->stdout_text);
      response->set_stderr(result->stderr_text);
      return grpc::Status::OK;
    });
  }

  grpc::Status ReopenContainerLog(ServerContext* context, const rt::ReopenContainerLogRequest* request,
                                  rt::ReopenContainerLogResponse*) override {
    return impl_.handle("ReopenContainerLog", context,
                        [&](FakeContainerRuntime& state) { return answer(state.reopen_log(ContainerId{request->container_id()})); });
  }

  grpc::Status GetContainerEvents(ServerContext* context, const rt::GetEventsRequest*,
                                  grpc::ServerWriter<rt::ContainerEventResponse>* writer) override {
    return impl_.stream(context, writer);
  }

 private:
  Impl& impl_;
};

class FakeCriServer::Impl::ImageCalls final : public rt::ImageService::Service {
 public:
  explicit ImageCalls(Impl& impl) : impl_(impl) {}

  grpc::Status ListImages(ServerContext* context, const rt::ListImagesRequest*, rt::ListImagesResponse* response) override {
    return impl_.handle("ListImages", context, [&](FakeContainerRuntime& state) {
      const auto images = state.list_images();
      if (!images) return refusal(images.error());
      for (const auto& image : *images) write(image, response->add_images());
      return grpc::Status::OK;
    });
  }

  grpc::Status ImageStatus(ServerContext* context, const rt::ImageStatusRequest* request, rt::ImageStatusResponse* response) override {
    return impl_.handle("ImageStatus", context, [&](FakeContainerRuntime& state) {
      const auto image = state.find_image(request->image().image());
      if (!image) return refusal(image.error());
      if (image->has_value()) write(**image, response->mutable_image());
      return grpc::Status::OK;
    });
  }

  grpc::Status PullImage(ServerContext* context, const rt::PullImageRequest* request, rt::PullImageResponse* response) override {
    return impl_.handle("PullImage", context, [&](FakeContainerRuntime& state) {
      std::optional<model::RegistryAuth> auth;
      if (request->has_auth()) auth = {request->auth().username(), request->auth().password(), request->auth().server_address()};
      const auto ref = state.pull_image(request->image().image(), auth, {});
      if (ref) response->set_image_ref(*ref);
      return answer(ref);
    });
  }

  grpc::Status RemoveImage(ServerContext* context, const rt::RemoveImageRequest* request, rt::RemoveImageResponse*) override {
    return impl_.handle("RemoveImage", context, [&](FakeContainerRuntime& state) {
      state.remove_image(request->image().image());
      return grpc::Status::OK;
    });
  }

 private:
  Impl& impl_;
};

FakeCriServer::Impl::Impl() {
  std::string name = (std::filesystem::temp_directory_path() / "pintle-cri-XXXXXX").string();
  PINTLE_CHECK(mkdtemp(name.data()) != nullptr);
  folder_ = name;
  start();
}

FakeCriServer::Impl::~Impl() {
  stop();
  std::error_code ignored;  // a leftover in the temporary folder fails no test
  std::filesystem::remove_all(folder_, ignored);
}

void FakeCriServer::Impl::start() {
  runtime_calls_ = std::make_unique<RuntimeCalls>(*this);
  image_calls_ = std::make_unique<ImageCalls>(*this);
  grpc::ServerBuilder builder;
  builder.AddListeningPort("unix://" + (folder_ / "cri.sock").string(), grpc::InsecureServerCredentials());
  builder.RegisterService(runtime_calls_.get());
  builder.RegisterService(image_calls_.get());
  builder.SetSyncServerOption(grpc::ServerBuilder::SyncServerOption::NUM_CQS, 1);
  server_ = builder.BuildAndStart();
  PINTLE_CHECK(server_ != nullptr);
}

void FakeCriServer::Impl::stop() {
  if (!server_) return;
  // A deadline in the past: cancels what is under way at once.
  server_->Shutdown(gpr_inf_past(GPR_CLOCK_REALTIME));
  server_.reset();
}

FakeCriServer::FakeCriServer() : impl_(std::make_unique<Impl>()) {}
FakeCriServer::~FakeCriServer() = default;
void FakeCriServer::start() { impl_->start(); }
void FakeCriServer::stop() { impl_->stop(); }
std::string FakeCriServer::endpoint() const { return "unix://" + (impl_->folder_ / "cri.sock").string(); }

void FakeCriServer::with_state(const std::function<void(FakeContainerRuntime&)>& use) {
  const std::lock_guard lock(impl_->mu_);
  use(impl_->state_);
}

void FakeCriServer::fail(const std::string& method, int nth, StatusCode code, std::string text) {
  const std::lock_guard lock(impl_->mu_);
  impl_->faults_[{method, impl_->counts_[method] + nth}] = {code, std::move(text)};
}

void FakeCriServer::lose_reply(const std::string& method, int nth) {
  const std::lock_guard lock(impl_->mu_);
  impl_->lost_.insert({method, impl_->counts_[method] + nth});
}

void FakeCriServer::set_unimplemented(const std::string& method) {
  const std::lock_guard lock(impl_->mu_);
  impl_->unimplemented_.insert(method);
}

void FakeCriServer::block(const std::string& method, Where where) {
  const std::lock_guard lock(impl_->mu_);
  impl_->blocked_[method] = where;
}

void FakeCriServer::release(const std::string& method) {
  const std::lock_guard lock(impl_->mu_);
  impl_->blocked_.erase(method);
  impl_->changed_.notify_all();
}

bool FakeCriServer::wait_until_blocked(const std::string& method, std::chrono::milliseconds timeout) {
  std::unique_lock lock(impl_->mu_);
  return impl_->changed_.wait_for(lock, timeout, [&] { return impl_->waiting_[method] > 0; });
}

void FakeCriServer::enable_events() {
  const std::lock_guard lock(impl_->mu_);
  impl_->events_ = true;
}

void FakeCriServer::emit_event(const model::RuntimeEvent& event) {
  const std::lock_guard lock(impl_->mu_);
  impl_->emitted_.push_back(event);
  impl_->changed_.notify_all();
}

bool FakeCriServer::wait_for_stream(std::chrono::milliseconds timeout) {
  std::unique_lock lock(impl_->mu_);
  return impl_->changed_.wait_for(lock, timeout, [&] { return impl_->streams_ > 0; });
}

void FakeCriServer::end_streams() {
  const std::lock_guard lock(impl_->mu_);
  ++impl_->stream_generation_;
  impl_->changed_.notify_all();
}

std::vector<std::string> FakeCriServer::calls() {
  const std::lock_guard lock(impl_->mu_);
  return impl_->calls_;
}
std::vector<std::string> FakeCriServer::traces() {
  const std::lock_guard lock(impl_->mu_);
  return impl_->traces_;
}

}  // namespace pintle::fakes
