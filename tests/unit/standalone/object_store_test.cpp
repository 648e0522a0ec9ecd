// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "standalone/object_store.h"

#include <poll.h>

#include <catch2/catch_test_macros.hpp>
#include <thread>

#include "fakes/store/fake_object_log.h"

namespace pintle::standalone {
namespace {

using Persistence = ObjectStore::Persistence;

Json object(const std::string& name, const std::string& label = "") {
  Json made = {{"metadata", {{"name", name}, {"namespace", "default"}, {"uid", "u-" + name}}}};
  if (!label.empty()) made["metadata"]["labels"]["app"] = label;
  return made;
}
VersionPtr put(ObjectStore& store, const VersionPtr& base, Json json) {
  auto made = store.commit(resources::kConfigMaps, base, std::move(json), Persistence::kSynced);
  REQUIRE(made);
  return *made;
}
bool readable(int fd) {
  pollfd wait{fd, POLLIN, 0};
  return ::poll(&wait, 1, 0) > 0;
}

}  // namespace

TEST_CASE("versions rise over all kinds, and over a restart none is given twice") {
  fakes::FakeObjectLog log;
  int64_t last = 0;
  {
    ObjectStore store(log);
    REQUIRE(store.load());
    last = put(store, nullptr, object("a"))->resource_version;
    const auto b = put(store, nullptr, object("b"));
    CHECK(b->resource_version > last);
    last = store.remove(resources::kConfigMaps, b, Json::parse(b->json.text())).value()->resource_version;  // its version leaves no record
    CHECK(last > b->resource_version);
  }
  ObjectStore again(log);
  REQUIRE(again.load());
  CHECK(again.find(resources::kConfigMaps, "default", "a") != nullptr);
  CHECK(again.find(resources::kConfigMaps, "default", "b") == nullptr);
  CHECK(put(again, nullptr, object("c"))->resource_version > last);
}

TEST_CASE("a writer that lost the race is told so") {
  fakes::FakeObjectLog log;
  ObjectStore store(log);
  REQUIRE(store.load());
  const auto first = put(store, nullptr, object("a"));
  CHECK(store.commit(resources::kConfigMaps, nullptr, object("a"), Persistence::kSynced).error().reason == "AlreadyExists");
  const auto second = put(store, first, object("a", "x"));
  CHECK(store.commit(resources::kConfigMaps, first, object("a", "y"), Persistence::kSynced).error().code == 409);
  CHECK(store.remove(resources::kConfigMaps, first, object("a")).error().code == 409);
  REQUIRE(store.remove(resources::kConfigMaps, second, object("a")));
  CHECK(store.commit(resources::kConfigMaps, second, object("a"), Persistence::kSynced).error().code == 404);
}

TEST_CASE("what the disk refused never happened") {
  fakes::FakeObjectLog log;
  ObjectStore store(log);
  REQUIRE(store.load());
  const auto kept = put(store, nullptr, object("a"));
  log.fail_writes(1);
  const auto failed = store.commit(resources::kConfigMaps, kept, object("a", "x"), Persistence::kSynced);
  REQUIRE_FALSE(failed);
  CHECK(failed.error().code == 500);
  CHECK(store.find(resources::kConfigMaps, "default", "a") == kept);
  log.fail_writes(1);
  CHECK_FALSE(store.remove(resources::kConfigMaps, kept, object("a")));
  CHECK(store.find(resources::kConfigMaps, "default", "a") == kept);
}

TEST_CASE("a watcher sees each change once, in order, with what was there before") {
  fakes::FakeObjectLog log;
  ObjectStore store(log);
  REQUIRE(store.load());
  const auto a = put(store, nullptr, object("a", "old"));
  auto watcher = store.watch(resources::kConfigMaps, a->resource_version).value();
  CHECK(store.read(*watcher)->empty());
  CHECK_FALSE(readable(watcher->wake_fd()));
  const auto a2 = put(store, a, object("a", "new"));
  REQUIRE(store.commit(resources::kSecrets, nullptr, object("s"), Persistence::kSynced));
  REQUIRE(store.remove(resources::kConfigMaps, a2, object("a", "new")));
  CHECK(readable(watcher->wake_fd()));
  const auto changes = store.read(*watcher);
  REQUIRE(changes);
  REQUIRE(changes->size() == 2);
  CHECK((*changes)[0].kind == Change::Kind::kModified);
  CHECK((*changes)[0].previous->label("app") == "old");
  CHECK((*changes)[1].kind == Change::Kind::kDeleted);
  CHECK((*changes)[1].object->resource_version == store.version());
  CHECK(store.position(*watcher) == store.version());
  CHECK(store.read(*watcher)->empty());
}

TEST_CASE("a version older than the window, or not yet given, is 410") {
  fakes::FakeObjectLog log;
  ObjectStore store(log, {.window_events = 4, .window_bytes = 1 << 20});
  REQUIRE(store.load());
  auto current = put(store, nullptr, object("a"));
  const int64_t old = current->resource_version;
  auto slow = store.watch(resources::kConfigMaps, old).value();
  for (int i = 0; i < 5; ++i) current = put(store, current, object("a", std::to_string(i)));
  CHECK(store.watch(resources::kConfigMaps, old).error().code == 410);
  CHECK(store.read(*slow).error().code == 410);
  CHECK(store.watch(resources::kConfigMaps, current->resource_version + 1).error().code == 410);
  CHECK(store.watch(resources::kConfigMaps, current->resource_version));
}

TEST_CASE("the window is bounded by bytes as well") {
  fakes::FakeObjectLog log;
  ObjectStore store(log, {.window_events = 1000, .window_bytes = 64 * 1024});
  REQUIRE(store.load());
  auto current = put(store, nullptr, object("a"));
  const int64_t old = current->resource_version;
  for (int i = 0; i < 20; ++i) current = put(store, current, object("a", std::string(8192, static_cast<char>('a' + i))));
  CHECK(store.watch(resources::kConfigMaps, old).error().code == 410);
}

TEST_CASE("pages follow one another without gap or repeat") {
  fakes::FakeObjectLog log;
  ObjectStore store(log);
  REQUIRE(store.load());
  for (int i = 0; i < 7; ++i) put(store, nullptr, object("o" + std::to_string(i)));
  std::string names;
  ListRequest request{.namespace_ = "", .selector = {}, .limit = 3, .continue_token = ""};
  int64_t remaining = -1;
  do {
    const auto page = store.list(resources::kConfigMaps, request);
    REQUIRE(page);
    for (const auto& item : page->items) names += item->name + " ";
    if (remaining < 0) remaining = page->remaining;
    request.continue_token = page->continue_token;
  } while (!request.continue_token.empty());
  CHECK(names == "o0 o1 o2 o3 o4 o5 o6 ");
  CHECK(remaining == 4);
  for (const char* bad : {"x", "1:", "99999:default/x", ":/"}) {
    request.continue_token = bad;
    CHECK(store.list(resources::kConfigMaps, request).error().code == 410);
  }
}

TEST_CASE("writers and watchers on many threads lose nothing") {
  fakes::FakeObjectLog log;
  ObjectStore store(log);
  REQUIRE(store.load());
  auto watcher = store.list_and_watch(resources::kConfigMaps).second;
  constexpr int kWriters = 4, kEach = 50;
  {
    std::vector<std::jthread> writers;
    for (int w = 0; w < kWriters; ++w)
      writers.emplace_back([&store, w] {
        for (int i = 0; i < kEach; ++i) {
          const auto made = store.commit(resources::kConfigMaps, nullptr, object("w" + std::to_string(w) + "-" + std::to_string(i)),
                                         Persistence::kMemoryOnly);
          if (!made) return;
        }
      });
    size_t seen = 0;
    int64_t last = 0;
    while (seen < kWriters * kEach) {
      pollfd wait{watcher->wake_fd(), POLLIN, 0};
      REQUIRE(::poll(&wait, 1, 10'000) == 1);
      const auto changes = store.read(*watcher);
      REQUIRE(changes);
      for (const auto& change : *changes) {
        CHECK(change.object->resource_version > last);
        last = change.object->resource_version;
      }
      seen += changes->size();
    }
  }
  CHECK(store.list(resources::kConfigMaps, {})->items.size() == kWriters * kEach);
}

}  // namespace pintle::standalone
