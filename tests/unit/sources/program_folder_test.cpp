// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include <catch2/catch_test_macros.hpp>

#include <sys/stat.h>
#include <unistd.h>
#include <condition_variable>
#include <filesystem>
#include <fstream>
#include <map>
#include <mutex>
#include <set>

#include <fmt/format.h>

#include "sources/program_folder.h"

using namespace pintle;
using namespace pintle::sources;
namespace fs = std::filesystem;

namespace {

const SystemClock kClock;

class Recorder final : public ports::PodProgramSink {
 public:
  void put(ports::PodProgramFile file) override {
    change([&] {
      ++puts_[file.origin];
      files_.insert_or_assign(file.origin, std::move(file));
    });
  }
  void gone(const std::string& origin) override {
    change([&] { files_.erase(origin); });
  }
  void synced(const std::string& source) override {
    change([&] { synced_.insert(source); });
  }
  void trouble(const std::string& source, const std::string& error) override {
    change([&] { troubles_[source] = error; });
  }

  using Files = std::map<std::string, ports::PodProgramFile>;
  [[nodiscard]] bool wait(const std::function<bool(const Files&)>& done) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(10), [&] { return done(files_); });
  }
  [[nodiscard]] bool wait_trouble(const std::string& words) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(10), [&] { return troubles_["folder"].find(words) != std::string::npos; });
  }
  [[nodiscard]] Files files() {
    const std::lock_guard lock(mutex_);
    return files_;
  }
  [[nodiscard]] bool is_synced() {
    const std::lock_guard lock(mutex_);
    return synced_.contains("folder");
  }
  [[nodiscard]] int puts(const std::string& origin) {
    const std::lock_guard lock(mutex_);
    return puts_[origin];
  }

 private:
  void change(const std::function<void()>& act) {
    const std::lock_guard lock(mutex_);
    act();
    changed_.notify_all();
  }
  std::mutex mutex_;
  std::condition_variable changed_;
  Files files_;
  std::map<std::string, int> puts_;
  std::set<std::string> synced_;
  std::map<std::string, std::string> troubles_;
};

std::string document(const std::string& name, const std::string& object) {
  return fmt::format(
      "apiVersion: pintle.dev/v1alpha1\nkind: PodProgram\nmetadata: {{name: {}}}\n"
      "spec: {{object: {}, program: main, hook: connect4}}\n",
      name, object);
}

// Audits are an hour apart: whatever a test sees came by inotify.
struct Rig {
  fs::path path = fs::temp_directory_path() / fmt::format("pintle-programs-{}-{}", ::getpid(), counter++);
  Recorder seen;
  std::unique_ptr<ProgramFolder> folder;
  static inline int counter = 0;

  explicit Rig(bool exists = true) {
    if (exists) make();
  }
  ~Rig() {
    if (folder) folder->stop();
    fs::remove_all(path);
  }
  void make() const {
    fs::create_directories(path);
    REQUIRE(::chmod(path.c_str(), 0755) == 0);
  }
  void start() {
    folder = std::make_unique<ProgramFolder>(kClock, ProgramFolderOptions{.path = path.string(), .audit = std::chrono::hours(1)}, seen);
    REQUIRE(folder->start());
  }
  [[nodiscard]] std::string file(const std::string& name) const { return (path / name).string(); }
  void write(const std::string& name, const std::string& text) const {
    std::ofstream(path / name) << text;
    REQUIRE(::chmod(file(name).c_str(), 0644) == 0);
  }
};

}  // namespace

TEST_CASE("what lies in the folder is told before start returns, with its objects") {
  Rig rig;
  rig.write("a.yaml", document("one", "one.o") + "---\n" + document("two", "missing.o"));
  rig.write("one.o", "bytes");
  rig.write("notes.txt", "not a program");
  rig.write(".hidden.yaml", document("hidden", "one.o"));
  rig.start();
  CHECK(rig.seen.is_synced());
  const auto files = rig.seen.files();
  REQUIRE(files.size() == 1);
  const auto& file = files.at(rig.file("a.yaml"));
  CHECK(file.source == "folder");
  CHECK(file.errors.empty());
  REQUIRE(file.programs.size() == 2);
  CHECK(**file.programs[0].object == "bytes");
  REQUIRE(!file.programs[1].object);
  CHECK(file.programs[1].object.error().message().find("missing.o': No such file") != std::string::npos);
}

TEST_CASE("a document, its object and their end are noticed") {
  Rig rig;
  rig.start();
  CHECK(rig.seen.files().empty());
  const auto origin = rig.file("a.yaml");
  rig.write("a.yaml", document("one", "one.o"));
  REQUIRE(rig.seen.wait([&](const auto& files) { return files.contains(origin) && !files.at(origin).programs.empty(); }));
  rig.write("one.o", "first");
  REQUIRE(rig.seen.wait([&](const auto& files) { return files.at(origin).programs.at(0).object.has_value(); }));
  // As an editor or a package manager does it.
  rig.write("one.o.new", "second");
  fs::rename(rig.path / "one.o.new", rig.path / "one.o");
  REQUIRE(rig.seen.wait([&](const auto& files) {
    const auto& object = files.at(origin).programs.at(0).object;
    return object && **object == "second";
  }));
  rig.write("a.yaml", "kind: [\n");
  REQUIRE(rig.seen.wait([&](const auto& files) { return !files.at(origin).errors.empty(); }));
  CHECK(rig.seen.files().at(origin).errors[0].starts_with(origin + ":"));
  fs::remove(rig.path / "a.yaml");
  REQUIRE(rig.seen.wait([](const auto& files) { return files.empty(); }));
}

TEST_CASE("what has not changed is not read again") {
  Rig rig;
  rig.write("a.yaml", document("one", "one.o"));
  rig.write("one.o", "bytes");
  rig.start();
  const int before = rig.seen.puts(rig.file("a.yaml"));
  rig.write("b.yaml", document("two", "one.o"));
  REQUIRE(rig.seen.wait([&](const auto& files) { return files.contains(rig.file("b.yaml")); }));
  CHECK(rig.seen.puts(rig.file("a.yaml")) == before);
}

TEST_CASE("a folder that comes later is noticed, and so is its going") {
  Rig rig(false);
  rig.start();
  CHECK(rig.seen.is_synced());
  rig.make();
  rig.write("a.yaml", document("one", "one.o"));
  REQUIRE(rig.seen.wait([](const auto& files) { return files.size() == 1; }));
  fs::remove_all(rig.path);
  REQUIRE(rig.seen.wait([](const auto& files) { return files.empty(); }));
}

TEST_CASE("what others may write is not loaded, and the fix is told") {
  Rig rig;
  rig.write("a.yaml", document("one", "one.o"));
  rig.write("one.o", "bytes");
  REQUIRE(::chmod(rig.file("one.o").c_str(), 0666) == 0);
  rig.start();
  const auto file = rig.seen.files().at(rig.file("a.yaml"));
  REQUIRE(!file.programs.at(0).object);
  CHECK(file.programs[0].object.error().message().find("what others may write is not loaded: chown") != std::string::npos);
  REQUIRE(::chmod(rig.file("one.o").c_str(), 0644) == 0);
  REQUIRE(rig.seen.wait([&](const auto& files) { return files.at(rig.file("a.yaml")).programs.at(0).object.has_value(); }));
  REQUIRE(::chmod(rig.path.c_str(), 0777) == 0);
  rig.write("b.yaml", document("two", "one.o"));
  CHECK(rig.seen.wait_trouble("has owner"));
  CHECK(rig.seen.files().size() == 1);  // what was known stays
}
