// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <unistd.h>
#include <filesystem>
#include <fstream>

#include <fmt/format.h>

#include "fakes/kube/pod_recorder.h"
#include "sources/file_source.h"
#include "sources/static_pod.h"

using namespace pintle;
using namespace pintle::sources;
using Catch::Matchers::ContainsSubstring;
using fakes::PodRecorder;
namespace fs = std::filesystem;

namespace {

const SystemClock kClock;

std::string manifest(const std::string& name, const std::string& image = "busybox") {
  return fmt::format("apiVersion: v1\nkind: Pod\nmetadata:\n  name: {}\nspec:\n  containers:\n  - name: c\n    image: {}\n", name, image);
}

class Folder {
 public:
  Folder() : path_(fs::temp_directory_path() / fmt::format("pintle-manifests-{}-{}", ::getpid(), counter_++)) {
    fs::create_directories(path_);
  }
  ~Folder() { fs::remove_all(path_); }
  [[nodiscard]] std::string path(const std::string& name = "") const { return name.empty() ? path_.string() : (path_ / name).string(); }
  void write(const std::string& name, const std::string& text) const { std::ofstream(path_ / name) << text; }
  void remove(const std::string& name) const { fs::remove_all(path_ / name); }

 private:
  static inline int counter_ = 0;
  fs::path path_;
};

// Audits are an hour apart: whatever a test sees came by inotify.
struct Rig {
  Folder folder;
  PodRecorder pods;
  std::unique_ptr<FileSource> source;
  void start(const std::string& path, Duration audit = std::chrono::hours(1)) {
    source = std::make_unique<FileSource>(kClock, FileSourceOptions{.path = path, .node_name = "n1", .audit = audit});
    REQUIRE(source->start(pods));
    REQUIRE(pods.wait([](const auto& view) { return view.sets >= 1; }));
  }
  ~Rig() {
    if (source) source->stop();
  }
};

}  // namespace

TEST_CASE("FNV-1a of 128 bits is that of the specification") {
  CHECK(fnv128a_hex("") == "6c62272e07bb014262b821756295c58d");
  CHECK(fnv128a_hex("a") == "d228cb696f1a8caf78912b704e4a8964");
  CHECK(fnv128a_hex("foobar") == "343e1662793c64bf6f0d3597ba446f18");
}

TEST_CASE("a manifest becomes a static pod of this node") {
  Rig rig;
  rig.folder.write("web.yaml", manifest("web"));
  rig.start(rig.folder.path());
  REQUIRE(rig.pods.wait_names({"web-n1"}));
  const auto pod = rig.pods.view().pods.at("web-n1");
  CHECK(pod->metadata.namespace_ == "default");
  CHECK(pod->spec.node_name == "n1");
  CHECK(pod->metadata.uid.size() == 32);
  CHECK(pod->metadata.annotations.at("kubernetes.io/config.hash") == pod->metadata.uid);
  CHECK(pod->metadata.annotations.at("kubernetes.io/config.source") == "file");
  CHECK(pod->metadata.annotations.contains("kubernetes.io/config.seen"));
  REQUIRE_FALSE(pod->spec.tolerations.empty());
  CHECK(pod->spec.tolerations.back().op == "Exists");
  CHECK(pod->spec.tolerations.back().effect == "NoExecute");
  rig.source->stop();

  // The same file gives the same pod to the next run; a comment does not make another one, an image does.
  const std::string uid = pod->metadata.uid;
  for (const auto& [text, same] : {std::pair{manifest("web") + "# a comment\n", true}, {manifest("web", "nginx"), false}}) {
    rig.folder.write("web.yaml", text);
    Rig again;
    again.start(rig.folder.path());
    REQUIRE(again.pods.wait_names({"web-n1"}));
    CHECK((again.pods.view().pods.at("web-n1")->metadata.uid == uid) == same);
  }
}

TEST_CASE("files that come, change, move and go are noticed") {
  Rig rig;
  rig.start(rig.folder.path());
  rig.folder.write("a.yaml", manifest("a"));
  CHECK(rig.pods.wait_names({"a-n1"}));
  rig.folder.write("b.json",
                   R"({"apiVersion":"v1","kind":"Pod","metadata":{"name":"b"},"spec":{"containers":[{"name":"c","image":"i"}]}})");
  CHECK(rig.pods.wait_names({"a-n1", "b-n1"}));
  rig.folder.write("a.yaml", manifest("a2"));
  CHECK(rig.pods.wait_names({"a2-n1", "b-n1"}));
  fs::rename(rig.folder.path("a.yaml"), rig.folder.path(".hidden.yaml"));
  CHECK(rig.pods.wait_names({"b-n1"}));
  fs::rename(rig.folder.path(".hidden.yaml"), rig.folder.path("back.yaml"));
  CHECK(rig.pods.wait_names({"a2-n1", "b-n1"}));
  rig.folder.remove("b.json");
  CHECK(rig.pods.wait_names({"a2-n1"}));
  fs::create_symlink(rig.folder.path("back.yaml"), rig.folder.path("link.yaml"));
  CHECK(rig.pods.wait([](const auto& view) { return !view.problems.empty(); }));  // the same pod twice
}

