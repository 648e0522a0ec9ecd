// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "reconcile/executor.h"
#include "reconcile/pod_cgroup_limits.h"

#include <atomic>
#include <latch>
#include <thread>

#include <catch2/catch_test_macros.hpp>

#include "fakes/bpf/fake_program_attacher.h"
#include "fakes/cgroup/fake_cgroup_tree.h"
#include "fakes/cri/fake_container_runtime.h"
#include "fakes/reconcile/node_fakes.h"
#include "fakes/reconcile/runtime_decorator.h"
#include "scripted_outputs.h"

using namespace pintle;
using namespace pintle::reconcile;
using namespace pintle::reconcile::test;
using std::chrono::seconds;

namespace {

class StillClock final : public Clock {
 public:
  Time time{seconds(5000)};
  [[nodiscard]] Time now() const override { return time; }
  [[nodiscard]] SteadyTime steady() const override { return SteadyTime(time.time_since_epoch()); }
};

struct Node {
  StillClock clock;
  ReadClock reads;
  fakes::FakeContainerRuntime runtime{&clock};
  fakes::RuntimeDecorator<fakes::FakeContainerRuntime> door{runtime};
  fakes::FakeCgroupTree cgroups;
  fakes::FakeProgramAttacher programs;
  fakes::MemoryVolumes volumes;
  fakes::MemoryLogs logs;
  fakes::MemoryObjects objects;
  fakes::ScriptedProber prober;
  ExecutorOptions options{.owner = "me", .host_hosts_file = "/nonexistent"};
  std::unique_ptr<PodExecutor> executor;
  std::shared_ptr<model::Pod> pod = std::make_shared<model::Pod>(*make_pod("u1"));
  std::shared_ptr<const model::ObservedPod> seen;

  Node() {
    runtime.add_image("busybox:1");
    make_executor();
  }
  // Again, with other options.
  void make_executor() {
    executor =
        std::make_unique<PodExecutor>(ExecutorPorts{cgroups, programs, volumes, logs, door, door, objects, prober}, clock, reads, options);
  }
  ActionReply run(const lifecycle::Action& action, std::stop_token stop = {}) {
    auto reply = executor->execute(PodUid("u1"), action, {pod, ready_node(), seen, "/kubepods/podu1", {"10.0.0.2"}}, std::move(stop));
    if (reply.outcome.observed) seen = std::make_shared<const model::ObservedPod>(*reply.outcome.observed);
    return reply;
  }
  void up_to_sandbox() {
    REQUIRE_FALSE(run(lifecycle::EnsureCgroup{}).outcome.error);
    REQUIRE_FALSE(run(lifecycle::MountVolumes{}).outcome.error);
    REQUIRE_FALSE(run(lifecycle::RunSandbox{}).outcome.error);
  }
  lifecycle::StartContainer start() {
    return {"main", lifecycle::ContainerKind::kRegular, 0, fakes::FakeContainerRuntime::image_of("busybox:1")};
  }
};

}  // namespace

TEST_CASE("row 15.5: a pod's cgroup gets the node's podPidsLimit") {
  CHECK_FALSE(pod_cgroup_limits({}, model::QosClass::kBestEffort).pids);
  CHECK_FALSE(pod_cgroup_limits({}, model::QosClass::kBestEffort, 0).pids);
  CHECK(pod_cgroup_limits({}, model::QosClass::kBestEffort, 512).pids == 512);
  CHECK(pod_cgroup_limits({}, model::QosClass::kGuaranteed, 512).pids == 512);
}

TEST_CASE("A pod is made step by step, each step read back") {
  Node node;
  const auto cgroup = node.run(lifecycle::EnsureCgroup{});
  REQUIRE(std::holds_alternative<lifecycle::CgroupReady>(cgroup.outcome.value));
  CHECK(std::get<lifecycle::CgroupReady>(cgroup.outcome.value).runtime_parent == "/kubepods/podu1");
  const auto attach = node.run(lifecycle::AttachPrograms{});
  REQUIRE(std::holds_alternative<model::AttachReport>(attach.outcome.value));
  CHECK(std::get<model::AttachReport>(attach.outcome.value).effective());
  REQUIRE_FALSE(node.run(lifecycle::MountVolumes{}).outcome.error);
  const auto sandbox = node.run(lifecycle::RunSandbox{});
  REQUIRE(sandbox.outcome.observed);
  REQUIRE(sandbox.outcome.observed->sandboxes.size() == 1);
  CHECK(sandbox.outcome.observed->sandboxes[0].annotations.at(std::string(kOwnerAnnotation)) == "me");
  const auto started = node.run(node.start());
  CHECK_FALSE(started.outcome.error);
  REQUIRE(started.outcome.observed);
  CHECK(started.outcome.observed->containers.at(0).state == model::RunState::kRunning);
  CHECK(started.mark > sandbox.mark);
}

