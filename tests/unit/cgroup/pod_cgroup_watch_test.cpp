// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// On plain directories: what the watch needs of a cgroup tree is directories, inotify and the file cgroup.events.
#include <algorithm>
#include <condition_variable>
#include <filesystem>
#include <fstream>
#include <mutex>

#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>

#include "cgroup/pod_cgroup_watch.h"

using namespace pintle;
using namespace pintle::cgroup;
namespace fs = std::filesystem;

namespace {

const PodUid kUid("0f3c1f0e-93a4-4f4b-9d4e-3b7f8a4c2d11");
const std::string kName = "pod" + kUid.value();
const PodUid kStatic("ac61868acadf10f50dd54f46349ba375");

class Tree {
 public:
  Tree() {
    std::string name = (fs::temp_directory_path() / "pintle-cgroups-XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    root = name;
  }
  ~Tree() { fs::remove_all(root); }
  // With the file that the kernel gives each cgroup.
  void make(const std::string& path, bool populated = true) const {
    fs::create_directories(root + "/" + path);
    std::ofstream(root + "/" + path + "/cgroup.events") << "populated " << (populated ? 1 : 0) << "\nfrozen 0\n";
  }
  void remove(const std::string& path) const { fs::remove_all(root + "/" + path); }
  std::string root;
};

// What the watch tells, in order, and a way to wait for it.
class Heard {
 public:
  [[nodiscard]] PodCgroupWatchOutputs outputs() {
    return {.appeared = [this](const PodUid& uid) { add("+" + uid.value()); },
            .vanished = [this](const PodUid& uid) { add("-" + uid.value()); },
            .parent = [this](const std::string& path) { add("parent " + fs::path(path).filename().string()); }};
  }
  [[nodiscard]] bool wait_for(const std::string& what) {
    std::unique_lock lock(mu_);
    return changed_.wait_for(lock, std::chrono::seconds(10), [&] { return std::ranges::find(told_, what) != told_.end(); });
  }
  [[nodiscard]] std::vector<std::string> all() {
    const std::lock_guard lock(mu_);
    return told_;
  }