TEST_CASE("hidden files, editors' leftovers and folders are passed over") {
  Rig rig;
  for (const char* name : {".a.yaml.swp", "a.yaml~", "a.yaml.swp", "a.yaml.tmp", "#a.yaml#", ".git"}) rig.folder.write(name, manifest("x"));
  fs::create_directories(rig.folder.path("sub"));
  rig.folder.write("sub/deep.yaml", manifest("deep"));
  rig.folder.write("noextension", manifest("plain"));
  rig.start(rig.folder.path());
  CHECK(rig.pods.wait_names({"plain-n1"}));
  CHECK(rig.pods.view().problems.empty());
}

TEST_CASE("a file that breaks keeps its pods until it is mended") {
  Rig rig;
  rig.folder.write("web.yaml", manifest("web"));
  rig.start(rig.folder.path());
  rig.folder.write("web.yaml", "apiVersion: v1\nkind: Pod\nmetadata: {name: web\n");
  CHECK(rig.pods.wait([&](const auto& view) { return view.problems.contains(rig.folder.path("web.yaml")); }));
  CHECK(rig.pods.wait_names({"web-n1"}));
  rig.folder.write("web.yaml", manifest("web", "nginx"));
  CHECK(
      rig.pods.wait([](const auto& view) { return view.problems.empty() && view.pods.at("web-n1")->spec.containers[0].image == "nginx"; }));
  rig.folder.write("web.yaml", "{");
  CHECK(rig.pods.wait([](const auto& view) { return !view.problems.empty(); }));
  rig.folder.remove("web.yaml");
  CHECK(rig.pods.wait([](const auto& view) { return view.problems.empty() && view.pods.empty(); }));
}

TEST_CASE("a half-written file is read when it is closed") {
  Rig rig;
  rig.start(rig.folder.path());
  const std::string text = manifest("slow");
  std::ofstream file(rig.folder.path("slow.yaml"));
  file << text.substr(0, 40) << std::flush;
  rig.folder.write("other.yaml", manifest("other"));  // makes it look around meanwhile
  CHECK(rig.pods.wait_names({"other-n1"}));
  file << text.substr(40);
  file.close();
  CHECK(rig.pods.wait_names({"other-n1", "slow-n1"}));
  CHECK(rig.pods.problems_told() == 0);
}

TEST_CASE("one pod name is given once, by the first file") {
  Rig rig;
  rig.folder.write("1.yaml", manifest("web", "first"));
  rig.folder.write("2.yaml", manifest("web", "second"));
  rig.start(rig.folder.path());
  REQUIRE(rig.pods.wait_names({"web-n1"}));
  CHECK(rig.pods.view().pods.at("web-n1")->spec.containers[0].image == "first");
  CHECK(rig.pods.wait([&](const auto& view) { return view.problems.contains(rig.folder.path("2.yaml")); }));
  CHECK_THAT(rig.pods.view().problems.at(rig.folder.path("2.yaml")),
             ContainsSubstring("defined already in") && ContainsSubstring("1.yaml"));
  rig.folder.remove("1.yaml");
  CHECK(rig.pods.wait(
      [](const auto& view) { return view.problems.empty() && view.pods.at("web-n1")->spec.containers[0].image == "second"; }));
}

TEST_CASE("what is no pod is named as such") {
  Rig rig;
  rig.folder.write("mixed.yaml", manifest("web") + "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {a: b}\n");
  rig.start(rig.folder.path());
  CHECK(rig.pods.wait_names({"web-n1"}));
  CHECK(rig.pods.wait([](const auto& view) { return view.problems.size() == 1; }));
  CHECK_THAT(rig.pods.view().problems.begin()->second,
             ContainsSubstring("ConfigMap") && ContainsSubstring("settings") && ContainsSubstring("not served yet"));
}

TEST_CASE("a missing folder is an empty set and its appearance is noticed") {
  Rig rig;
  rig.start(rig.folder.path("late/manifests/"));
  CHECK(rig.pods.wait_names({}));
  fs::create_directories(rig.folder.path("late/manifests"));
  rig.folder.write("late/manifests/a.yaml", manifest("a"));
  CHECK(rig.pods.wait_names({"a-n1"}));
  rig.folder.remove("late");
  CHECK(rig.pods.wait_names({}));
  fs::create_directories(rig.folder.path("late/manifests"));
  rig.folder.write("late/manifests/b.yaml", manifest("b"));
  CHECK(rig.pods.wait_names({"b-n1"}));
}

TEST_CASE("a single file serves as well, also when it is replaced") {
  Rig rig;
  rig.start(rig.folder.path("pod.yaml"));
  CHECK(rig.pods.wait_names({}));
  rig.folder.write("pod.yaml", manifest("a"));
  CHECK(rig.pods.wait_names({"a-n1"}));
  rig.folder.write("new", manifest("b"));
  fs::rename(rig.folder.path("new"), rig.folder.path("pod.yaml"));
  CHECK(rig.pods.wait_names({"b-n1"}));
  rig.folder.remove("pod.yaml");
  CHECK(rig.pods.wait_names({}));
}

TEST_CASE("the audit sees what no event told") {
  Rig rig;
  Folder elsewhere;
  elsewhere.write("target.yaml", manifest("a"));
  fs::create_symlink(elsewhere.path("target.yaml"), rig.folder.path("link.yaml"));
  rig.start(rig.folder.path(), std::chrono::milliseconds(50));
  REQUIRE(rig.pods.wait_names({"a-n1"}));
  elsewhere.write("target.yaml", manifest("bb"));  // no event in our folder
  CHECK(rig.pods.wait_names({"bb-n1"}));
}
