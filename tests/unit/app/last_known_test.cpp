// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "app/last_known.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>

#include <filesystem>
#include <thread>

#include <sqlite3.h>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include "base/log.h"
#include "fakes/store/fake_state_store.h"
#include "fakes/store/temp_dir.h"

using namespace pintle;
using namespace pintle::app;
using ports::ConfigKey;
using ports::ConfigKind;

namespace {

const ConfigKey kMap{ConfigKind::kConfigMap, "default", "settings"};
const ConfigKey kSecret{ConfigKind::kSecret, "default", "key"};
constexpr std::string_view kPassword = "correct-horse-battery-staple";

model::Secret secret_of(const std::string& value) {
  model::Secret out;
  out.metadata.namespace_ = "default";
  out.metadata.name = "key";
  out.metadata.resource_version = "7";
  out.type = "Opaque";
  out.data = {{"password", value}};
  return out;
}

model::ConfigMap map_of(const std::string& value) {
  model::ConfigMap out;
  out.metadata.namespace_ = "default";
  out.metadata.name = "settings";
  out.data = {{"colour", value}};
  return out;
}

// A run folder of memory, and what is told while it is used.
struct World {
  fakes::TempDir dir{"/dev/shm"};
  std::string path = dir / "last-known.sqlite";
  std::vector<std::string> told;

  World() {
    set_log_sink([this](LogLevel, std::string_view, std::string_view text) { told.emplace_back(text); });
  }
  ~World() { set_log_sink(nullptr); }

  [[nodiscard]] std::unique_ptr<LastKnown> open() const {
    auto opened = LastKnown::open(dir.path());
    if (!opened) FAIL(opened.error().message());
    return *std::move(opened);
  }
  [[nodiscard]] bool was_told(std::string_view text) const {
    return std::ranges::any_of(told, [&](const auto& line) { return line.contains(text); });
  }
  [[nodiscard]] std::vector<std::string> files() const {
    std::vector<std::string> out;
    for (const auto& entry : std::filesystem::directory_iterator(dir.path())) out.push_back(entry.path());
    return out;
  }
  // Whether any file of the folder has these bytes, as they are or as base64 of a JSON Secret.
  [[nodiscard]] bool lies_somewhere(std::string_view bytes) const {
    return std::ranges::any_of(files(), [&](const auto& file) { return fakes::read_text(file).contains(bytes); });
  }
};

std::string password(LastKnown& known) {
  const auto object = known.recall(kSecret);
  return object ? std::get<model::Secret>(*object).data.at("password") : "none";
}

std::string colour(LastKnown& known) {
  const auto object = known.recall(kMap);
  return object ? std::get<model::ConfigMap>(*object).data.at("colour") : "none";
}

void run_sql(const std::string& path, const char* sql) {
  sqlite3* handle = nullptr;
  REQUIRE(sqlite3_open(path.c_str(), &handle) == SQLITE_OK);
  CHECK(sqlite3_exec(handle, sql, nullptr, nullptr, nullptr) == SQLITE_OK);
  REQUIRE(sqlite3_close(handle) == SQLITE_OK);
}

}  // namespace

TEST_CASE("what is remembered is there in the next life, byte for byte") {
  const World world;
  const std::string bytes("\0\xff\n=\x80", 5);
  auto map = map_of("blue");
  map.binary_data = {{"blob", bytes}};
  map.immutable = true;
  {
    const auto known = world.open();
    known->remember(kMap, map);
    known->remember(kSecret, secret_of(bytes));
    known->remember_services(PodUid("u1"), {{"WEB_SERVICE_HOST", "10.0.0.1"}, {"EMPTY", ""}, {"ODD", "a=b"}});
    known->remember_services(PodUid("u2"), {});
  }
  const auto known = world.open();
  const auto map_again = std::get<model::ConfigMap>(*known->recall(kMap));
  CHECK(map_again.data == map.data);
  CHECK(map_again.binary_data == map.binary_data);
  CHECK(map_again.immutable);
  const auto secret = std::get<model::Secret>(*known->recall(kSecret));
  CHECK(secret.data == model::StringMap{{"password", bytes}});
  CHECK(secret.type == "Opaque");
  CHECK(secret.metadata.resource_version == "7");
  CHECK(known->recall_services(PodUid("u1")) == lifecycle::EnvList{{"WEB_SERVICE_HOST", "10.0.0.1"}, {"EMPTY", ""}, {"ODD", "a=b"}});
  CHECK(known->recall_services(PodUid("u2")) == lifecycle::EnvList());  // none is an answer too
  CHECK_FALSE(known->recall_services(PodUid("u3")));
  CHECK_FALSE(known->recall({ConfigKind::kSecret, "default", "settings"}));  // a name of one kind is none of the other
  CHECK_FALSE(known->recall({ConfigKind::kConfigMap, "other", "settings"}));
  CHECK(world.told.empty());
}

