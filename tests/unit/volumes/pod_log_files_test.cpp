// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "volumes/pod_log_files.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>

#include <catch2/catch_test_macros.hpp>

#include "fakes/store/temp_dir.h"

using namespace pintle;
using namespace pintle::volumes;
namespace fs = std::filesystem;

namespace {

struct World {
  fakes::TempDir dir;
  std::string pods = dir / "pods", containers = dir / "log/containers";
  PodLogFiles files{pods, containers};

  std::string write(const ports::LogTarget& log, const std::string& suffix = {}) {
    const fs::path folder = fs::path(pods) / (log.namespace_ + "_" + log.pod + "_" + log.uid) / log.container;
    fs::create_directories(folder);
    const auto file = folder / (std::to_string(log.attempt) + ".log" + suffix);
    std::ofstream(file) << "a line\n";
    return file;
  }
  [[nodiscard]] std::string link(const std::string& name) const { return containers + "/" + name; }
  [[nodiscard]] bool is_link(const std::string& name) const { return fs::is_symlink(fs::symlink_status(link(name))); }
};

const ports::LogTarget kWeb{"default", "web", "uid-1", "main", 0};

}  // namespace

TEST_CASE("row 17.6: the link's name, cut as a kubelet cuts it") {
  const std::string id(64, 'a');
  CHECK(log_link_name(kWeb, "0123") == "web_default_main-0123.log");
  struct Row {
    const char* what;
    size_t pod, id_left;
  };
  // 255 less ".log", "_", "_", "-", the namespace of 7 and the container of 4 leaves 237 for the pod's name and the id.
  for (const Row& row : {Row{"fits", 173, 64}, Row{"one too long", 174, 63}, Row{"no id is left", 253, 0}}) {
    CAPTURE(row.what);
    const std::string pod(row.pod, 'p');
    const std::string name = log_link_name({"default", pod, "u", "main", 0}, id);
    CHECK(name.size() == 255);
    CHECK(name.ends_with(".log"));
    CHECK(static_cast<size_t>(std::ranges::count(name, 'a')) == row.id_left + (row.pod < 230 ? 2 : 0));  // of "default" and "main"
  }
}

TEST_CASE("row 1.8: the links' folder is made when it is needed, open to all") {
  World world;
  const std::string target = world.write(kWeb);
  REQUIRE(world.files.link(kWeb, ContainerId("0123")));
  CHECK(fs::read_symlink(world.link("web_default_main-0123.log")) == target);
  CHECK((fs::status(world.containers).permissions() & fs::perms::mask) == fs::perms{0755});
  fs::remove_all(world.containers);  // somebody has cleaned up
  REQUIRE(world.files.link(kWeb, ContainerId("0123")));
  CHECK(world.is_link("web_default_main-0123.log"));
}

TEST_CASE("Without a folder for links none is made, and logs go all the same") {
  World world;
  PodLogFiles files(world.pods, "");
  world.write(kWeb);
  CHECK(files.link(kWeb, ContainerId("0123")));
  CHECK_FALSE(fs::exists(world.dir / "log"));
  CHECK(files.remove_pod({"default", "web", "uid-1"}));
  CHECK(fs::is_empty(world.pods));
}

TEST_CASE("A name that was cut is the newest instance's, and never another pod's") {
  World world;
  const std::string longest(200, 'p');  // no id is left of such a name
  ports::LogTarget old{"default", longest, "uid-1", std::string(63, 'c'), 0}, fresh = old, foreign = old;
  fresh.attempt = 1;
  foreign.uid = "uid-2";
  const std::string name = log_link_name(old, "0123");
  world.write(old);
  const std::string newest = world.write(fresh);
  REQUIRE(world.files.link(old, ContainerId("0123")));
  REQUIRE(world.files.link(fresh, ContainerId("4567")));
  CHECK(fs::read_symlink(world.link(name)) == newest);
  REQUIRE(world.files.remove_container(old, ContainerId("0123")));
  CHECK(fs::read_symlink(world.link(name)) == newest);  // it is not the old one's any more
  world.write(foreign);
  const auto refused = world.files.link(foreign, ContainerId("89ab"));
  REQUIRE_FALSE(refused);
  CHECK(refused.error().message().find("is left alone") != std::string::npos);
  REQUIRE(world.files.remove_pod({"default", longest, "uid-2"}));
  CHECK(fs::read_symlink(world.link(name)) == newest);
  REQUIRE(world.files.remove_pod({"default", longest, "uid-1"}));
  CHECK_FALSE(world.is_link(name));
}