 private:
  void add(std::string text) {
    const std::lock_guard lock(mu_);
    told_.push_back(std::move(text));
    changed_.notify_all();
  }
  std::mutex mu_;
  std::condition_variable changed_;
  std::vector<std::string> told_;
};

constexpr Duration kNever = std::chrono::hours(1);

}  // namespace

TEST_CASE("pods that are there already are found under every layout, and their directories by uid") {
  struct Row {
    const char* path;
    PodUid uid;
  };
  const Row kRows[] = {
      {"kubepods/burstable/pod0f3c1f0e-93a4-4f4b-9d4e-3b7f8a4c2d11", kUid},
      {"kubepods/pod0f3c1f0e-93a4-4f4b-9d4e-3b7f8a4c2d11", kUid},
      {"kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod0f3c1f0e_93a4_4f4b_9d4e_3b7f8a4c2d11.slice", kUid},
      {"kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-burstable.slice/"
       "kubelet-kubepods-burstable-pod0f3c1f0e_93a4_4f4b_9d4e_3b7f8a4c2d11.slice",
       kUid},
      {"kubelet/kubepods/besteffort/podac61868acadf10f50dd54f46349ba375", kStatic},
      {"a/b/c/kubepods/podac61868acadf10f50dd54f46349ba375", kStatic},
  };
  for (const auto& row : kRows) {
    INFO(row.path);
    Tree tree;
    tree.make(row.path);
    Heard heard;
    PodCgroupWatch watch({.top = tree.root, .audit = kNever}, heard.outputs());
    REQUIRE(watch.start());
    REQUIRE(heard.all().size() == 2);  // the parent first
    CHECK(heard.all()[0].starts_with("parent "));
    CHECK(heard.all()[1] == "+" + row.uid.value());
    const auto found = watch.find(row.uid);
    REQUIRE(found);
    REQUIRE(*found);
    struct stat st{};
    REQUIRE(::stat((tree.root + "/" + row.path).c_str(), &st) == 0);
    CHECK((*found)->cgroup.id == CgroupId(st.st_ino));
    CHECK((*found)->cgroup.path == tree.root + "/" + row.path);
    CHECK((*found)->populated);
  }
}

TEST_CASE("a tree, its classes and pods that come later are met as they are made, and told when they go") {
  Tree tree;
  Heard heard;
  PodCgroupWatch watch({.top = tree.root, .audit = kNever}, heard.outputs());
  REQUIRE(watch.start());
  CHECK(heard.all().empty());
  tree.make("kubelet.slice/kubepods/burstable/" + kName, false);  // several levels at once: some are there before they are watched
  REQUIRE(heard.wait_for("+" + kUid.value()));
  CHECK_FALSE((*watch.find(kUid))->populated);  // told before anything runs in it
  tree.make("kubelet.slice/kubepods/pod" + kStatic.value(), false);
  REQUIRE(heard.wait_for("+" + kStatic.value()));
  tree.remove("kubelet.slice/kubepods/burstable/" + kName);
  REQUIRE(heard.wait_for("-" + kUid.value()));
  CHECK_FALSE(*watch.find(kUid));
  CHECK(*watch.find(kStatic));
  tree.remove("kubelet.slice");
  REQUIRE(heard.wait_for("-" + kStatic.value()));
  CHECK(watch.parents().empty());
  tree.make("kubelet.slice/kubepods/" + kName);
  watch.stop();
}

TEST_CASE("what was left empty by a pod that ended is not told until a process is in it; a full look finds that") {
  Tree tree;
  tree.make("kubepods/" + kName, false);
  Heard heard;
  PodCgroupWatch watch({.top = tree.root, .audit = std::chrono::milliseconds(5)}, heard.outputs());
  REQUIRE(watch.start());
  CHECK(heard.all() == std::vector<std::string>{"parent kubepods"});
  CHECK(*watch.find(kUid));  // asked for by its name it is there all the same
  tree.make("kubepods/" + kName, true);
  CHECK(heard.wait_for("+" + kUid.value()));
}

TEST_CASE("containers, services and pods outside of kubepods are none of its pods") {
  Tree tree;
  for (const char* path :
       {"podac61868acadf10f50dd54f46349ba375", "system.slice/kubelet.service/kubepods/podac61868acadf10f50dd54f46349ba375",
        "kubepods/burstable/pod0f3c1f0e-93a4-4f4b-9d4e-3b7f8a4c2d11", "a/b/c/d/e/kubepods/podac61868acadf10f50dd54f46349ba375",
        "kubepods/burstable/pod0f3c1f0e-93a4-4f4b-9d4e-3b7f8a4c2d11/podac61868acadf10f50dd54f46349ba375"})
    tree.make(path);
  Heard heard;
  PodCgroupWatch watch({.top = tree.root, .audit = kNever}, heard.outputs());
  REQUIRE(watch.start());
  CHECK(heard.all() == std::vector<std::string>{"parent kubepods", "+" + kUid.value()});
}

TEST_CASE("without its tree the watch does not start, and says which one") {
  PodCgroupWatch watch({.top = "/nonexistent/cgroup"}, {});
  const auto started = watch.start();
  REQUIRE_FALSE(started);
  CHECK(started.error().code == Code::kNotFound);
  CHECK(started.error().message().find("/nonexistent/cgroup") != std::string::npos);
}

TEST_CASE("the node's cgroup tree is told from a container's own") {
  Tree tree;
  const std::string own = tree.root + "/sys/fs/cgroup", node = tree.root + "/host/sys/fs/cgroup";
  tree.make("sys/fs/cgroup/self");
  tree.make("host/sys/fs/cgroup/kubelet.slice/kubelet-kubepods.slice");
  tree.make("host/hybrid/unified");
  const std::string file = tree.root + "/mountinfo";
  std::ofstream(file) << "36 35 0:29 / " << own << " ro,nosuid shared:5 master:1 - cgroup2 cgroup rw\n"
                      << "37 35 0:29 /../../.. " << node << " ro,nosuid - cgroup2 cgroup rw\n"
                      << "38 35 0:30 / " << tree.root << "/host/hybrid ro - tmpfs tmpfs rw\n"
                      << "39 35 0:29 / " << tree.root << "/host/hybrid/unified ro - cgroup2 cgroup rw\n";
  CHECK(find_node_tree("", file) == node);  // the one that has a kubepods
  CHECK(find_node_tree(own, file) == own);  // what is asked for, is taken
  CHECK(find_node_tree(tree.root + "/host/hybrid", file) == tree.root + "/host/hybrid/unified");
  const auto none = find_node_tree(tree.root + "/elsewhere", file);
  REQUIRE_FALSE(none);
  CHECK(none.error().code == Code::kUnsupported);
  CHECK(none.error().message().find("/elsewhere") != std::string::npos);
  std::ofstream(file) << "38 35 0:30 / /sys/fs/cgroup ro - tmpfs tmpfs rw\n";
  CHECK(find_node_tree("", file).error().code == Code::kUnsupported);
}