TEST_CASE("Programs are not attached to a cgroup that this process has not opened") {
  Node node;
  const auto attach = node.run(lifecycle::AttachPrograms{});
  REQUIRE(attach.outcome.error);
  CHECK(attach.outcome.error->code == Code::kGone);  // makes the core ask for the cgroup again
}

TEST_CASE("A start whose answer was lost has happened") {
  Node node;
  node.up_to_sandbox();
  node.runtime.lose_reply("start_container");
  const auto started = node.run(node.start());
  CHECK_FALSE(started.outcome.error);
  CHECK(started.outcome.observed->containers.at(0).state == model::RunState::kRunning);
}

TEST_CASE("Failed starts carry the API's reason") {
  Node node;
  node.up_to_sandbox();
  SECTION("config: an object that is not there") {
    model::EnvFrom from;
    from.name = "absent";
    node.pod->spec.containers[0].env_from.push_back(from);
    CHECK(node.run(node.start()).outcome.reason == "CreateContainerConfigError");
  }
  SECTION("create") {
    node.runtime.faults().fail("create_container", 1, {Code::kInternal, 0, "no"});
    CHECK(node.run(node.start()).outcome.reason == "CreateContainerError");
  }
  SECTION("start") {
    node.runtime.faults().fail("start_container", 1, {Code::kInternal, 0, "exec format error"});
    CHECK(node.run(node.start()).outcome.reason == "RunContainerError");
  }
  SECTION("postStart") {
    node.pod->spec.containers[0].lifecycle.post_start = model::SleepAction{1};
    node.prober.on_hook = [](const auto&, const auto&, std::stop_token) -> Status { return fail(Code::kInternal, "hook"); };
    CHECK(node.run(node.start()).outcome.reason == "PostStartHookError");
  }
}

TEST_CASE("preStop eats the grace period; the runtime gets at least two seconds") {
  Node node;
  node.up_to_sandbox();
  node.pod->spec.containers[0].lifecycle.pre_stop = model::SleepAction{9};
  const auto id = node.run(node.start()).outcome.observed->containers.at(0).id;
  std::vector<std::string> order;
  node.prober.on_hook = [&](const auto&, const auto&, std::stop_token) -> Status {
    node.clock.time += seconds(9);
    order.emplace_back("hook");
    return {};
  };
  node.door.hooks.before = [&](const char* op) -> std::optional<Error> {
    if (std::string(op) == "stop_container") order.emplace_back("stop");
    return std::nullopt;
  };
  const auto stopped = node.run(lifecycle::StopContainer{id, "main", seconds(10), true, {}});
  CHECK_FALSE(stopped.outcome.error);
  CHECK(order == std::vector<std::string>{"hook", "stop"});
  CHECK(stopped.outcome.took == seconds(9));
  CHECK(stopped.outcome.observed->containers.at(0).state == model::RunState::kExited);
}

TEST_CASE("A preStop that outlives its grace is ended") {
  Node node;
  node.up_to_sandbox();
  node.pod->spec.containers[0].lifecycle.pre_stop = model::SleepAction{600};
  const auto id = node.run(node.start()).outcome.observed->containers.at(0).id;
  std::atomic<bool> ended{false};
  node.prober.on_hook = [&](const auto&, const auto&, std::stop_token stop) -> Status {
    std::latch wait(1);
    const std::stop_callback end(stop, [&] { wait.count_down(); });
    wait.wait();
    ended = true;
    return {};
  };
  const auto stopped = node.run(lifecycle::StopContainer{id, "main", seconds(1), true, {}});
  CHECK(ended);
  CHECK_FALSE(stopped.outcome.error);
}

