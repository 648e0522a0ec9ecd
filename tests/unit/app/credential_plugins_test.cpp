// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Plugins are shell scripts here, which count how often they run.
#include "app/credential_plugins.h"

#include <filesystem>
#include <thread>

#include <catch2/catch_test_macros.hpp>

#include "app/pull_credentials.h"
#include "base/unique_fd.h"
#include "fakes/reconcile/node_fakes.h"
#include "fakes/store/temp_dir.h"

using namespace pintle;
using namespace pintle::app;
using namespace std::chrono_literals;
using model::CredentialProvider;

namespace {

using List = std::vector<std::string>;

// Real time for what programs do, the test's for what is kept.
struct ShiftedClock final : Clock {
  SystemClock real;
  Duration shift{};
  [[nodiscard]] Time now() const override { return real.now() + shift; }
  [[nodiscard]] SteadyTime steady() const override { return real.steady() + shift; }
};

CredentialProvider provider(std::string name, List patterns, Duration kept = 10min) {
  return {.name = std::move(name),
          .match_images = std::move(patterns),
          .default_cache_duration = kept,
          .api_version = "credentialprovider.kubelet.k8s.io/v1",
          .args = {"argument"},
          .environment = {"USER_NAME=by-environment"}};
}

struct World {
  ShiftedClock clock;
  fakes::TempDir dir;
  std::map<std::string, std::string> problems;  // by plugin; without those that work
  std::vector<CredentialProvider> providers;
  Duration timeout = 1min;

