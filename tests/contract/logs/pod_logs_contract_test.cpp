// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// What every PodLogs does, asked of the fake and of real folders.
#include <catch2/catch_test_macros.hpp>

#include <filesystem>
#include <fstream>

#include <fmt/format.h>

#include "fakes/reconcile/node_fakes.h"
#include "fakes/store/temp_dir.h"
#include "volumes/pod_log_files.h"

using namespace pintle;
namespace fs = std::filesystem;

namespace {

// A node as its runtime and other tools see it.
struct Subject {
  virtual ~Subject() = default;
  virtual ports::PodLogs& logs() = 0;
  virtual void write(const ports::LogTarget& log) = 0;
  virtual void put_foreign(const ports::LogTarget& log, const ContainerId& id) = 0;
  virtual bool has_log(const ports::LogTarget& log) = 0;
  virtual bool has_folder(const ports::LogOwner& pod) = 0;
  virtual std::string linked(const ports::LogTarget& log, const ContainerId& id) = 0;  // "main/0"; empty: no link of this pod's
};

struct OnFake final : Subject {
  fakes::MemoryLogs fake;
  ports::PodLogs& logs() override { return fake; }
  void write(const ports::LogTarget& log) override { fake.write(log); }
  void put_foreign(const ports::LogTarget&, const ContainerId& id) override { fake.foreign.insert(id.value()); }
  bool has_log(const ports::LogTarget& log) override {
    const auto folder = fake.folders.find(fakes::MemoryLogs::folder({log.namespace_, log.pod, log.uid}));
    return folder != fake.folders.end() && folder->second.contains(fakes::MemoryLogs::file(log));
  }
  bool has_folder(const ports::LogOwner& pod) override { return fake.folders.contains(fakes::MemoryLogs::folder(pod)); }
  std::string linked(const ports::LogTarget& log, const ContainerId& id) override {
    const auto link = fake.links.find(id.value());
    const std::string folder = fakes::MemoryLogs::folder({log.namespace_, log.pod, log.uid}) + "/";
    return link != fake.links.end() && link->second.starts_with(folder) ? link->second.substr(folder.size()) : std::string();
  }
};

struct OnFolders final : Subject {
  fakes::TempDir dir;
  volumes::PodLogFiles files{dir / "pods", dir / "containers"};
  fs::path folder(const ports::LogOwner& pod) { return dir / fmt::format("pods/{}_{}_{}", pod.namespace_, pod.pod, pod.uid); }
  fs::path file(const ports::LogTarget& log) {
    return folder({log.namespace_, log.pod, log.uid}) / log.container / fmt::format("{}.log", log.attempt);
  }
  fs::path link(const ports::LogTarget& log, const ContainerId& id) {
    return dir / ("containers/" + volumes::log_link_name(log, id.value()));
  }

  ports::PodLogs& logs() override { return files; }
  void write(const ports::LogTarget& log) override {
    fs::create_directories(file(log).parent_path());
    std::ofstream(file(log)) << "a line\n";
  }
  void put_foreign(const ports::LogTarget& log, const ContainerId& id) override {
    fs::create_directories(dir / "containers");
    fs::create_symlink("/elsewhere/0.log", link(log, id));
  }
  bool has_log(const ports::LogTarget& log) override { return fs::exists(file(log)); }
  bool has_folder(const ports::LogOwner& pod) override { return fs::exists(folder(pod)); }
  std::string linked(const ports::LogTarget& log, const ContainerId& id) override {
    std::error_code none;
    const auto target = fs::read_symlink(link(log, id), none);
    const auto in = folder({log.namespace_, log.pod, log.uid}).string() + "/";
    if (none || !target.string().starts_with(in)) return {};
    CHECK(fs::exists(link(log, id)));  // it resolves
    return fs::path(target.string().substr(in.size())).replace_extension().string();
  }
};

ports::LogTarget log_of(const std::string& pod, const std::string& container, int32_t attempt = 0) {
  return {"default", pod, "uid-" + pod, container, attempt};
}

void check_contract(Subject& subject) {
  auto& logs = subject.logs();
  const ContainerId first("c-first"), second("c-second"), side("c-side"), other("c-other");
  const auto main0 = log_of("web", "main", 0), main1 = log_of("web", "main", 1), sidecar = log_of("web", "side"), db = log_of("db", "main");

  // Nothing yet: no link to a log that isn't there, nothing to delete.
  CHECK(logs.link(main0, first));
  CHECK(subject.linked(main0, first).empty());
  CHECK(logs.remove_container(main0, first));
  CHECK(logs.remove_pod({"default", "web", "uid-web"}));

  for (const auto& log : {main0, main1, sidecar, db}) subject.write(log);
  REQUIRE(logs.link(main0, first));
  REQUIRE(logs.link(main0, first));  // idempotent
  REQUIRE(logs.link(main1, second));
  REQUIRE(logs.link(sidecar, side));
  REQUIRE(logs.link(db, other));
  CHECK(subject.linked(main0, first) == "main/0");
  CHECK(subject.linked(main1, second) == "main/1");

  // What is there already is not overwritten.
  const ContainerId taken("c-taken");
  subject.put_foreign(sidecar, taken);
  CHECK(logs.link(sidecar, taken).error().code == Code::kAlreadyExists);
  CHECK(subject.linked(sidecar, taken).empty());

  // One container's go, the others' stay.
  REQUIRE(logs.remove_container(main0, first));
  REQUIRE(logs.remove_container(main0, first));
  CHECK(subject.linked(main0, first).empty());
  CHECK_FALSE(subject.has_log(main0));
  CHECK(subject.has_log(main1));
  CHECK(subject.linked(main1, second) == "main/1");

  // A whole pod's go, another's stay.
  REQUIRE(logs.remove_pod({"default", "web", "uid-web"}));
  REQUIRE(logs.remove_pod({"default", "web", "uid-web"}));
  CHECK_FALSE(subject.has_folder({"default", "web", "uid-web"}));
  CHECK(subject.linked(main1, second).empty());
  CHECK(subject.linked(sidecar, side).empty());
  CHECK(subject.has_log(db));
  CHECK(subject.linked(db, other) == "main/0");

  // Of which only the UID is known.
  CHECK(logs.remove_pod({"", "uid-nobody", "uid-nobody"}));
  REQUIRE(logs.remove_pod({"", "uid-db", "uid-db"}));
  CHECK_FALSE(subject.has_folder({"default", "db", "uid-db"}));
  CHECK(subject.linked(db, other).empty());
}

}  // namespace

TEST_CASE("the fake keeps the contract") {
  OnFake subject;
  check_contract(subject);
}

TEST_CASE("real folders keep the contract") {
  OnFolders subject;
  check_contract(subject);
}