TEST_CASE("What an ended container left is read with it") {
  Node node;
  node.up_to_sandbox();
  const auto id = node.run(node.start()).outcome.observed->containers.at(0).id;
  node.volumes.messages[id.value()] = "out of luck";
  node.runtime.exit_container(id, 3);
  const auto read = node.run(lifecycle::InspectPod{});
  CHECK(read.outcome.termination_messages.at(id.value()) == "out of luck");
  CHECK(node.executor->last_words(*read.outcome.observed).at(id.value()) == "out of luck");
}

TEST_CASE("An older state of a pod is kept by nobody once a newer one is known") {
  Node node;
  node.up_to_sandbox();
  const auto id = node.run(node.start()).outcome.observed->containers.at(0).id;
  const std::weak_ptr<const model::Pod> old = node.pod;
  node.pod = std::make_shared<model::Pod>(*node.pod);
  node.executor->pod_changed(node.pod);
  CHECK(old.expired());
  node.volumes.messages[id.value()] = "out of luck";
  node.runtime.exit_container(id, 3);
  const auto seen = node.runtime.inspect_pod(PodUid("u1"));
  REQUIRE(seen);
  CHECK(node.executor->last_words(*seen).at(id.value()) == "out of luck");
}

TEST_CASE("A failed read-back is an error without an observation") {
  Node node;
  node.up_to_sandbox();
  node.runtime.faults().fail("inspect_pod", 1, {Code::kUnavailable, 0, "down"});
  const auto started = node.run(node.start());
  CHECK(started.outcome.error);
  CHECK_FALSE(started.outcome.observed);
}

TEST_CASE("Images by policy") {
  Node node;
  const auto ensure = [&](const std::string& image, model::PullPolicy policy) {
    return node.run(lifecycle::EnsureImage{"main", image, policy}).outcome;
  };
  CHECK_FALSE(ensure("busybox:1", model::PullPolicy::kIfNotPresent).pulled);
  CHECK(ensure("absent:1", model::PullPolicy::kNever).reason == "ErrImageNeverPull");
  CHECK(ensure("absent:1", model::PullPolicy::kIfNotPresent).reason == "ErrImagePull");
  node.runtime.add_pullable("there:1");
  const auto pulled = ensure("there:1", model::PullPolicy::kIfNotPresent);
  CHECK(pulled.pulled);
  CHECK(std::get<model::ImageInfo>(pulled.value).repo_tags == std::vector<std::string>{"there:1"});
  node.runtime.fail_pull("bad name", {Code::kInvalid, 0, "couldn't parse image name"});
  CHECK(ensure("bad name", model::PullPolicy::kAlways).reason == "InvalidImageName");
  node.runtime.faults().fail("find_image", 1, {Code::kInternal, 0, "disk"});
  CHECK(ensure("busybox:1", model::PullPolicy::kIfNotPresent).reason == "ImageInspectError");
}

TEST_CASE("row 19.4: each credential is tried in turn until the registry takes one; none is asked for without need") {
  using Auths = std::vector<model::RegistryAuth>;
  Node node;
  int asked = 0;
  Result<Auths> known;
  node.options.credentials = [&](const model::Pod& pod, const std::string& image, std::stop_token) {
    CHECK(pod.metadata.uid == "u1");
    CHECK((image == "private:1" || image == "busybox:1"));
    ++asked;
    return known;
  };
  node.make_executor();
  const auto ensure = [&](const std::string& image) {
    return node.run(lifecycle::EnsureImage{"main", image, model::PullPolicy::kIfNotPresent}).outcome;
  };
  CHECK_FALSE(ensure("busybox:1").error);
  CHECK(asked == 0);
  node.runtime.add_pullable("private:1");
  node.runtime.require_auth("private:1", {"u", "right", {}});
  const auto anonymous = ensure("private:1");
  CHECK(anonymous.reason == "ErrImagePull");
  CHECK(anonymous.error->context == "pull_image 'private:1': 401 Unauthorized for ''");
  known = Auths{{"u", "wrong", {}}, {"u", "wrong", {}}, {"u", "wrong again", {}}, {"u", "bad", {}}};
  const auto refused = ensure("private:1");
  CHECK(refused.reason == "ErrImagePull");
  // The fake's registry answers with the password, as a real one might.
  CHECK(refused.error->context ==
        "pull_image 'private:1': 401 Unauthorized for '***'; pull_image 'private:1': 401 Unauthorized for '*** again'; "
        "pull_image 'private:1': 401 Unauthorized for 'bad'");
  known = fail(Code::kInvalid, "secret 'a', key 'b': no");
  const auto unread = ensure("private:1");
  CHECK(unread.reason == "ErrImagePull");
  CHECK(unread.error->context == "secret 'a', key 'b': no");
  known = Auths{{"u", "wrong", {}}, {"u", "right", {}}};
  CHECK(ensure("private:1").pulled);
  CHECK_FALSE(ensure("private:1").pulled);
  CHECK(asked == 4);
}