  void script(const std::string& name, const std::string& body) {
    const std::string path = dir / name;
    fakes::write_text(path, "#!/bin/sh\nread request\necho \"$request $1\" >>" + (dir / (name + ".asked")) + "\n" + body);
    std::filesystem::permissions(path, std::filesystem::perms::owner_all);
  }
  // One that answers for `pattern`; `more`: further fields.
  void answering(const std::string& name, const std::string& scope, const std::string& pattern, const std::string& user,
                 const std::string& more = {}) {
    script(name, R"(cat <<END
{"apiVersion":"credentialprovider.kubelet.k8s.io/v1","kind":"CredentialProviderResponse","cacheKeyType":")" +
                     scope + "\"" + more + R"(,"auth":{")" + pattern + R"(":{"username":")" + user + R"(","password":"hunter22"}}}
END
)");
  }
  CredentialPlugins& plugins() {
    if (!made_)
      made_ = std::make_unique<CredentialPlugins>(providers, clock,
                                                  CredentialPlugins::Options{.bin_folder = dir.path(),
                                                                             .told =
                                                                                 [this](const auto& plugin, const auto& error) {
                                                                                   if (error.empty())
                                                                                     problems.erase(plugin);
                                                                                   else
                                                                                     problems[plugin] = error;
                                                                                 },
                                                                             .timeout = timeout});
    return *made_;
  }
  List find(const std::string& image) {
    const auto found = plugins().find(image, {});
    REQUIRE(found);
    List out;
    for (const auto& auth : *found) out.push_back(auth.username);
    return out;
  }
  [[nodiscard]] List asked(const std::string& name) const {
    List out;
    auto text = read_file(dir / (name + ".asked")).value_or("");
    for (size_t line = 0; (line = text.find('\n')) != std::string::npos; text.erase(0, line + 1)) out.push_back(text.substr(0, line));
    return out;
  }

 private:
  std::unique_ptr<CredentialPlugins> made_;
};

}  // namespace

TEST_CASE("row 19.5: a plugin whose pattern matches is asked for the repository, with its arguments and environment") {
  World world;
  world.providers = {provider("mine", {"*.example/team", "reg.example:5000"})};
  world.answering("mine", "Image", "*.example", "$USER_NAME");
  CHECK(world.find("reg.example/team/app:1@sha256:0") == List{"by-environment"});
  CHECK(world.asked("mine") ==
        List{R"({"apiVersion":"credentialprovider.kubelet.k8s.io/v1","kind":"CredentialProviderRequest","image":"reg.example/team/app"})"
             " argument"});
  struct Row {
    std::string image;
    bool asked;
  };
  const Row rows[] = {{"reg.example/other/app", false},
                      {"reg.example:5000/app", true},
                      {"reg.example:5001/app", false},
                      {"a.reg.example/team/app", false},
                      {"busybox", false},
                      {"x.example/team/b", true}};
  for (const auto& row : rows) {
    INFO(row.image);
    const size_t before = world.asked("mine").size();
    (void)world.find(row.image);
    CHECK((world.asked("mine").size() > before) == row.asked);
  }
  CHECK(world.problems.empty());
}

TEST_CASE("row 19.5: an answer is kept for image, registry or all, for as long as it says") {
  struct Row {
    const char* what;
    std::string scope, more;
    Duration kept_by_default;
    Duration later;
    size_t runs;  // for reg.example/a, then /a again, /b, and other.example/a
  };
  const Row rows[] = {
      {"image", "Image", "", 10min, 0s, 3},
      {"registry", "Registry", "", 10min, 0s, 2},
      {"global", "Global", "", 10min, 0s, 1},
      {"the default is over", "Global", "", 10min, 10min, 4},
      {"its own word goes over the default", "Global", R"(,"cacheDuration":"1h0m0s")", 10min, 10min, 1},
      {"its own word is zero", "Global", R"(,"cacheDuration":"0s")", 10min, 0s, 4},
      {"the default is zero", "Global", "", 0s, 0s, 4},
      {"for ever", "Global", R"(,"cacheDuration":"2000000h0m0s")", 0s, 1h, 1},
  };
  for (const auto& row : rows) {
    INFO(row.what);
    World world;
    world.providers = {provider("mine", {"*.example"}, row.kept_by_default)};
    world.answering("mine", row.scope, "*.example", "u", row.more);
    for (const char* image : {"reg.example/a:1", "reg.example/a:2", "reg.example/b", "other.example/a"}) {
      CHECK(world.find(image) == List{"u"});
      world.clock.shift += row.later;
    }
    CHECK(world.asked("mine").size() == row.runs);
  }
}

TEST_CASE("row 19.5: several plugins' answers are one set: the longest path first, then the configuration's order") {
  World world;
  world.providers = {provider("first", {"reg.example"}), provider("second", {"reg.example"}), provider("other", {"other.example"})};
  world.answering("first", "Image", "reg.example", "first");
  world.answering("second", "Image", "reg.example\":{\"username\":\"same\",\"password\":\"x\"},\"reg.example/team", "second");
  CHECK(world.find("reg.example/team/app") == List{"second", "first", "same"});
  CHECK(world.asked("other").empty());
}

TEST_CASE("row 19.5: a plugin that fails is told without secrets, others count, and it is asked again") {
  struct Row {
    std::string body, told;
  };
  const Row rows[] = {
      {"echo hunter22\necho no metadata service >&2\nexit 1\n", "' ended with code 1: no metadata service; images are pulled without it"},
      {"echo '{\"hunter22'\n", "ask for 'reg.example/app': its answer: is not JSON; images are pulled without it"},
      {"exec sleep 3600\n", "' has not ended after 300ms; images are pulled without it"},
  };
  for (const auto& row : rows) {
    INFO(row.told);
    World world;
    world.timeout = 300ms;
    world.providers = {provider("bad", {"reg.example"}), provider("good", {"nothing.example", "reg.*"})};
    world.script("bad", row.body);
    world.answering("good", "Image", "reg.example", "good");
    // The good one has its time even where the machine is busy.
    if (row.told.find("300ms") == std::string::npos) world.timeout = 1min;
    CHECK(world.plugins().find("reg.example/app", {}));
    CHECK(world.problems["bad"].ends_with(row.told));
    CHECK(world.problems["bad"].starts_with("ask for 'reg.example/app': "));
    CHECK(world.problems["bad"].find("hunter22") == std::string::npos);
    if (row.told.find("300ms") != std::string::npos) continue;
    CHECK_FALSE(world.problems.contains("good"));
    world.answering("bad", "Image", "reg.example", "mended");
    CHECK(world.find("reg.example/app") == List{"mended", "good"});
    CHECK(world.problems.empty());
  }
}

TEST_CASE("row 19.5: pulls of one image at a time ask once, and a stop ends the wait") {
  World world;
  world.providers = {provider("mine", {"reg.example"})};
  world.answering("mine", "Image", "reg.example", "u");
  (void)world.plugins();
  {
    std::vector<std::jthread> pulls;
    for (int i = 0; i < 4; ++i) pulls.emplace_back([&] { (void)world.plugins().find("reg.example/app", {}); });
  }
  CHECK(world.asked("mine").size() == 1);
  std::stop_source stop;
  stop.request_stop();
  const auto stopped = world.plugins().find("reg.example/other", stop.get_token());
  REQUIRE_FALSE(stopped);
  CHECK(stopped.error().code == Code::kCancelled);
  CHECK(world.find("reg.example/other") == List{"u"});
}

TEST_CASE("row 19.5: what plugins answer comes after the pod's secrets and the node's file") {
  World world;
  world.providers = {provider("mine", {"reg.example"})};
  world.answering("mine", "Image", "reg.example/app", "plugin");
  fakes::write_text(world.dir / "config.json", R"({"auths":{"reg.example":{"username":"node","password":"x"}}})");
  fakes::MemoryObjects objects;
  struct : ports::EventSink {
    void record(const model::Event& /*event*/) override {}
  } events;
  PullCredentials credentials{objects,
                              events,
                              world.clock,
                              {.files = {world.dir / "config.json"}, .told = [](const auto&, const auto&) {}, .plugins = &world.plugins()}};
  const auto found = credentials.find(model::Pod{}, "reg.example/app:1", {});
  REQUIRE(found);
  REQUIRE(found->size() == 2);
  CHECK(found->at(0).username == "node");
  CHECK(found->at(1).username == "plugin");
}

TEST_CASE("row 19.5: providers of a file or a folder, whose programs must be there") {
  World world;
  const auto config = [&](const std::string& file, const std::string& name) {
    fakes::write_text(world.dir / file,
                      "apiVersion: kubelet.config.k8s.io/v1\nkind: CredentialProviderConfig\nproviders:\n- {name: " + name +
                          ", apiVersion: credentialprovider.kubelet.k8s.io/v1, matchImages: [a], defaultCacheDuration: 1m}\n");
    return world.dir / file;
  };
  const auto load = [&](const std::string& path) -> std::string {
    const auto loaded = load_credential_providers(path, world.dir.path());
    if (!loaded) return loaded.error().message();
    std::string names;
    for (const auto& one : *loaded) names += one.name + " ";
    return names;
  };
  std::filesystem::create_directory(world.dir / "conf");
  CHECK(load(world.dir / "none.yaml").find("none.yaml': No such file") != std::string::npos);
  CHECK(load(world.dir / "conf").find("/conf' holds no *.json, *.yaml or *.yml file") != std::string::npos);
  const auto b = config("conf/b.yaml", "one");
  CHECK(load(b) ==
        b + ": provider 'one': '" + (world.dir / "one") + "' is no program; install it there or mend pintle.imageCredentialProviderBinDir");
  world.script("one", "");
  CHECK(load(b) == "one ");
  world.script("two", "");
  (void)config("conf/a.yml", "two");
  (void)config("conf/c.txt", "three");
  CHECK(load(world.dir / "conf") == "two one ");
  const auto d = config("conf/d.yaml", "one");
  CHECK(load(world.dir / "conf") == d + ": name: 'one' is taken by a provider of another file of '" + (world.dir / "conf") + "'");
}