TEST_CASE("row 20.3: a container's rotated logs go with it, and nothing else") {
  World world;
  ports::LogTarget tenth = kWeb, first = kWeb;
  tenth.attempt = 10;
  first.attempt = 1;
  for (const char* suffix : {"", ".20260102-030405", ".20260102-030405.gz", ".20260102-030405.gz.tmp"}) world.write(first, suffix);
  const std::string other_attempt = world.write(tenth), unlike = world.write(first, "-notes");
  REQUIRE(world.files.remove_container(first, ContainerId("0123")));
  std::set<std::string> left;
  for (const auto& entry : fs::directory_iterator(fs::path(other_attempt).parent_path())) left.insert(entry.path());
  CHECK(left == std::set<std::string>{other_attempt, unlike});
}

TEST_CASE("row 20.1: a pod's links go by what they lead to, also those of containers that nobody knows any more") {
  World world;
  const ports::LogTarget namesake{"default", "web", "uid-2", "main", 0};
  world.write(kWeb);
  world.write(namesake);
  REQUIRE(world.files.link(kWeb, ContainerId("0123")));
  REQUIRE(world.files.link(namesake, ContainerId("4567")));
  fs::create_symlink("/run/elsewhere/default_web_uid-1/main/0.log", world.link("web_default_main-89ab.log"));
  std::ofstream(world.link("web_default_main-notes.log")) << "a file\n";
  fs::remove(world.pods + "/default_web_uid-1/main/0.log");  // the link dangles
  REQUIRE(world.files.remove_pod({"default", "web", "uid-1"}));
  CHECK_FALSE(fs::exists(world.pods + "/default_web_uid-1"));
  CHECK_FALSE(world.is_link("web_default_main-0123.log"));
  CHECK(world.is_link("web_default_main-4567.log"));
  CHECK(world.is_link("web_default_main-89ab.log"));
  CHECK(fs::exists(world.link("web_default_main-notes.log")));
}

TEST_CASE("Of a pod of which only the UID is known the folder is found by the whole UID") {
  World world;
  for (const char* folder : {"default_web_uid-1", "default_web_x_uid-1", "default_web_a-uid-1", "uid-1", "_uid-1"})
    fs::create_directories(world.pods + "/" + folder);
  REQUIRE(world.files.remove_pod({"", "uid-1", "uid-1"}));
  CHECK_FALSE(fs::exists(world.pods + "/default_web_uid-1"));
  for (const char* folder : {"default_web_x_uid-1", "default_web_a-uid-1", "uid-1", "_uid-1"}) CHECK(fs::exists(world.pods + "/" + folder));
}

TEST_CASE("A folder that a crash has left half empty is finished") {
  World world;
  world.write(kWeb);
  world.write({"default", "web", "uid-1", "side", 0});
  REQUIRE(world.files.link(kWeb, ContainerId("0123")));
  fs::remove_all(world.pods + "/default_web_uid-1/side");
  REQUIRE(world.files.remove_pod({"", "uid-1", "uid-1"}));
  CHECK(fs::is_empty(world.pods));
  CHECK(fs::is_empty(world.containers));
}

TEST_CASE("Names that would lead elsewhere are refused") {
  World world;
  fs::create_directories(world.pods);
  for (const ports::LogOwner& pod :
       {ports::LogOwner{"default", "..", "/../../x"}, {"default", "web", "a/b"}, {"a/b", "web", "u"}, {"", "", ""}, {"", "x", ".."}}) {
    CAPTURE(pod.namespace_, pod.pod, pod.uid);
    CHECK(world.files.remove_pod(pod).error().code == Code::kInvalid);
  }
  for (const char* container : {"", "..", "a/b"}) {
    ports::LogTarget log = kWeb;
    log.container = container;
    CHECK(world.files.remove_container(log, ContainerId("0123")).error().code == Code::kInvalid);
    CHECK(world.files.link(log, ContainerId("0123")).error().code == Code::kInvalid);
  }
}