TEST_CASE("rows 13.3, 13.4: a container is told of services, and waits for them to be known") {
  Node node;
  Result<lifecycle::EnvList> known = fail(Code::kUnavailable, "services have not yet been read");
  node.options.services = [&](const model::Pod& pod, std::stop_token) {
    CHECK(pod.metadata.uid == "u1");
    return known;
  };
  node.make_executor();
  node.up_to_sandbox();
  const auto early = node.run(node.start()).outcome;
  CHECK(early.reason == "CreateContainerConfigError");
  REQUIRE(early.error);
  CHECK(early.error->message().find("services have not yet been read") != std::string::npos);
  known = lifecycle::EnvList{{"KUBERNETES_SERVICE_HOST", "10.96.0.1"}};
  const auto started = node.run(node.start()).outcome;
  CHECK_FALSE(started.error);
  const auto* made = node.runtime.find_container("u1", "main", 0);
  REQUIRE(made != nullptr);
  CHECK(made->config.envs == lifecycle::EnvList{{"KUBERNETES_SERVICE_HOST", "10.96.0.1"}});
}

TEST_CASE("row 19.4: a pull with other credentials is another pull") {
  fakes::FakeContainerRuntime runtime;
  runtime.add_pullable("private:1");
  runtime.require_auth("private:1", {"u", "right", {}});
  fakes::RuntimeDecorator<fakes::FakeContainerRuntime> door(runtime);
  Mutex mu;
  std::atomic<int> pulls{0};
  std::latch begun(1), go(1);
  door.around = [&](const std::function<void()>& call) {
    const MutexLock lock(mu);
    call();
  };
  door.hooks.before = [&](const char* op) -> std::optional<Error> {
    if (std::string(op) == "pull_image" && ++pulls == 1) {
      begun.count_down();
      go.wait();
    }
    return std::nullopt;
  };
  ImagePuller puller(door);
  std::optional<bool> without;
  std::jthread first([&] { without = puller.ensure("private:1", model::PullPolicy::kAlways, {}, {}).has_value(); });
  begun.wait();
  const auto with = [](const std::string&, std::stop_token) { return Result<std::vector<model::RegistryAuth>>{{{"u", "right", {}}}}; };
  CHECK(puller.ensure("private:1", model::PullPolicy::kAlways, with, {}));  // while the first one is still under way
  go.count_down();
  first.join();
  CHECK(without == false);
}

TEST_CASE("One image is pulled once at a time, whoever asks; one who gives up fails nobody else") {
  fakes::FakeContainerRuntime runtime;
  runtime.add_pullable("big:1");
  fakes::RuntimeDecorator<fakes::FakeContainerRuntime> door(runtime);
  Mutex mu;
  std::atomic<int> pulls{0};
  std::latch begun(1), go(1);
  door.around = [&](const std::function<void()>& call) {
    const MutexLock lock(mu);
    call();
  };
  door.hooks.before = [&](const char* op) -> std::optional<Error> {
    if (std::string(op) != "pull_image") return std::nullopt;
    if (++pulls == 1) {
      begun.count_down();
      go.wait();
    }
    return std::nullopt;
  };
  ImagePuller puller(door);
  std::stop_source first_stop;
  std::optional<bool> first, second;
  std::jthread a([&] { first = puller.ensure("big:1", model::PullPolicy::kAlways, {}, first_stop.get_token()).has_value(); });
  begun.wait();
  SECTION("shared") {
    std::jthread b([&] { second = puller.ensure("big:1", model::PullPolicy::kAlways, {}, {}).has_value(); });
    go.count_down();
    a.join();
    b.join();
    CHECK(first.value());
    CHECK(second.value());
    CHECK(pulls <= 2);  // 2: the second one came after the first had ended
  }
  SECTION("given up while waiting") {
    std::stop_source give_up;
    std::jthread b([&] { second = puller.ensure("big:1", model::PullPolicy::kAlways, {}, give_up.get_token()).has_value(); });
    give_up.request_stop();
    b.join();  // at once, although the pull hangs
    CHECK_FALSE(second.value());
    CHECK(pulls == 1);
    go.count_down();
    a.join();
    CHECK(first.value());
  }
  SECTION("the first one is cancelled, the second one pulls itself") {
    std::jthread b([&] { second = puller.ensure("big:1", model::PullPolicy::kAlways, {}, {}).has_value(); });
    first_stop.request_stop();
    go.count_down();
    a.join();
    b.join();
    CHECK_FALSE(first.value());
    CHECK(second.value());
  }
}

