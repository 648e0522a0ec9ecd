// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "reconcile/pod_objects.h"

#include <cerrno>

#include <catch2/catch_test_macros.hpp>

#include "fakes/reconcile/node_fakes.h"
#include "scripted_outputs.h"

using namespace pintle;
using namespace pintle::reconcile;
using namespace pintle::reconcile::test;
using ports::ConfigKey;
using ports::ConfigKind;
using std::chrono::seconds;

namespace {

struct VirtualClock final : Clock {
  Time time{seconds(5000)};
  [[nodiscard]] Time now() const override { return time; }
  [[nodiscard]] SteadyTime steady() const override { return SteadyTime(time.time_since_epoch()); }
};

// The API's objects, how often they were asked for, and whether it answers at all.
struct Api final : ports::ObjectReader {
  fakes::MemoryObjects objects;
  VirtualClock* clock = nullptr;
  bool down = false;
  std::optional<Error> refuses;
  Duration answers_after{};
  int asked = 0;
  std::function<void()> meanwhile;  // between the answer's making and its arrival

  template <typename T>
  Result<T> answer(Result<T> result) {
    ++asked;
    clock->time += answers_after;
    if (meanwhile) std::exchange(meanwhile, nullptr)();
    if (down) return fail(Code::kUnavailable, "connection refused");
    if (refuses) return std::unexpected(*refuses);
    return result;
  }
  Result<model::ConfigMap> get_config_map(const std::string& space, const std::string& name, std::stop_token stop) override {
    return answer(objects.get_config_map(space, name, stop));
  }
  Result<model::Secret> get_secret(const std::string& space, const std::string& name, std::stop_token stop) override {
    return answer(objects.get_secret(space, name, stop));
  }
  Result<ports::IssuedToken> request_token(const ports::TokenRequest& request, std::stop_token stop) override {
    return objects.request_token(request, stop);
  }
};

// The same, and how often it was asked this way.
struct Quick final : ports::ObjectReader {
  explicit Quick(Api& from) : api(from) {}
  Api& api;
  int times = 0;
  Result<model::ConfigMap> get_config_map(const std::string& space, const std::string& name, std::stop_token stop) override {
    ++times;
    return api.get_config_map(space, name, stop);
  }
  Result<model::Secret> get_secret(const std::string& space, const std::string& name, std::stop_token stop) override {
    ++times;
    return api.get_secret(space, name, stop);
  }
  Result<ports::IssuedToken> request_token(const ports::TokenRequest&, std::stop_token) override {
    return fail(Code::kInternal, "tokens are not for this one");
  }
};

struct Feed final : ports::ObjectFeed {
  std::set<ConfigKey> keys;
  int times = 0;
  void watch(std::set<ConfigKey> wanted) override {
    keys = std::move(wanted);
    ++times;
  }
};

const ConfigKey kMap{ConfigKind::kConfigMap, "default", "settings"};
const ConfigKey kSecret{ConfigKind::kSecret, "default", "key"};

model::ConfigMap map_of(const std::string& version, const std::string& colour, bool immutable = false) {
  model::ConfigMap out;
  out.metadata.name = "settings";
  out.metadata.resource_version = version;
  out.data = {{"colour", colour}};
  out.immutable = immutable;
  return out;
}

model::Pod shows(const std::string& uid) {
  model::Pod pod = *make_pod(uid);
  pod.spec.volumes.push_back({"v", model::ConfigMapVolume{.name = "settings", .items = {}, .default_mode = {}, .optional = false}});
  return pod;
}

model::Pod reads(const std::string& uid) {
  model::Pod pod = *make_pod(uid);
  pod.spec.containers.front().env_from.push_back(
      {.kind = model::EnvFrom::Kind::kConfigMap, .prefix = {}, .name = "settings", .optional = false});
  return pod;
}

struct World {
  VirtualClock clock;
  Api api;
  Feed feed;
  std::vector<std::string> told;
  Quick quick{api};
  PodObjects objects{{api, quick}, clock, [this](const PodUid& uid) { told.push_back(uid.value()); }};

