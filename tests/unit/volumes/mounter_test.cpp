// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include <catch2/catch_test_macros.hpp>

#include <sys/stat.h>

#include "base/unique_fd.h"
#include "fake_objects.h"
#include "fakes/store/temp_dir.h"
#include "volumes/fs_volume_mounter.h"

using namespace pintle;
using namespace pintle::volumes;

namespace {

model::Pod pod_with(model::Volume volume) {
  model::Pod pod;
  pod.metadata.name = "web";
  pod.metadata.uid = "uid-1";
  pod.metadata.labels = {{"app", "web"}};
  model::Container container;
  container.name = "main";
  container.volume_mounts = {{.name = volume.name, .mount_path = "/data"}};
  pod.spec.volumes.push_back(std::move(volume));
  pod.spec.containers.push_back(std::move(container));
  return pod;
}

struct World {
  fakes::TempDir root;
  FakeObjects objects;
  StoppedClock clock;
  FsVolumeMounter mounter{root.path(), objects, clock};
};

}  // namespace

TEST_CASE("row 14.4: an emptyDir is open to all and is not reset by a second mount") {
  World world;
  const auto pod = pod_with({"work", model::EmptyDirVolume{}});
  const auto mounted = world.mounter.mount(pod, {}, {});
  REQUIRE(mounted);
  const std::string path = mounted->host_paths.at("work");
  struct stat info{};
  REQUIRE(::stat(path.c_str(), &info) == 0);
  CHECK((info.st_mode & 0777) == 0777);
  REQUIRE(::chmod(path.c_str(), 0700) == 0);
  REQUIRE(world.mounter.mount(pod, {}, {}));
  REQUIRE(::stat(path.c_str(), &info) == 0);
  CHECK((info.st_mode & 0777) == 0700);
}

TEST_CASE("row 14.11: configMap volumes hold their keys and are read-only") {
  World world;
  world.objects.config_maps["cm"].data = {{"a", "1"}, {"b.txt", "two"}};
  const auto pod = pod_with({"conf", model::ConfigMapVolume{.name = "cm"}});
  const auto mounted = world.mounter.mount(pod, {}, {});
  REQUIRE(mounted);
  CHECK(*read_file(mounted->host_paths.at("conf") + "/b.txt") == "two");
  const auto mounts = world.mounter.container_mounts(pod, pod.spec.containers[0], 0, {.hosts_file = "# hosts\n"}, *mounted, {});
  REQUIRE(mounts);
  REQUIRE(mounts->size() == 3);  // row 17.10: volumes, hosts, termination log
  CHECK((*mounts)[0].read_only);
  CHECK((*mounts)[1].container_path == "/etc/hosts");
  CHECK((*mounts)[2].container_path == "/dev/termination-log");

  SECTION("a change reaches the file") {
    world.objects.config_maps["cm"].data["a"] = "2";
    REQUIRE(world.mounter.mount(pod, {}, {}));
    CHECK(*read_file(mounted->host_paths.at("conf") + "/a") == "2");
  }
}

TEST_CASE("what an earlier run of the agent has filled stays as it is while the API is down; what nobody has filled is not there") {
  World world;
  world.objects.config_maps["cm"].data = {{"a", "1"}};
  const auto pod = pod_with({"conf", model::ConfigMapVolume{.name = "cm"}});
  world.objects.down = true;
  const auto refused = world.mounter.mount(pod, {}, {});
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == Code::kUnavailable);
  world.objects.down = false;
  REQUIRE(world.mounter.mount(pod, {}, {})->kept.empty());
  world.objects.down = true;
  FsVolumeMounter next(world.root.path(), world.objects, world.clock);
  const auto kept = next.mount(pod, {}, {});
  REQUIRE(kept);
  CHECK(*read_file(kept->host_paths.at("conf") + "/a") == "1");
  CHECK(kept->kept == "volume 'conf': configmap \"cm\": API is down");
  world.objects.down = false;
  world.objects.refuses = true;  // that is an answer
  const auto forbidden = next.mount(pod, {}, {});
  REQUIRE_FALSE(forbidden);
  CHECK(forbidden.error().message() == "volume 'conf': configmap \"cm\": 403 Forbidden");
  CHECK(*read_file(kept->host_paths.at("conf") + "/a") == "1");
  world.objects.refuses = false;
  world.objects.config_maps.clear();  // gone: so is that
  CHECK_FALSE(next.mount(pod, {}, {}));
}

