// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "fakes/cri/fake_container_runtime.h"

#include <algorithm>

#include <fmt/format.h>

namespace pintle::fakes {
namespace {

template <typename Observed>
void sort_newest_first(std::vector<Observed>& objects) {
  std::ranges::stable_sort(objects, [](const Observed& a, const Observed& b) {
    return a.created_at != b.created_at ? a.created_at > b.created_at : a.attempt > b.attempt;
  });
}

bool has(const std::vector<std::string>& list, const std::string& text) { return std::ranges::find(list, text) != list.end(); }

}  // namespace

// Leaves the function with the fault of this call, if there is one.
#define FAKE_BEGIN(op, object) \
  if (auto fault = begin(op, object)) return std::unexpected(*std::move(fault))
#define FAKE_END(op) \
  if (auto lost = end(op)) return std::unexpected(*std::move(lost))

std::optional<Error> FakeContainerRuntime::begin(const std::string& op, const std::string& object) {
  calls_.push_back(object.empty() ? op : op + " " + object);
  ++op_counts_[op];
  auto fault = faults_.next(op);
  if (down_) return Error{Code::kUnavailable, 0, fmt::format("{} '{}': the runtime is down", op, object)};
  return fault;
}

std::optional<Error> FakeContainerRuntime::end(const std::string& op) {
  if (lost_replies_.erase({op, op_counts_[op]}) == 0) return std::nullopt;
  return Error{Code::kUnavailable, 0, op + ": the connection was lost before the reply"};
}

Result<model::RuntimeVersion> FakeContainerRuntime::version() {
  FAKE_BEGIN("version", "");
  return model::RuntimeVersion{"fake", "1.0.0", "v1"};
}

Result<model::RuntimeStatus> FakeContainerRuntime::status() {
  FAKE_BEGIN("status", "");
  return status_;
}

Result<std::vector<model::ObservedSandbox>> FakeContainerRuntime::list_sandboxes() {
  FAKE_BEGIN("list_sandboxes", "");
  std::vector<model::ObservedSandbox> out;
  out.reserve(sandboxes_.size());
  for (const auto& [id, sandbox] : sandboxes_) {
    out.push_back(sandbox.seen);
    out.back().ips.clear();
    out.back().host_network = false;
  }
  return out;
}

model::ObservedContainer FakeContainerRuntime::as_listed(const FakeContainer& container) const {
  model::ObservedContainer out = container.seen;
  out.detailed = false;
  out.started_at = out.finished_at = kNoTime;
  out.exit_code = 0;
  out.pid = 0;
  out.reason.clear();
  out.message.clear();
  out.log_path.clear();
  return out;
}

Result<std::vector<model::ObservedContainer>> FakeContainerRuntime::list_containers() {
  FAKE_BEGIN("list_containers", "");
  std::vector<model::ObservedContainer> out;
  out.reserve(containers_.size());
  for (const auto& [id, container] : containers_) out.push_back(as_listed(container));
  return out;
}

Result<model::ObservedPod> FakeContainerRuntime::inspect_pod(const PodUid& uid) {
  FAKE_BEGIN("inspect_pod", uid.value());
  model::ObservedPod pod;
  pod.uid = uid;
  for (const auto& [id, sandbox] : sandboxes_) {
    if (sandbox.seen.uid == uid) pod.sandboxes.push_back(sandbox.seen);
  }
  for (const auto& [id, container] : containers_) {
    if (container.seen.uid == uid) pod.containers.push_back(container.seen);
  }
  sort_newest_first(pod.sandboxes);
  sort_newest_first(pod.containers);
  return pod;
}

const FakeSandbox* FakeContainerRuntime::find_sandbox(const std::string& uid, uint32_t attempt) const {
  for (const auto& [id, sandbox] : sandboxes_) {
    if (sandbox.config.uid == uid && sandbox.config.attempt == attempt) return &sandbox;
  }
  return nullptr;
}

const FakeContainer* FakeContainerRuntime::find_container(const std::string& uid, const std::string& name, uint32_t attempt) const {
  for (const auto& [id, container] : containers_) {
    const auto sandbox = sandboxes_.find(container.seen.sandbox_id);
    const bool same_pod = sandbox != sandboxes_.end() ? sandbox->second.config.uid == uid : container.seen.uid.value() == uid;
    if (same_pod && container.config.name == name && container.config.attempt == attempt) return &container;
  }
  return nullptr;
}

Result<SandboxId> FakeContainerRuntime::run_sandbox(const model::SandboxConfig& config, std::stop_token stop) {
  FAKE_BEGIN("run_sandbox", fmt::format("{}/{}#{}", config.namespace_, config.name, config.attempt));
  if (stop.stop_requested()) return fail(Code::kCancelled, "run_sandbox: stopped");
  if (const FakeSandbox* earlier = find_sandbox(config.uid, config.attempt)) return earlier->seen.id;
  const uint64_t number = ++made_;
  FakeSandbox sandbox;
  sandbox.config = config;
  auto& seen = sandbox.seen;
  seen.id = SandboxId{fmt::format("sb-{}", number)};
  seen.name = config.name;
  seen.namespace_ = config.namespace_;
  seen.uid = PodUid{config.uid};
  seen.attempt = config.attempt;
  seen.state = model::SandboxState::kReady;
  seen.created_at = now();
  seen.host_network = config.security.namespaces.network == model::NamespaceMode::kNode;
  if (!seen.host_network) seen.ips = {fmt::format("10.88.{}.{}", number / 250 % 250, number % 250 + 2)};
  seen.labels = config.labels;
  seen.annotations = config.annotations;
  const SandboxId id = seen.id;
  sandboxes_.emplace(id, std::move(sandbox));
  FAKE_END("run_sandbox");
  return id;
}

void FakeContainerRuntime::kill_sandbox(const SandboxId& id) {
  const auto found = sandboxes_.find(id);
  if (found == sandboxes_.end()) return;
  found->second.seen.state = model::SandboxState::kNotReady;
  for (auto& [container_id, container] : containers_) {
    if (container.seen.sandbox_id == id) end_container(container, 137, "Error");
  }
}

Status FakeContainerRuntime::stop_sandbox(const SandboxId& id) {
  FAKE_BEGIN("stop_sandbox", id.value());
  kill_sandbox(id);
  if (const auto found = sandboxes_.find(id); found != sandboxes_.end()) found->second.seen.ips.clear();
  FAKE_END("stop_sandbox");
  return {};
}

void FakeContainerRuntime::vanish_sandbox(const SandboxId& id) {
  std::erase_if(containers_, [&](const auto& entry) { return entry.second.seen.sandbox_id == id; });
  sandboxes_.erase(id);
}

Status FakeContainerRuntime::remove_sandbox(const SandboxId& id) {
  FAKE_BEGIN("remove_sandbox", id.value());
  vanish_sandbox(id);
  FAKE_END("remove_sandbox");
  return {};
}

Result<ContainerId> FakeContainerRuntime::create_container(const SandboxId& sandbox_id, const model::ContainerConfig& config,
                                                           const model::SandboxConfig& sandbox_config, std::stop_token stop) {
  const std::string object = fmt::format("{}/{}/{}#{}", sandbox_config.namespace_, sandbox_config.name, config.name, config.attempt);
  FAKE_BEGIN("create_container", object);
  if (stop.stop_requested()) return fail(Code::kCancelled, "create_container: stopped");
  const auto sandbox = sandboxes_.find(sandbox_id);
  if (sandbox == sandboxes_.end())
    return fail(Code::kNotFound, fmt::format("create_container '{}': no sandbox '{}'", object, sandbox_id.value()));
  if (const FakeContainer* earlier = find_container(sandbox->second.config.uid, config.name, config.attempt)) {
    if (earlier->seen.sandbox_id == sandbox_id) return earlier->seen.id;
    // containerd reserves names by pod, not by sandbox: one of an earlier sandbox is in the way until it is removed.
    return fail(Code::kUnavailable, fmt::format("create_container '{}': the name is reserved for '{}'", object, earlier->seen.id.value()));
  }
  if (sandbox->second.seen.state != model::SandboxState::kReady)
    return fail(Code::kNotFound, fmt::format("create_container '{}': sandbox '{}' has no task", object, sandbox_id.value()));
  const model::ImageInfo* image = lookup_image(config.image_ref);
  if (image == nullptr) return fail(Code::kNotFound, fmt::format("create_container '{}': no image '{}'", object, config.image_ref));

  FakeContainer container;
  container.config = config;
  auto& seen = container.seen;
  seen.id = ContainerId{fmt::format("ct-{}", ++made_)};
  seen.sandbox_id = sandbox_id;
  const auto label = [&](std::string_view key) {
    const auto found = config.labels.find(std::string{key});
    return found == config.labels.end() ? std::string{} : found->second;
  };
  seen.uid = PodUid{label(model::kLabelPodUid)};
  seen.pod_name = label(model::kLabelPodName);
  seen.pod_namespace = label(model::kLabelPodNamespace);
  seen.name = config.name;
  seen.attempt = config.attempt;
  seen.state = model::RunState::kCreated;
  seen.created_at = now();
  seen.image = config.image_ref;
  seen.image_ref = image->id;
  if (!config.log_path.empty()) seen.log_path = sandbox->second.config.log_directory + "/" + config.log_path;
  seen.labels = config.labels;
  seen.annotations = config.annotations;
  seen.detailed = true;
  const ContainerId id = seen.id;
  containers_.emplace(id, std::move(container));
  push_event({PodUid{sandbox->second.config.uid}, id});
  FAKE_END("create_container");
  return id;
}

Status FakeContainerRuntime::start_container(const ContainerId& id) {
  FAKE_BEGIN("start_container", id.value());
  const auto found = containers_.find(id);
  if (found == containers_.end()) return fail(Code::kNotFound, fmt::format("start_container '{}': not found", id.value()));
  FakeContainer& container = found->second;
  if (container.seen.state != model::RunState::kCreated)
    return fail(Code::kInternal, fmt::format("start_container '{}': it was started before", id.value()));
  const auto sandbox = sandboxes_.find(container.seen.sandbox_id);
  if (sandbox == sandboxes_.end() || sandbox->second.seen.state != model::SandboxState::kReady)
    return fail(Code::kInternal, fmt::format("start_container '{}': its sandbox is not ready", id.value()));
  if (on_start_container) on_start_container(container, sandbox->second);
  container.seen.state = model::RunState::kRunning;
  container.seen.started_at = now();
  container.seen.pid = 1000 + static_cast<int64_t>(++made_);
  push_event({container.seen.uid, id});
  FAKE_END("start_container");
  return {};
}

void FakeContainerRuntime::end_container(FakeContainer& container, int32_t code, std::string reason) {
  auto& seen = container.seen;
  if (seen.state != model::RunState::kRunning) return;
  seen.state = model::RunState::kExited;
  seen.finished_at = now();
  seen.exit_code = code;
  seen.pid = 0;
  seen.reason = !reason.empty() ? std::move(reason) : code == 0 ? "Completed" : "Error";
  push_event({seen.uid, seen.id});
}

void FakeContainerRuntime::exit_container(const ContainerId& id, int32_t code, std::string reason) {
  end_container(containers_.at(id), code, std::move(reason));
}

Status FakeContainerRuntime::stop_container(const ContainerId& id, std::chrono::seconds grace, std::stop_token stop) {
  FAKE_BEGIN("stop_container", id.value());
  if (stop.stop_requested()) return fail(Code::kCancelled, "stop_container: stopped");
  if (const auto found = containers_.find(id); found != containers_.end()) {
    const auto chosen = stop_exit_codes_.find(found->second.config.name);
    const int32_t graceful = chosen == stop_exit_codes_.end() ? 143 : chosen->second;
    end_container(found->second, grace.count() > 0 ? graceful : 137, {});
  }
  FAKE_END("stop_container");
  return {};
}

Status FakeContainerRuntime::remove_container(const ContainerId& id) {
  FAKE_BEGIN("remove_container", id.value());
  if (const auto found = containers_.find(id); found != containers_.end()) {
    push_event({found->second.seen.uid, id});
    containers_.erase(found);
  }
  FAKE_END("remove_container");
  return {};
}

Result<model::ObservedContainer> FakeContainerRuntime::container_status(const ContainerId& id) {
  FAKE_BEGIN("container_status", id.value());
  const auto found = containers_.find(id);
  if (found == containers_.end()) return fail(Code::kNotFound, fmt::format("container_status '{}': not found", id.value()));
  return found->second.seen;
}

Result<model::ExecResult> FakeContainerRuntime::exec_sync(const ContainerId& id, const std::vector<std::string>& command,
                                                          std::chrono::seconds /*timeout*/, std::stop_token stop) {
  FAKE_BEGIN("exec_sync", id.value());
  if (stop.stop_requested()) return fail(Code::kCancelled, "exec_sync: stopped");
  const auto found = containers_.find(id);
  if (found == containers_.end()) return fail(Code::kNotFound, fmt::format("exec_sync '{}': not found", id.value()));
  if (found->second.seen.state != model::RunState::kRunning)
    return fail(Code::kInternal, fmt::format("exec_sync '{}': it is not running", id.value()));
  if (on_exec) return on_exec(found->second, command);
  return model::ExecResult{};
}

Status FakeContainerRuntime::reopen_log(const ContainerId& id) {
  FAKE_BEGIN("reopen_log", id.value());
  const auto found = containers_.find(id);
  if (found == containers_.end()) return fail(Code::kNotFound, fmt::format("reopen_log '{}': not found", id.value()));
  if (found->second.seen.state != model::RunState::kRunning)
    return fail(Code::kInternal, fmt::format("reopen_log '{}': it is not running", id.value()));
  return {};
}

void FakeContainerRuntime::push_event(model::RuntimeEvent event) {
  if (keep_events_) events_.push_back(std::move(event));
}

Status FakeContainerRuntime::watch_events(const std::function<void(const model::RuntimeEvent&)>& on_event, std::stop_token stop) {
  FAKE_BEGIN("watch_events", "");
  if (!keep_events_) return fail(Code::kUnsupported, "watch_events: this runtime has no event stream");
  for (const auto& event : std::exchange(events_, {})) on_event(event);
  if (stop.stop_requested()) return fail(Code::kCancelled, "watch_events: stopped");
  return fail(Code::kUnavailable, "watch_events: the stream ended");
}

model::ImageInfo FakeContainerRuntime::image_of(const std::string& name) {
  model::ImageInfo image;
  image.id = fmt::format("sha256:{:016x}", std::hash<std::string>{}(name));
  image.repo_tags = {name};
  image.size_bytes = 1'000'000;
  return image;
}

const model::ImageInfo* FakeContainerRuntime::lookup_image(const std::string& image) const {
  for (const auto& [id, info] : images_) {
    if (id == image || has(info.repo_tags, image) || has(info.repo_digests, image)) return &info;
  }
  return nullptr;
}

void FakeContainerRuntime::remove_image(const std::string& image) {
  if (const model::ImageInfo* found = lookup_image(image)) images_.erase(std::string{found->id});
}

Result<std::optional<model::ImageInfo>> FakeContainerRuntime::find_image(const std::string& image) {
  FAKE_BEGIN("find_image", image);
  const model::ImageInfo* found = lookup_image(image);
  return found == nullptr ? std::optional<model::ImageInfo>{} : std::optional{*found};
}

Result<std::vector<model::ImageInfo>> FakeContainerRuntime::list_images() {
  FAKE_BEGIN("list_images", "");
  std::vector<model::ImageInfo> out;
  for (const auto& [id, info] : images_) out.push_back(info);
  return out;
}

Result<std::string> FakeContainerRuntime::pull_image(const std::string& image, const std::optional<model::RegistryAuth>& auth,
                                                     std::stop_token stop) {
  FAKE_BEGIN("pull_image", image);
  if (stop.stop_requested()) return fail(Code::kCancelled, "pull_image: stopped");
  if (const auto error = pull_errors_.find(image); error != pull_errors_.end()) return std::unexpected(error->second);
  const auto found = pullable_.find(image);
  if (found == pullable_.end()) return fail(Code::kNotFound, fmt::format("pull_image '{}': no registry has it", image));
  if (const auto wanted = wanted_auths_.find(image); wanted != wanted_auths_.end())
    if (!auth || auth->username != wanted->second.username || auth->password != wanted->second.password)
      return fail(Code::kInternal, fmt::format("pull_image '{}': 401 Unauthorized for '{}'", image, auth ? auth->password : ""));
  images_[found->second.id] = found->second;
  FAKE_END("pull_image");
  return found->second.id;
}

#undef FAKE_BEGIN
#undef FAKE_END

}  // namespace pintle::fakes