  World() {
    api.clock = &clock;
    objects.use(&feed);
    put(map_of("1", "blue"));
  }
  void put(const model::ConfigMap& map) { api.objects.config_maps["default/settings"] = map; }
  std::string colour() {
    const auto read = objects.get_config_map("default", "settings", {});
    return read ? read->data.at("colour") : read.error().message();
  }
  std::vector<std::string> news() { return std::exchange(told, {}); }
};
using Uids = std::vector<std::string>;

}  // namespace

TEST_CASE("row 2.11: what volumes show is watched once for all pods, and as long as one has it") {
  World w;
  w.objects.set_pod(shows("u1"));
  w.objects.set_pod(shows("u2"));
  w.objects.set_pod(shows("u2"));
  CHECK(w.feed.keys == std::set{kMap});
  w.objects.remove_pod(PodUid("u1"));
  CHECK(w.feed.keys == std::set{kMap});
  CHECK(w.feed.times == 1);
  w.objects.remove_pod(PodUid("u2"));
  w.objects.remove_pod(PodUid("u2"));
  CHECK(w.feed.keys.empty());
}

TEST_CASE("every kind of reference counts, and only volumes are watched") {
  World w;
  model::Pod pod = reads("u1");
  pod.spec.image_pull_secrets = {"pull", ""};
  w.objects.set_pod(pod);
  CHECK(w.feed.keys.empty());
  pod.spec.volumes.push_back({"s", model::SecretVolume{.name = "key", .items = {}, .default_mode = {}, .optional = true}});
  model::ProjectedVolume projected;
  projected.sources.emplace_back(model::TokenProjection{});
  projected.sources.emplace_back(model::ConfigMapVolume{.name = "root-ca", .items = {}, .default_mode = {}, .optional = false});
  projected.sources.emplace_back(model::SecretVolume{.name = "other", .items = {}, .default_mode = {}, .optional = false});
  pod.spec.volumes.push_back({"p", projected});
  w.objects.set_pod(pod);  // an ephemeral container, or a static pod's new manifest
  CHECK(w.feed.keys == std::set<ConfigKey>{{ConfigKind::kConfigMap, "default", "root-ca"},
                                           {ConfigKind::kSecret, "default", "key"},
                                           {ConfigKind::kSecret, "default", "other"}});
}

TEST_CASE("what was seen is read without asking, and a newer version is told of each pod that shows it") {
  World w;
  w.objects.set_pod(shows("u1"));
  w.objects.set_pod(reads("u2"));
  CHECK(w.colour() == "blue");
  w.objects.seen(kMap, map_of("1", "blue"));
  CHECK(w.news() == Uids{});  // the pods have it
  w.api.asked = 0;
  w.objects.seen(kMap, map_of("2", "green"));
  CHECK(w.news() == Uids{"u1"});  // u2's next start sees it
  CHECK(w.colour() == "green");
  CHECK(w.api.asked == 0);
  w.objects.lost(kMap);
  w.put(map_of("3", "red"));
  CHECK(w.colour() == "red");
  CHECK(w.news() == Uids{"u1"});
  w.objects.resumed(kMap);
  CHECK(w.colour() == "red");
  CHECK(w.api.asked == 1);
  w.objects.changed(kMap);  // gone, or unreadable
  CHECK(w.news() == Uids{"u1"});
  w.api.objects.config_maps.clear();
  CHECK(w.colour() == "configmap 'default/settings' not found");
}

TEST_CASE("what was asked for in vain is told when it comes; what nobody asked for yet is not") {
  World w;
  w.objects.set_pod(shows("u1"));
  SECTION("seen before the pod asks") {
    w.objects.seen(kMap, map_of("1", "blue"));
    CHECK(w.news() == Uids{});
  }
  SECTION("absent when it asks") {
    w.api.objects.config_maps.clear();
    CHECK(w.colour() == "configmap 'default/settings' not found");
    w.objects.seen(kMap, map_of("1", "blue"));
    CHECK(w.news() == Uids{"u1"});
  }
}