TEST_CASE("a folder that is not of memory is refused by name, and nothing is written") {
  const auto refused = LastKnown::open("/proc");
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == Code::kUnsupported);
  CHECK(refused.error().message().contains("runDir '/proc' is not on tmpfs: set pintle.runDir to a folder below /run that is"));
  const auto absent = LastKnown::open("/dev/shm/pintle-no-such-folder");
  REQUIRE_FALSE(absent);
  CHECK(absent.error().sys_errno == ENOENT);
  CHECK_FALSE(std::filesystem::exists("/dev/shm/pintle-no-such-folder"));
}

TEST_CASE("its files are for their owner only, whatever the umask and whoever made them") {
  const World world;
  const bool was_there = GENERATE_COPY(false, true);
  if (was_there) {
    fakes::write_text(world.path, "");
    REQUIRE(::chmod(world.path.c_str(), 0666) == 0);
  }
  const auto before = ::umask(0);
  const auto known = world.open();
  known->remember(kSecret, secret_of("x"));
  ::umask(before);
  CHECK(world.files().size() == 3);  // the database, its log, its index
  for (const auto& file : world.files()) {
    INFO(file);
    struct stat info{};
    REQUIRE(::stat(file.c_str(), &info) == 0);
    CHECK((info.st_mode & 0777) == 0600);
  }
}

TEST_CASE("of what is forgotten or replaced no byte stays") {
  const World world;
  const auto known = world.open();
  // base64 of kPassword, which the record holds; and plain in a ConfigMap.
  constexpr std::string_view kEncoded = "Y29ycmVjdC1ob3JzZS1iYXR0ZXJ5LXN0YXBsZQ==";
  known->remember(kSecret, secret_of(std::string(kPassword)));
  known->remember(kMap, map_of(std::string(kPassword)));
  REQUIRE(world.lies_somewhere(kEncoded));
  REQUIRE(world.lies_somewhere(kPassword));
  SECTION("forgotten") {
    known->forget(kSecret);
    known->forget(kMap);
    CHECK(password(*known) == "none");
  }
  SECTION("replaced") {
    known->remember(kSecret, secret_of("new"));
    known->remember(kMap, map_of("new"));
    CHECK(password(*known) == "new");
  }
  SECTION("no pod's any more when the pods have been read") {
    known->keep_only({}, {});
    CHECK(password(*known) == "none");
  }
  CHECK_FALSE(world.lies_somewhere(kEncoded));
  CHECK_FALSE(world.lies_somewhere(kPassword));
  CHECK(world.told.empty());
}

TEST_CASE("what the pods that there are refer to stays, the rest goes, and pods have records of their own") {
  const World world;
  const auto known = world.open();
  known->remember(kSecret, secret_of("s"));
  known->remember(kMap, map_of("m"));
  known->remember({ConfigKind::kSecret, "default", "settings"}, secret_of("of another kind"));
  known->remember_services(PodUid("u1"), {{"A", "1"}});
  known->remember_services(PodUid("u2"), {{"B", "2"}});
  REQUIRE(known->store().put("pod", "u9", "{}"));
  known->keep_only({kMap}, {PodUid("u2")});
  CHECK(colour(*known) == "m");
  CHECK(password(*known) == "none");
  CHECK_FALSE(known->recall({ConfigKind::kSecret, "default", "settings"}));
  CHECK_FALSE(known->recall_services(PodUid("u1")));
  CHECK(known->recall_services(PodUid("u2")));
  CHECK(known->store().get("pod", "u9"));  // sources/remembered_pods.h keeps these
  known->forget_pod(PodUid("u2"));
  CHECK_FALSE(known->recall_services(PodUid("u2")));
}

TEST_CASE("a damaged file is told and removed with the Secrets in it, and a new one serves") {
  World world;
  {
    const auto known = world.open();
    for (int i = 0; i < 100; ++i) known->remember({ConfigKind::kSecret, "default", std::to_string(i)}, secret_of(std::string(300, 'v')));
    known->remember(kMap, map_of(std::string(kPassword)));
  }
  std::string content = fakes::read_text(world.path);
  REQUIRE(content.size() > 5 * 4096);
  SECTION("overwritten") { fakes::write_text(world.path, std::string(content.size(), 'x') + std::string(kPassword)); }
  SECTION("a torn page") { fakes::write_text(world.path, content.replace(4096, 8192, std::string(8192, '\x5a'))); }
  SECTION("cut at a page") { fakes::write_text(world.path, content.substr(0, 2 * 4096)); }
  SECTION("cut within a page") { fakes::write_text(world.path, content.substr(0, 5000)); }
  const auto known = world.open();
  CHECK(world.was_told("is damaged"));
  CHECK_FALSE(world.lies_somewhere(kPassword));
  for (const auto& file : world.files()) CHECK_FALSE(file.contains(".damaged."));
  CHECK(colour(*known) == "none");
  known->remember(kMap, map_of("new"));
  CHECK(colour(*known) == "new");
}

