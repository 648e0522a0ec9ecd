// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include <catch2/catch_test_macros.hpp>

#include <sched.h>
#include <sys/mount.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <linux/magic.h>
#include <filesystem>

#include "base/unique_fd.h"
#include "fake_objects.h"
#include "fakes/store/temp_dir.h"
#include "volumes/file_tree.h"
#include "volumes/fs_volume_mounter.h"

using namespace pintle;
using namespace pintle::volumes;

namespace {
// Mounts of these tests are seen by this process only.
void own_mount_namespace() {
  if (::geteuid() != 0) SKIP("needs root for mounts");
  REQUIRE(::unshare(CLONE_NEWNS) == 0);
  REQUIRE(::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0);
}
}  // namespace

TEST_CASE("secrets live on a tmpfs and leave nothing behind") {
  own_mount_namespace();
  const fakes::TempDir root;
  FakeObjects objects;
  StoppedClock clock;
  objects.secrets["s"].data = {{"p", "secret"}};
  FsVolumeMounter mounter(root.path(), objects, clock);
  model::Pod pod;
  pod.metadata.uid = "uid-1";
  pod.spec.volumes = {{"sec", model::SecretVolume{.name = "s", .default_mode = 0400}}, {"mem", model::EmptyDirVolume{.medium = "Memory"}}};
  model::Container container;
  container.name = "main";
  container.volume_mounts = {{.name = "sec", .mount_path = "/p", .sub_path = "p"}};
  pod.spec.containers = {container};

  const auto mounted = mounter.mount(pod, {}, {});
  REQUIRE(mounted);
  for (const char* name : {"sec", "mem"}) {
    struct statfs fs{};
    REQUIRE(::statfs(mounted->host_paths.at(name).c_str(), &fs) == 0);
    CHECK(fs.f_type == TMPFS_MAGIC);
  }
  REQUIRE(mounter.mount(pod, {}, {}));  // a repetition mounts nothing on top
  const auto mounts = mounter.container_mounts(pod, pod.spec.containers[0], 0, {}, *mounted, {});
  REQUIRE(mounts);
  CHECK(*read_file((*mounts)[0].host_path) == "secret");
  CHECK(mounter.list_pods()->size() == 1);

  REQUIRE(mounter.unmount(PodUid("uid-1")));
  CHECK(*mounter.list_pods() == std::vector{PodUid("uid-1")});  // the record that it was here
  CHECK(std::filesystem::is_empty(root.path() + "/pods/uid-1"));
  const auto table = read_file("/proc/self/mountinfo");
  REQUIRE(table);
  CHECK(table->find(root.path()) == std::string::npos);
  REQUIRE(mounter.unmount(PodUid("uid-1")));
  REQUIRE(mounter.remove_folder(PodUid("uid-1")));
  CHECK(mounter.list_pods()->empty());
  CHECK(mounter.remove_folder(PodUid("uid-1")));
}
