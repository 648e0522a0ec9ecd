// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "contract/cri/contract.h"

#include <algorithm>

#include <poll.h>
#include <unistd.h>

#include <fmt/format.h>
#include <catch2/catch_test_macros.hpp>

namespace pintle::contract {
namespace {

using namespace std::chrono_literals;
using model::RunState;
using model::SandboxState;

// Removes the pod also when a REQUIRE leaves the check.
struct CleanUp {
  Subject& subject;
  std::string uid;
  ~CleanUp() { clean_up(subject, uid); }
};

#define REQUIRE_OK(result)                                         \
  do {                                                             \
    if (!(result)) FAIL(#result ": " << (result).error().context); \
  } while (false)

#define CHECK_CODE(result, wanted)       \
  do {                                   \
    const auto given = (result);         \
    REQUIRE_FALSE(given);                \
    INFO(given.error().context);         \
    CHECK(given.error().code == wanted); \
  } while (false)

struct Started {
  SandboxId sandbox;
  ContainerId container;
};
Started start_one(Subject& subject, const model::SandboxConfig& pod, model::ContainerConfig config) {
  const auto sandbox = subject.runtime().run_sandbox(pod, {});
  REQUIRE_OK(sandbox);
  const auto container = subject.runtime().create_container(*sandbox, config, pod, {});
  REQUIRE_OK(container);
  const auto started = subject.runtime().start_container(*container);
  REQUIRE_OK(started);
  return {*sandbox, *container};
}

Started start_one(Subject& subject, const model::SandboxConfig& pod) {
  return start_one(subject, pod, container_config(subject, pod, "main"));
}

// One that ends when it is asked to: CRI-O gives what is to be stopped with its sandbox, or removed, as long as the request may last.
model::ContainerConfig obedient(const Subject& subject, const model::SandboxConfig& pod) {
  auto config = container_config(subject, pod, "main");
  config.command = {"sh", "-c", "trap 'exit 0' TERM; while true; do sleep 0.05; done"};
  return config;
}

void check_runtime(Subject& subject) {
  const auto version = subject.runtime().version();
  REQUIRE_OK(version);
  CHECK_FALSE(version->name.empty());
  CHECK(version->api_version == "v1");
  const auto status = subject.runtime().status();
  REQUIRE_OK(status);
  CHECK(status->runtime_ready.ok);
  CHECK(status->network_ready.ok);
}

void check_life_of_a_pod(Subject& subject) {
  auto& runtime = subject.runtime();
  const auto pod = sandbox_config(subject, "life");
  const CleanUp clean{subject, pod.uid};
  const PodUid uid{pod.uid};

  const auto nothing = runtime.inspect_pod(uid);
  REQUIRE_OK(nothing);
  CHECK(nothing->uid == uid);
  CHECK(nothing->sandboxes.empty());
  CHECK(nothing->containers.empty());

  const auto sandbox = runtime.run_sandbox(pod, {});
  REQUIRE_OK(sandbox);
  auto seen = runtime.inspect_pod(uid);
  REQUIRE_OK(seen);
  REQUIRE(seen->sandboxes.size() == 1);
  const auto& ready = seen->sandboxes[0];
  CHECK(ready.id == *sandbox);
  CHECK(ready.state == SandboxState::kReady);
  CHECK(ready.name == pod.name);
  CHECK(ready.namespace_ == pod.namespace_);
  CHECK(ready.uid == uid);
  for (const auto& [key, value] : pod.labels) CHECK(ready.labels.at(key) == value);  // CRI-O adds one
  CHECK(ready.annotations == pod.annotations);
  CHECK(ready.created_at != kNoTime);
  CHECK_FALSE(ready.host_network);
  REQUIRE(ready.ips.size() == 1);

  const auto config = container_config(subject, pod, "main");
  const auto container = runtime.create_container(*sandbox, config, pod, {});
  REQUIRE_OK(container);
  auto status = runtime.container_status(*container);
  REQUIRE_OK(status);
  CHECK(status->state == RunState::kCreated);
  CHECK(status->started_at == kNoTime);
  const auto started = runtime.start_container(*container);
  REQUIRE_OK(started);

  seen = runtime.inspect_pod(uid);
  REQUIRE_OK(seen);
  REQUIRE(seen->containers.size() == 1);
  const auto& running = seen->containers[0];
  CHECK(running.id == *container);
  CHECK(running.sandbox_id == *sandbox);
  CHECK(running.uid == uid);
  CHECK(running.name == "main");
  CHECK(running.pod_name == pod.name);
  CHECK(running.pod_namespace == pod.namespace_);
  CHECK(running.state == RunState::kRunning);
  CHECK(running.detailed);
  CHECK(running.pid > 1);
  CHECK(running.started_at >= running.created_at);
  CHECK(running.finished_at == kNoTime);
  CHECK_FALSE(running.image_ref.empty());
  CHECK(running.labels == config.labels);
  CHECK(running.annotations == config.annotations);
  CHECK(running.log_path == pod.log_directory + "/main/0.log");

  CHECK_CODE(runtime.start_container(*container), Code::kInternal);  // twice

  subject.let_exit(*container, 3);
  const auto dead = wait_for(subject, *container, [](const auto& c) { return c.state == RunState::kExited; });
  REQUIRE_OK(dead);
  CHECK(dead->state == RunState::kExited);
  CHECK(dead->exit_code == 3);
  CHECK(dead->reason == "Error");
  CHECK(dead->finished_at >= dead->started_at);
  CHECK(dead->pid == 0);
}

void check_lists(Subject& subject) {
  auto& runtime = subject.runtime();
  const auto pod = sandbox_config(subject, "lists");
  const CleanUp clean{subject, pod.uid};
  const auto made = start_one(subject, pod);
  const auto sandboxes = runtime.list_sandboxes();
  REQUIRE_OK(sandboxes);
  const auto sandbox = std::ranges::find(*sandboxes, made.sandbox, &model::ObservedSandbox::id);
  REQUIRE(sandbox != sandboxes->end());
  CHECK(sandbox->uid == PodUid{pod.uid});
  CHECK(sandbox->ips.empty());
  const auto containers = runtime.list_containers();
  REQUIRE_OK(containers);
  const auto container = std::ranges::find(*containers, made.container, &model::ObservedContainer::id);
  REQUIRE(container != containers->end());
  CHECK(container->sandbox_id == made.sandbox);
  CHECK(container->uid == PodUid{pod.uid});
  CHECK(container->state == RunState::kRunning);
  CHECK_FALSE(container->detailed);
  CHECK(container->pid == 0);
}

void check_creation_is_idempotent(Subject& subject) {
  auto& runtime = subject.runtime();
  const auto pod = sandbox_config(subject, "again");
  const CleanUp clean{subject, pod.uid};
  const auto first = runtime.run_sandbox(pod, {});
  REQUIRE_OK(first);
  const auto second = runtime.run_sandbox(pod, {});
  REQUIRE_OK(second);
  CHECK(*first == *second);
  const auto config = container_config(subject, pod, "main");
  const auto one = runtime.create_container(*first, config, pod, {});
  REQUIRE_OK(one);
  const auto same = runtime.create_container(*first, config, pod, {});
  REQUIRE_OK(same);
  CHECK(*one == *same);
  const auto next = runtime.create_container(*first, container_config(subject, pod, "main", 1), pod, {});
  REQUIRE_OK(next);
  CHECK(*next != *one);

  // Names belong to the pod: one of an earlier sandbox is in the way of the next until it is removed.
  const auto stopped = runtime.stop_sandbox(*first);
  REQUIRE_OK(stopped);
  const auto pod_again = sandbox_config(subject, "again", 1);
  const auto third = runtime.run_sandbox(pod_again, {});
  REQUIRE_OK(third);
  CHECK(*third != *first);
  if (const auto in_the_way = runtime.create_container(*third, config, pod_again, {}))
    CHECK(*in_the_way == *one);  // CRI-O takes it for the same request again, whatever the sandbox
  else
    CHECK(in_the_way.error().code == Code::kUnavailable);
  const auto removed = runtime.remove_container(*one);
  REQUIRE_OK(removed);
  const auto free = runtime.create_container(*third, config, pod_again, {});
  REQUIRE_OK(free);

  const auto seen = runtime.inspect_pod(PodUid{pod.uid});
  REQUIRE_OK(seen);
  REQUIRE(seen->sandboxes.size() == 2);
  CHECK(seen->sandboxes[0].id == *third);  // newest first
  CHECK(seen->sandboxes[1].state == SandboxState::kNotReady);
}

void check_stop(Subject& subject) {
  auto& runtime = subject.runtime();
  const auto pod = sandbox_config(subject, "stop");
  const CleanUp clean{subject, pod.uid};
  const auto made = start_one(subject, pod);
  const auto stopped = runtime.stop_container(made.container, 0s, {});
  REQUIRE_OK(stopped);
  const auto status = runtime.container_status(made.container);
  REQUIRE_OK(status);
  CHECK(status->state == RunState::kExited);
  CHECK(status->exit_code == 137);
  const auto again = runtime.stop_container(made.container, 0s, {});
  REQUIRE_OK(again);

  const auto sandbox_stopped = runtime.stop_sandbox(made.sandbox);
  REQUIRE_OK(sandbox_stopped);
  const auto sandbox_again = runtime.stop_sandbox(made.sandbox);
  REQUIRE_OK(sandbox_again);
  auto seen = runtime.inspect_pod(PodUid{pod.uid});
  REQUIRE_OK(seen);
  REQUIRE(seen->sandboxes.size() == 1);
  CHECK(seen->sandboxes[0].state == SandboxState::kNotReady);
  CHECK(seen->containers.size() == 1);
  // containerd before 2 refuses to make a container there; since then it makes one, which nothing can start.
  if (const auto late = runtime.create_container(made.sandbox, container_config(subject, pod, "late"), pod, {}))
    CHECK_FALSE(runtime.start_container(*late));
  else
    CHECK(late.error().code == Code::kNotFound);

  const auto removed = runtime.remove_sandbox(made.sandbox);
  REQUIRE_OK(removed);
  const auto removed_again = runtime.remove_sandbox(made.sandbox);
  REQUIRE_OK(removed_again);
  seen = runtime.inspect_pod(PodUid{pod.uid});
  REQUIRE_OK(seen);
  CHECK(seen->sandboxes.empty());
  CHECK(seen->containers.empty());
}

void check_sandbox_stop_ends_containers(Subject& subject) {
  auto& runtime = subject.runtime();
  const auto pod = sandbox_config(subject, "both");
  const CleanUp clean{subject, pod.uid};
  const auto made = start_one(subject, pod, obedient(subject, pod));
  const auto stopped = runtime.stop_sandbox(made.sandbox);
  REQUIRE_OK(stopped);
  const auto status = runtime.container_status(made.container);
  REQUIRE_OK(status);
  CHECK(status->state == RunState::kExited);
}

void check_absent_objects(Subject& subject) {
  auto& runtime = subject.runtime();
  const ContainerId none{"0123456789abcdef"};
  const SandboxId no_sandbox{"fedcba9876543210"};
  const auto pod = sandbox_config(subject, "absent");
  CHECK_CODE(runtime.container_status(none), Code::kNotFound);
  CHECK_CODE(runtime.start_container(none), Code::kNotFound);
  CHECK_CODE(runtime.exec_sync(none, {"true"}, 5s, {}), Code::kNotFound);
  CHECK_CODE(runtime.reopen_log(none), Code::kNotFound);
  CHECK_CODE(runtime.create_container(no_sandbox, container_config(subject, pod, "main"), pod, {}), Code::kNotFound);
  CHECK(runtime.stop_container(none, 1s, {}));
  CHECK(runtime.remove_container(none));
  CHECK(runtime.stop_sandbox(no_sandbox));
  CHECK(runtime.remove_sandbox(no_sandbox));
}

void check_remove_ends_a_running_container(Subject& subject) {
  auto& runtime = subject.runtime();
  const auto pod = sandbox_config(subject, "remove");
  const CleanUp clean{subject, pod.uid};
  const auto made = start_one(subject, pod, obedient(subject, pod));
  const auto removed = runtime.remove_container(made.container);
  REQUIRE_OK(removed);
  CHECK_CODE(runtime.container_status(made.container), Code::kNotFound);
  const auto again = runtime.remove_container(made.container);
  REQUIRE_OK(again);
}

void check_not_running(Subject& subject) {
  auto& runtime = subject.runtime();
  const auto pod = sandbox_config(subject, "idle");
  const CleanUp clean{subject, pod.uid};
  const auto sandbox = runtime.run_sandbox(pod, {});
  REQUIRE_OK(sandbox);
  const auto container = runtime.create_container(*sandbox, container_config(subject, pod, "main"), pod, {});
  REQUIRE_OK(container);
  // To CRI-O a created container is a process that waits: one can exec into it, and its stop ends it. To containerd there is nothing yet.
  const bool waits = runtime.exec_sync(*container, {"true"}, 5s, {}).has_value();
  CHECK(runtime.reopen_log(*container).has_value() == waits);
  CHECK(runtime.container_status(*container)->state == RunState::kCreated);
  const auto stopped = runtime.stop_container(*container, 0s, {});
  REQUIRE_OK(stopped);
  CHECK(runtime.container_status(*container)->state == (waits ? RunState::kExited : RunState::kCreated));
}

void check_cancelled(Subject& subject) {
  std::stop_source stop;
  stop.request_stop();
  const auto pod = sandbox_config(subject, "cancelled");
  const CleanUp clean{subject, pod.uid};
  CHECK_CODE(subject.runtime().run_sandbox(pod, stop.get_token()), Code::kCancelled);
  CHECK_CODE(subject.images().pull_image("pintle.invalid/none:1", std::nullopt, stop.get_token()), Code::kCancelled);
}

void check_private_image(Subject& subject) {
  const std::string image = subject.private_image();
  auto& images = subject.images();
  const auto refused = [&](const std::optional<model::RegistryAuth>& auth) {
    const auto pulled = images.pull_image(image, auth, {});
    REQUIRE_FALSE(pulled);
    INFO(pulled.error().context);
    CHECK(pulled.error().code != Code::kInvalid);  // that would be said of the image's name
    CHECK(pulled.error().context.find(image) != std::string::npos);
    const auto found = images.find_image(image);
    REQUIRE_OK(found);
    CHECK_FALSE(found->has_value());
  };
  refused(std::nullopt);
  refused(model::RegistryAuth{kRegistryUser, "wrong", {}});
  const auto pulled = images.pull_image(image, model::RegistryAuth{kRegistryUser, kRegistryPassword, {}}, {});
  REQUIRE_OK(pulled);
  CHECK_FALSE(pulled->empty());
  const auto found = images.find_image(image);
  REQUIRE_OK(found);
  CHECK(found->has_value());
}

void check_images(Subject& subject) {
  const auto image = subject.images().find_image(subject.image());
  REQUIRE_OK(image);
  REQUIRE(image->has_value());
  CHECK_FALSE((*image)->id.empty());
  CHECK(std::ranges::find((*image)->repo_tags, subject.image()) != (*image)->repo_tags.end());
  CHECK((*image)->size_bytes > 0);
  const auto by_id = subject.images().find_image((*image)->id);
  REQUIRE_OK(by_id);
  CHECK(by_id->has_value());
  const auto none = subject.images().find_image("pintle.local/absent:1");
  REQUIRE_OK(none);
  CHECK_FALSE(none->has_value());
  const auto all = subject.images().list_images();
  REQUIRE_OK(all);
  CHECK(std::ranges::find(*all, (*image)->id, &model::ImageInfo::id) != all->end());

  const auto pod = sandbox_config(subject, "noimage");
  const CleanUp clean{subject, pod.uid};
  const auto sandbox = subject.runtime().run_sandbox(pod, {});
  REQUIRE_OK(sandbox);
  auto config = container_config(subject, pod, "main");
  config.image_ref = "pintle.local/absent:1";
  CHECK_CODE(subject.runtime().create_container(*sandbox, config, pod, {}), Code::kNotFound);
}

}  // namespace

model::SandboxConfig sandbox_config(const Subject& subject, const std::string& name, uint32_t attempt) {
  model::SandboxConfig config;
  config.name = name;
  config.namespace_ = "default";
  config.uid = fmt::format("uid-{}-{}", name, getpid());
  config.attempt = attempt;
  config.hostname = name;
  config.log_directory = subject.log_root() + "/default_" + name + "_" + config.uid;
  config.cgroup_parent = subject.cgroup_root().empty() ? "" : subject.cgroup_root() + "/pod" + config.uid;
  config.labels = {{std::string{model::kLabelPodUid}, config.uid},
                   {std::string{model::kLabelPodName}, name},
                   {std::string{model::kLabelPodNamespace}, "default"},
                   {"app", name}};
  config.annotations = {{"note", "a \"quoted\" text"}};
  return config;
}

model::ContainerConfig container_config(const Subject& subject, const model::SandboxConfig& pod, const std::string& name,
                                        uint32_t attempt) {
  model::ContainerConfig config;
  config.name = name;
  config.attempt = attempt;
  config.image_ref = subject.image();
  config.user_specified_image = subject.image();
  // Ends with the number it finds in /tmp/exit; polls because a container that is being killed must not depend on signals.
  config.command = {"sh", "-c", "echo hello; while ! [ -s /tmp/exit ]; do sleep 0.05; done; exit $(cat /tmp/exit)"};
  config.log_path = fmt::format("{}/{}.log", name, attempt);
  config.labels = pod.labels;
  config.labels.erase("app");
  config.labels[std::string{model::kLabelContainerName}] = name;
  config.annotations = {{std::string{model::kAnnotationRestartCount}, std::to_string(attempt)}};
  return config;
}

Result<model::ObservedContainer> wait_for(Subject& subject, const ContainerId& id,
                                          const std::function<bool(const model::ObservedContainer&)>& done) {
  auto status = subject.runtime().container_status(id);
  for (int tries = 0; status && !done(*status) && tries < 1000; ++tries) {
    (void)poll(nullptr, 0, 20);
    status = subject.runtime().container_status(id);
  }
  return status;
}

void clean_up(Subject& subject, const std::string& uid) {
  using namespace std::chrono_literals;
  const auto seen = subject.runtime().inspect_pod(PodUid{uid});
  if (!seen) return;
  for (const auto& container : seen->containers) (void)subject.runtime().stop_container(container.id, 0s, {});
  for (const auto& sandbox : seen->sandboxes) {
    // Also for a test that failed half-way; what can't be removed is the subject's own clean-up.
    (void)subject.runtime().stop_sandbox(sandbox.id);
    (void)subject.runtime().remove_sandbox(sandbox.id);
  }
}

void check_all(Subject& subject) {
  SECTION("version and status") { check_runtime(subject); }
  SECTION("the life of a pod") { check_life_of_a_pod(subject); }
  SECTION("lists") { check_lists(subject); }
  SECTION("creation is idempotent by attempt") { check_creation_is_idempotent(subject); }
  SECTION("stop and remove are idempotent") { check_stop(subject); }
  SECTION("a sandbox's stop ends its containers") { check_sandbox_stop_ends_containers(subject); }
  SECTION("absent objects") { check_absent_objects(subject); }
  SECTION("remove ends a running container") { check_remove_ends_a_running_container(subject); }
  SECTION("a created container is neither running nor stopped") { check_not_running(subject); }
  SECTION("a stop request before the call") { check_cancelled(subject); }
  SECTION("images") { check_images(subject); }
  SECTION("an image that only some may pull") { check_private_image(subject); }
}

}  // namespace pintle::contract