TEST_CASE("an answer that was overtaken by the watch does not go back") {
  World w;
  w.objects.set_pod(shows("u1"));
  w.api.meanwhile = [&] { w.objects.seen(kMap, map_of("2", "green")); };
  CHECK(w.colour() == "green");
  CHECK(w.colour() == "green");
  CHECK(w.api.asked == 1);
}

TEST_CASE("an immutable object is read once, not watched, and read anew for a pod that comes later") {
  World w;
  w.put(map_of("1", "blue", true));
  w.objects.set_pod(shows("u1"));
  CHECK(w.feed.keys == std::set{kMap});
  SECTION("when read") { CHECK(w.colour() == "blue"); }
  SECTION("when seen") { w.objects.seen(kMap, map_of("1", "blue", true)); }
  CHECK(w.feed.keys.empty());
  w.api.asked = 0;
  CHECK(w.colour() == "blue");
  CHECK(w.api.asked == 0);
  w.put(map_of("9", "white"));  // deleted, and made anew
  w.objects.set_pod(shows("u2"));
  CHECK(w.colour() == "white");
  CHECK(w.news() == Uids{"u1", "u2"});
  CHECK(w.feed.keys == std::set{kMap});
}

TEST_CASE("while the API can't be asked, what was last read holds, and nobody waits for each object") {
  World w;
  w.objects.set_pod(reads("u1"));
  w.api.down = true;
  CHECK(w.colour() == "connection refused");
  w.api.down = false;
  CHECK(w.colour() == "blue");
  w.api.down = true;
  w.api.asked = 0;
  CHECK(w.colour() == "blue");
  CHECK(w.colour() == "blue");
  CHECK(w.api.asked == 1);
  w.clock.time += seconds(5);
  w.api.answers_after = seconds(10);
  CHECK(w.colour() == "blue");
  CHECK(w.api.asked == 2);
  w.clock.time += seconds(6);
  w.api.down = false;
  w.put(map_of("2", "green"));
  CHECK(w.colour() == "green");
  w.objects.remove_pod(PodUid("u1"));
  w.api.down = true;
  CHECK(w.colour() == "connection refused");  // of no pod's: not kept
}

TEST_CASE("only no answer lets what was last read hold; an answer takes its place, also after the API can't be asked any more") {
  struct Row {
    const char* name;
    Error error;
    const char* read;        // at the error
    const char* afterwards;  // with the API down
  };
  const Row rows[] = {{"no connection", {Code::kUnavailable, ECONNREFUSED, "connection refused"}, "blue", "blue"},
                      {"no answer in time", {Code::kUnavailable, 0, "deadline exceeded"}, "blue", "blue"},
                      {"503", {Code::kUnavailable, 0, "503"}, "blue", "blue"},
                      {"401: it is not known who asks", {Code::kUnavailable, 0, "401 Unauthorized"}, "blue", "blue"},
                      {"403", {Code::kUnavailable, EACCES, "403 Forbidden"}, "403 Forbidden", "connection refused"},
                      {"404", {Code::kNotFound, 0, "404 NotFound"}, "404 NotFound", "connection refused"},
                      {"not to be read", {Code::kInvalid, 0, "line 1: no JSON"}, "line 1: no JSON", "blue"},
                      {"given up", {Code::kCancelled, 0, "stopped"}, "stopped", "blue"}};
  for (const auto& row : rows) {
    INFO(row.name);
    World w;
    w.objects.set_pod(reads("u1"));
    REQUIRE(w.colour() == "blue");
    w.api.refuses = row.error;
    CHECK(w.colour() == row.read);
    w.api.refuses.reset();
    w.api.down = true;
    CHECK(w.colour() == row.afterwards);
    w.clock.time += seconds(6);
    w.api.down = false;
    w.put(map_of("2", "green"));
    CHECK(w.colour() == "green");
  }
}

TEST_CASE("for what is known an answer is waited for a short time only, for what is not as long as it takes") {
  World w;
  w.objects.set_pod(reads("u1"));
  CHECK(w.colour() == "blue");
  CHECK(w.quick.times == 0);
  CHECK(w.colour() == "blue");
  CHECK(w.quick.times == 1);
  w.objects.remove_pod(PodUid("u1"));
  w.objects.set_pod(reads("u2"));
  CHECK(w.colour() == "blue");
  CHECK(w.quick.times == 1);
}

