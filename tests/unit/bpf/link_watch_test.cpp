// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "bpf/link_watch.h"

#include <algorithm>
#include <condition_variable>
#include <cstdlib>
#include <filesystem>
#include <mutex>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>

using namespace pintle;
using namespace pintle::bpf;

namespace {

// Pins behave as files do, and cgroups as folders.
struct Rig {
  std::string path;
  std::mutex mutex;
  std::condition_variable changed;
  std::vector<std::string> told;
  std::unique_ptr<LinkWatch> watch;
  Rig() {
    char name[] = "/tmp/pintle-watch-XXXXXX";
    path = ::mkdtemp(name);
    auto started = LinkWatch::start([this](const PodUid& uid) {
      const std::lock_guard lock(mutex);
      told.push_back(uid.value());
      changed.notify_all();
    });
    REQUIRE(started);
    watch = *std::move(started);
  }
  ~Rig() {
    watch.reset();
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
  }
  void pod(const std::string& uid) {
    REQUIRE(::mkdir((path + "/" + uid).c_str(), 0700) == 0);
    touch(uid + "/egress");
    watch->add(PodUid(uid), path + "/" + uid);
  }
  void touch(const std::string& name) const {
    REQUIRE(UniqueFd(::open((path + "/" + name).c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600)).valid());
  }
  void unlink(const std::string& name) const { REQUIRE(::unlink((path + "/" + name).c_str()) == 0); }
  // What is told up to the first of this pod.
  std::vector<std::string> until(const std::string& uid) {
    std::unique_lock lock(mutex);
    changed.wait_for(lock, std::chrono::seconds(10), [&] { return std::ranges::find(told, uid) != told.end(); });
    return std::exchange(told, {});
  }
};

}  // namespace

TEST_CASE("a pin that vanishes is told, of the pods that are watched") {
  Rig rig;
  rig.pod("quiet");
  rig.pod("mine");
  rig.pod("last");
  rig.watch->remove(PodUid("quiet"));
  rig.unlink("quiet/egress");
  rig.touch("mine/ingress");  // what comes is no reason
  rig.touch("mine/egress_new");
  rig.unlink("mine/egress_new");  // nor what is only there while a link is replaced
  rig.unlink("last/egress");
  CHECK(rig.until("last") == std::vector<std::string>{"last"});
  rig.unlink("mine/egress");
  CHECK(rig.until("mine") == std::vector<std::string>{"mine"});
  REQUIRE(std::filesystem::remove_all(rig.path + "/mine") > 0);
  CHECK(rig.until("mine").back() == "mine");
}

TEST_CASE("what vanished while nobody watched is not told when one watches again") {
  Rig rig;
  rig.pod("mine");
  rig.pod("last");
  rig.watch->remove(PodUid("mine"));
  rig.unlink("mine/egress");
  rig.watch->add(PodUid("mine"), rig.path + "/mine");
  rig.watch->add(PodUid("absent"), rig.path + "/absent");
  rig.unlink("last/egress");
  CHECK(rig.until("last") == std::vector<std::string>{"last"});
}

TEST_CASE("a cgroup that is gone is told when another one lies there, and not before") {
  Rig rig;
  const std::string path = rig.path + "/cgroup";
  struct stat st{};
  REQUIRE(::mkdir(path.c_str(), 0700) == 0);
  REQUIRE(::stat(path.c_str(), &st) == 0);
  rig.watch->cgroup_gone(PodUid("same"), CgroupId(st.st_ino), path);  // not yet gone
  rig.watch->cgroup_gone(PodUid("ended"), CgroupId(1), rig.path + "/none");
  rig.watch->cgroup_gone(PodUid("forgotten"), CgroupId(1), path + "/../cgroup/none");
  rig.watch->remove(PodUid("forgotten"));
  rig.watch->cgroup_gone(PodUid("anew"), CgroupId(1), path);
  CHECK(rig.until("anew") == std::vector<std::string>{"anew"});
}