TEST_CASE("row 15.4: the burstable class has the cpu shares of what its pods ask for together") {
  Node node;
  const auto act = [&](const std::string& uid, const char* cpu, const char* limit, const lifecycle::Action& action) {
    auto pod = std::make_shared<model::Pod>(*make_pod(uid, uid));
    auto& resources = pod->spec.containers.front().resources;
    if (*cpu != 0) resources.requests["cpu"] = Quantity::parse(cpu).value();
    if (*limit != 0) {
      resources.limits = {{"cpu", Quantity::parse(limit).value()}, {"memory", Quantity::parse("1Gi").value()}};
      resources.requests = resources.limits;
    }
    pod->status.qos_class = model::qos_class(pod->spec);
    const auto reply = node.executor->execute(PodUid(uid), action, {pod, ready_node(), nullptr, {}, {}}, {});
    REQUIRE_FALSE(reply.outcome.error);
  };
  const auto shares = [&] { return node.cgroups.class_limits().at(model::QosClass::kBurstable).cpu_shares; };
  act("a", "500m", "", lifecycle::EnsureCgroup{});
  CHECK(shares() == 512);
  act("b", "1", "", lifecycle::EnsureCgroup{});
  act("guaranteed", "", "2", lifecycle::EnsureCgroup{});
  act("best-effort", "", "", lifecycle::EnsureCgroup{});
  CHECK(shares() == 1536);
  act("b", "1", "", lifecycle::EnsureCgroup{});  // again, as after a restart of the agent
  CHECK(shares() == 1536);
  CHECK(node.cgroups.faults.count("limit_class") == 2);
  act("a", "500m", "", lifecycle::RemoveCgroup{});
  CHECK(shares() == 1024);
  act("b", "1", "", lifecycle::RemoveCgroup{});
  CHECK(shares() == 2);
}

TEST_CASE("A class's share that can't be set is the pod's failed step") {
  Node node;
  node.cgroups.faults.fail("limit_class", 1, {Code::kUnavailable, 0, "cgroup busy"});
  CHECK(node.run(lifecycle::EnsureCgroup{}).outcome.error->message() == "cgroup busy");
  CHECK_FALSE(node.run(lifecycle::EnsureCgroup{}).outcome.error);
}

namespace {

struct LoggingNode : Node {
  // The runtime writes a log from the start on.
  LoggingNode() {
    runtime.on_start_container = [this](const fakes::FakeContainer& container, const fakes::FakeSandbox& sandbox) {
      const auto& of = sandbox.config;
      logs.write({of.namespace_, of.name, of.uid, container.config.name, static_cast<int32_t>(container.config.attempt)});
    };
  }
  [[nodiscard]] std::string folder() const { return fakes::MemoryLogs::folder({pod->metadata.namespace_, pod->metadata.name, "u1"}); }
  ContainerId run_main(uint32_t attempt = 0) {
    auto action = start();
    action.attempt = attempt;
    const auto reply = run(action);
    REQUIRE_FALSE(reply.outcome.error);
    for (const auto& instance : seen->containers)
      if (instance.attempt == attempt) return instance.id;
    FAIL("not started");
    return {};
  }
};

}  // namespace