TEST_CASE("what is missing is named") {
  World world;
  SECTION("the object") {
    const auto mounted = world.mounter.mount(pod_with({"conf", model::ConfigMapVolume{.name = "cm"}}), {}, {});
    REQUIRE_FALSE(mounted);
    CHECK(mounted.error().code == Code::kNotFound);
    CHECK(mounted.error().message() == "volume 'conf': configmap \"cm\": not found");
  }
  SECTION("an optional object is an empty volume") {
    CHECK(world.mounter.mount(pod_with({"conf", model::ConfigMapVolume{.name = "cm", .optional = true}}), {}, {}));
  }
  SECTION("a key") {
    world.objects.config_maps["cm"].data = {{"a", "1"}};
    const auto mounted =
        world.mounter.mount(pod_with({"conf", model::ConfigMapVolume{.name = "cm", .items = {{"z", "z.txt", {}}}}}), {}, {});
    REQUIRE_FALSE(mounted);
    CHECK(mounted.error().message().find("references non-existent config key: z") != std::string::npos);
  }
  SECTION("a volume kind that is not built") {
    const auto mounted = world.mounter.mount(pod_with({"pvc", model::UnsupportedVolume{"persistentVolumeClaim"}}), {}, {});
    REQUIRE_FALSE(mounted);
    CHECK(mounted.error().code == Code::kUnsupported);
    CHECK(mounted.error().message().find("persistentVolumeClaim") != std::string::npos);
  }
  SECTION("a hostPath of another type") {
    const auto mounted = world.mounter.mount(pod_with({"host", model::HostPathVolume{"/dev/null", "Directory"}}), {}, {});
    REQUIRE_FALSE(mounted);
    CHECK(mounted.error().message().find("hostPath type check failed") != std::string::npos);
  }
}

TEST_CASE("row 6.16: the termination message comes from the file, then from the log") {
  World world;
  auto pod = pod_with({"work", model::EmptyDirVolume{}});
  const auto mounted = world.mounter.mount(pod, {}, {});
  REQUIRE(mounted);
  const auto mounts = world.mounter.container_mounts(pod, pod.spec.containers[0], 0, {}, *mounted, {});
  REQUIRE(mounts);
  struct stat info{};
  REQUIRE(::stat(mounts->back().host_path.c_str(), &info) == 0);
  CHECK((info.st_mode & 0777) == 0666);

  model::ObservedContainer dead;
  dead.exit_code = 3;
  dead.log_path = world.root / "0.log";
  REQUIRE(write_file_atomic(dead.log_path, "2026-11-22T23:49:27Z stdout F first\n2026-11-22T23:49:28Z stderr F last words\n", 0644));
  CHECK(world.mounter.termination_message(pod, pod.spec.containers[0], dead).empty());
  pod.spec.containers[0].termination_message_policy = model::MessagePolicy::kFallbackToLogsOnError;
  CHECK(world.mounter.termination_message(pod, pod.spec.containers[0], dead) == "first\nlast words\n");
  REQUIRE(write_file_atomic(mounts->back().host_path, "bye", 0666));
  CHECK(world.mounter.termination_message(pod, pod.spec.containers[0], dead) == "bye");
}

TEST_CASE("row 14.14: a token is reused, refreshed in time and kept when the refresh fails") {
  FakeObjects objects;
  StoppedClock clock;
  TokenCache cache(objects, clock);
  const ports::TokenRequest request{"default", "default", "web", "uid-1", "", 3600};
  CHECK(*cache.token(request, {}) == "token-1");
  clock.time += std::chrono::minutes(47);
  CHECK(*cache.token(request, {}) == "token-1");
  clock.time += std::chrono::minutes(2);
  objects.tokens_fail = true;
  CHECK(*cache.token(request, {}) == "token-1");
  objects.tokens_fail = false;
  CHECK(*cache.token(request, {}) == "token-2");
  cache.forget("uid-1");
  CHECK(*cache.token(request, {}) == "token-3");
}