TEST_CASE("a file that was emptied begins anew") {
  const World world;
  world.open()->remember(kMap, map_of("blue"));
  fakes::write_text(world.path, "");
  const auto known = world.open();
  CHECK(colour(*known) == "none");
  known->remember(kMap, map_of("new"));
  CHECK(colour(*known) == "new");
}

TEST_CASE("a life that was killed leaves what it had written, and of a torn last write the state before") {
  const World world;
  const World after;
  const auto known = world.open();
  known->remember(kMap, map_of("first"));
  known->remember(kMap, map_of("second"));  // replaced: the log begins anew with what comes now
  known->remember(kSecret, secret_of("one"));
  // What the kernel would have kept, while the file is still open here.
  std::filesystem::copy(world.path, after.path);
  std::string log = fakes::read_text(world.path + "-wal");
  REQUIRE_FALSE(log.empty());
  const bool torn = GENERATE(false, true);
  if (torn) log.resize(log.size() - 100);
  fakes::write_text(after.path + "-wal", log);
  const auto next = after.open();
  CHECK(colour(*next) == "second");
  CHECK(password(*next) == (torn ? "none" : "one"));
}

TEST_CASE("a newer Pintle's file is refused with what to do, and left alone") {
  const World world;
  world.open()->remember(kMap, map_of("blue"));
  run_sql(world.path, "PRAGMA user_version = 99");
  const auto refused = LastKnown::open(world.dir.path());
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == Code::kUnsupported);
  CHECK(refused.error().message().contains("use the newer Pintle, or move the file away"));
  run_sql(world.path, "PRAGMA user_version = 1");
  CHECK(colour(*world.open()) == "blue");
}

TEST_CASE("a record that can't be read is told by its name and is no value, and costs only itself") {
  World world;
  {
    const auto known = world.open();
    known->remember(kMap, map_of("blue"));
    known->remember(kSecret, secret_of("x"));
  }
  const auto damage =
      GENERATE("UPDATE record SET value = '{}' WHERE kind = 'secret'", "UPDATE record SET sum = sum + 1 WHERE kind = 'secret'");
  run_sql(world.path, damage);
  const auto known = world.open();
  CHECK(password(*known) == "none");
  CHECK(world.was_told("what was remembered of secret 'default/key' can't be read: "));
  CHECK(colour(*known) == "blue");
  known->remember(kSecret, secret_of("again"));
  CHECK(password(*known) == "again");
}

TEST_CASE("a whole record of a form that is not ours is told and is no value") {
  World world;
  auto store = std::make_unique<fakes::FakeStateStore>();
  REQUIRE(store->put("configmap", "default/settings", R"({"apiVersion":"v2","kind":"Other"})"));
  REQUIRE(store->put("secret", "default/key", "[1, 2"));
  LastKnown known(std::move(store));
  CHECK_FALSE(known.recall(kMap));
  CHECK_FALSE(known.recall(kSecret));
  CHECK(world.was_told("what was remembered of configmap 'default/settings' can't be read: "));
  CHECK(world.was_told("what was remembered of secret 'default/key' can't be read: "));
}

TEST_CASE("what can't be written is told once, not for each, and again after it had worked") {
  World world;
  auto store = std::make_unique<fakes::FakeStateStore>();
  auto& disk = *store;
  LastKnown known(std::move(store));
  const Error full{Code::kUnavailable, ENOSPC, "disk full"};
  for (const std::string value : {"1", "2"}) {
    disk.fail_call("put", 1, full);
    known.remember(kMap, map_of(value));
  }
  INFO(world.told.front());
  CHECK(world.told.size() == 1);
  CHECK(world.was_told("what is known from the API is not remembered over a restart: disk full"));
  known.remember(kMap, map_of("3"));
  disk.fail_call("put", 1, full);
  known.remember(kMap, map_of("4"));
  CHECK(world.told.size() == 2);
  CHECK(colour(known) == "3");
}

TEST_CASE("of two writers none is lost, and a reader sees whole values only") {
  const World world;
  const auto first = world.open(), second = world.open(), reader = world.open();
  constexpr int kRounds = 60;
  first->remember(kMap, map_of(std::string(20000, 'a')));
  const auto write = [](LastKnown& known, const std::string& who, char fill) {
    for (int i = 0; i < kRounds; ++i) {
      known.remember_services(PodUid(who + std::to_string(i)), {{who, std::to_string(i)}});
      known.remember(kMap, map_of(std::string(20000, fill)));
    }
  };
  bool whole = true;
  {
    const std::jthread one([&] { write(*first, "one", 'a'); }), two([&] { write(*second, "two", 'b'); });
    for (int i = 0; i < kRounds; ++i) {
      const std::string now = colour(*reader);
      whole = whole && now.size() == 20000 && now.find_first_not_of(now.front()) == std::string::npos;
    }
  }
  CHECK(whole);
  for (const std::string who : {"one", "two"})
    for (int i = 0; i < kRounds; ++i)
      CHECK(reader->recall_services(PodUid(who + std::to_string(i))) == lifecycle::EnvList{{who, std::to_string(i)}});
  CHECK(world.told.empty());
}