TEST_CASE("row 17.6: a container that has been started gets the link to its log") {
  LoggingNode node;
  node.up_to_sandbox();
  SECTION("at once") {
    const auto id = node.run_main();
    CHECK(node.logs.links == std::map<std::string, std::string>{{id.value(), node.folder() + "/main/0"}});
  }
  SECTION("when the start's answer was lost") {
    node.runtime.lose_reply("start_container");
    const auto id = node.run_main();
    CHECK(node.logs.links.contains(id.value()));
  }
  SECTION("by the next run of the agent, when this one came no further, and only once") {
    const auto id = node.run_main();
    node.logs.links.clear();
    REQUIRE_FALSE(node.run(lifecycle::MountVolumes{}).outcome.error);
    CHECK(node.logs.links.empty());  // a refresh does not look
    node.make_executor();
    REQUIRE_FALSE(node.run(lifecycle::MountVolumes{}).outcome.error);
    CHECK(node.logs.links.contains(id.value()));
  }
  SECTION("and runs without one where there can be none") {
    node.logs.hooks.before = [](const char* op) -> std::optional<Error> {
      return Error{Code::kUnavailable, EROFS, std::string(op) + ": Read-only file system"};
    };
    const auto id = node.run_main();
    CHECK(node.logs.links.empty());
    CHECK(node.seen->containers.at(0).state == model::RunState::kRunning);
  }
}

TEST_CASE("row 20.3: a container's log goes before the runtime's record of it") {
  LoggingNode node;
  node.up_to_sandbox();
  const auto first = node.run_main();
  node.runtime.exit_container(first, 1);
  const auto second = node.run_main(1);
  REQUIRE(node.seen->containers.size() == 2);
  SECTION("both go") {
    REQUIRE_FALSE(node.run(lifecycle::RemoveContainer{first}).outcome.error);
    CHECK(node.logs.folders.at(node.folder()) == std::set<std::string>{"main/1"});
    CHECK(node.logs.links == std::map<std::string, std::string>{{second.value(), node.folder() + "/main/1"}});
    CHECK(node.seen->containers.size() == 1);
  }
  SECTION("with a log that stays the record stays, so that it is found again") {
    node.logs.hooks.before = [](const char*) -> std::optional<Error> { return Error{Code::kUnavailable, EIO, "Input/output error"}; };
    CHECK(node.run(lifecycle::RemoveContainer{first}).outcome.error->message() == "Input/output error");
    CHECK(node.seen->containers.size() == 2);
  }
  SECTION("not one that another instance writes to") {
    auto seen = *node.seen;
    for (auto& instance : seen.containers) instance.attempt = 1;
    node.seen = std::make_shared<const model::ObservedPod>(seen);
    REQUIRE_FALSE(node.run(lifecycle::RemoveContainer{first}).outcome.error);
    CHECK(node.logs.folders.at(node.folder()).contains("main/1"));
  }
}

TEST_CASE("row 20.1: a pod's logs and links go before its directory") {
  LoggingNode node;
  node.up_to_sandbox();
  (void)node.run_main();
  REQUIRE_FALSE(node.run(lifecycle::UnmountVolumes{}).outcome.error);
  CHECK(node.volumes.directories.contains(PodUid("u1")));
  CHECK(node.logs.folders.size() == 1);
  SECTION("both go") {
    REQUIRE_FALSE(node.run(lifecycle::RemoveFiles{}).outcome.error);
    CHECK(node.logs.folders.empty());
    CHECK(node.logs.links.empty());
    CHECK(node.volumes.directories.empty());
  }
  SECTION("with logs that stay the directory stays") {
    node.logs.hooks.before = [](const char*) -> std::optional<Error> { return Error{Code::kUnavailable, EIO, "Input/output error"}; };
    CHECK(node.run(lifecycle::RemoveFiles{}).outcome.error->message() == "Input/output error");
    CHECK(node.volumes.directories.contains(PodUid("u1")));
  }
  SECTION("also of a pod of which only the UID is known") {
    auto nameless = std::make_shared<model::Pod>();
    nameless->metadata.uid = nameless->metadata.name = "u1";
    nameless->metadata.namespace_.clear();
    node.pod = nameless;
    REQUIRE_FALSE(node.run(lifecycle::RemoveFiles{}).outcome.error);
    CHECK(node.logs.folders.empty());
    CHECK(node.volumes.directories.empty());
  }
}