TEST_CASE("what is refused is not watched out of date: the watch tells when it is granted") {
  World w;
  w.objects.set_pod(shows("u1"));
  w.objects.seen(kMap, map_of("1", "blue"));
  w.objects.lost(kMap);
  w.api.refuses = Error{Code::kUnavailable, EACCES, "403 Forbidden"};
  CHECK(w.colour() == "403 Forbidden");
  w.objects.seen(kMap, map_of("1", "blue"));
  CHECK(w.news() == Uids{"u1"});
  CHECK(w.colour() == "blue");
}

TEST_CASE("after a restart without the API what was remembered holds, and it is forgotten with its last pod") {
  struct Memory final : ports::ObjectMemory {
    std::map<ConfigKey, ports::ConfigObject> kept;
    void remember(const ConfigKey& key, const ports::ConfigObject& object) override { kept.insert_or_assign(key, object); }
    void forget(const ConfigKey& key) override { kept.erase(key); }
    void keep_only(const std::set<ConfigKey>& keys, const std::set<PodUid>& pods) override {
      std::erase_if(kept, [&](const auto& one) { return !keys.contains(one.first); });
      alive = pods;
    }
    std::set<PodUid> alive;
    std::optional<ports::ConfigObject> recall(const ConfigKey& key) override {
      const auto found = kept.find(key);
      return found == kept.end() ? std::nullopt : std::optional(found->second);
    }
  } memory;
  World w;
  const auto colour = [](PodObjects& objects) {
    const auto read = objects.get_config_map("default", "settings", {});
    return read ? read->data.at("colour") : read.error().message();
  };
  {
    PodObjects first({w.api, w.quick}, w.clock, [](const PodUid&) {}, &memory);
    first.use(&w.feed);
    first.set_pod(shows("u1"));
    CHECK(colour(first) == "blue");
    first.seen(kMap, map_of("2", "green"));
  }
  w.api.down = true;
  PodObjects second({w.api, w.quick}, w.clock, [](const PodUid&) {}, &memory);
  CHECK(colour(second) == "connection refused");  // of no pod's
  second.set_pod(shows("u1"));
  w.quick.times = 0;
  CHECK(colour(second) == "green");
  CHECK(w.quick.times == 1);  // what was remembered is known
  {
    memory.remember(kSecret, model::Secret());
    PodObjects third({w.api, w.quick}, w.clock, [](const PodUid&) {}, &memory);
    model::Pod both = shows("u1");
    both.spec.image_pull_secrets = {"key"};
    third.set_pod(both);
    w.api.answers_after = seconds(2);
    CHECK(colour(third) == "green");
    w.api.asked = 0;
    CHECK(third.get_secret("default", "key", {}));
    CHECK(w.api.asked == 0);  // one that waited is enough
    w.api.answers_after = {};
    memory.forget(kSecret);
  }
  second.set_pod(reads("u2"));
  second.remove_pod(PodUid("u1"));
  CHECK(colour(second) == "green");
  w.api.down = false;
  w.api.objects.config_maps.clear();
  w.clock.time += seconds(6);
  CHECK(colour(second) == "configmap 'default/settings' not found");
  CHECK(memory.kept.empty());
  w.put(map_of("3", "red"));
  CHECK(colour(second) == "red");
  CHECK(memory.kept.size() == 1);
  w.api.refuses = Error{Code::kUnavailable, EACCES, "403 Forbidden"};
  CHECK(colour(second) == "403 Forbidden");
  CHECK(memory.kept.empty());
  w.api.refuses.reset();
  CHECK(colour(second) == "red");
  memory.remember(kSecret, model::Secret());  // of a pod that went while nobody looked
  second.pods_ready();
  CHECK(memory.kept.size() == 1);
  CHECK(memory.kept.contains(kMap));
  CHECK(memory.alive == std::set<PodUid>{PodUid("u2")});
  second.remove_pod(PodUid("u2"));
  CHECK(memory.kept.empty());
}
