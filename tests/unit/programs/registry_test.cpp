// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include <algorithm>
#include <map>

#include <catch2/catch_test_macros.hpp>

#include "fakes/programs/fake_pod_program_loader.h"
#include "programs/program_registry.h"

using namespace pintle;
using namespace pintle::programs;
using model::PlannedProgram;
using State = ports::PodProgramRecord::State;

namespace {

class BasePlanner final : public ports::ProgramPlanner {
 public:
  Result<model::ProgramPlan> plan_for(const model::Pod&) override { return model::default_program_plan(); }
  void forget(const PodUid& uid) override { forgotten.push_back(uid); }
  std::vector<PodUid> forgotten;
};

struct World {
  fakes::FakePodProgramLoader loader;
  BasePlanner base;
  SystemClock clock;
  std::vector<PodUid> changed;
  std::map<std::string, std::string> problems;
  std::unique_ptr<ProgramRegistry> registry;

  explicit World(std::set<std::string> sources = {"folder"}, bool hold = true) { start(std::move(sources), hold); }
  void start(std::set<std::string> sources = {"folder"}, bool hold = true) {
    registry = std::make_unique<ProgramRegistry>(loader, base, clock, RegistryOptions{.sources = std::move(sources), .hold_pods = hold},
                                                 RegistryOutputs{.plan_changed = [this](const PodUid& uid) { changed.push_back(uid); },
                                                                 .problem =
                                                                     [this](const std::string& origin, const std::string& error) {
                                                                       if (error.empty())
                                                                         problems.erase(origin);
                                                                       else
                                                                         problems[origin] = error;
                                                                     }});
  }
  [[nodiscard]] std::vector<PlannedProgram> planned(const model::Pod& pod) {
    const auto plan = registry->plan_for(pod);
    REQUIRE(plan);
    return plan->programs;
  }
  [[nodiscard]] ports::PodProgramRecord record(const std::string& name) {
    for (auto& one : registry->list_programs())
      if (one.program.name == name) return one;
    FAIL("no program " << name);
    return {};
  }
};

model::Pod pod(const std::string& name, model::StringMap labels = {}, const std::string& namespace_ = "default") {
  model::Pod out;
  out.metadata.uid = "uid-" + name;
  out.metadata.name = name;
  out.metadata.namespace_ = namespace_;
  out.metadata.labels = std::move(labels);
  return out;
}

model::PodProgram program(const std::string& name, model::StringMap labels = {}) {
  model::PodProgram out;
  out.name = name;
  out.object = name + ".bpf.o";
  out.program = "main_program";
  out.hook = model::ProgramHook::kConnect4;
  out.pods.match_labels = std::move(labels);
  return out;
}

ports::DeclaredProgram declared(model::PodProgram program, const std::string& bytes = "good") {
  return {std::move(program), std::make_shared<const std::string>(bytes)};
}

ports::PodProgramFile file(const std::string& origin, std::vector<ports::DeclaredProgram> programs, std::vector<std::string> errors = {}) {
  return {.source = "folder", .origin = origin, .programs = std::move(programs), .errors = std::move(errors)};
}

}  // namespace

TEST_CASE("a program is in the plans of the pods that it selects, and only there") {
  World world;
  auto wanted = program("deny", {{"app", "web"}});
  wanted.namespaces = {"shop"};
  wanted.required = true;
  wanted.order = model::ProgramOrder::kBefore;
  world.registry->put(file("/a.yaml", {declared(wanted)}));
  world.registry->synced("folder");
  const auto planned = world.planned(pod("one", {{"app", "web"}}, "shop"));
  REQUIRE(planned.size() == 1);
  CHECK(planned[0] == PlannedProgram{"deny", model::ProgramHook::kConnect4, model::ProgramOrder::kBefore, true, 41, {}});
  CHECK(world.planned(pod("two", {{"app", "db"}}, "shop")).empty());
  CHECK(world.planned(pod("three", {{"app", "web"}}, "test")).empty());
  CHECK(world.planned(pod("nameless", {{"app", "web"}}, "")).empty());
  CHECK(world.record("deny").pods == 1);
  CHECK(world.record("deny").state == State::kLoaded);
  CHECK(world.registry->plan_for(pod("one", {{"app", "web"}}, "shop"))->hooks == model::default_program_plan().hooks);
}

TEST_CASE("pods that have asked are told of what changes for them, others are not") {
  World world;
  world.registry->synced("folder");
  const auto web = pod("web", {{"app", "web"}}), db = pod("db", {{"app", "db"}});
  CHECK(world.planned(web).empty());
  CHECK(world.planned(db).empty());
  world.registry->put(file("/a.yaml", {declared(program("deny", {{"app", "web"}}))}));
  CHECK(world.changed == std::vector{web.uid()});
  CHECK(world.planned(web).size() == 1);
  world.changed.clear();
  world.registry->put(file("/a.yaml", {declared(program("deny", {{"app", "web"}}))}));
  CHECK(world.changed.empty());  // the same again
  CHECK(world.loader.loads.size() == 1);
  world.registry->put(file("/a.yaml", {declared(program("deny", {{"app", "web"}}), "good, and newer")}));
  CHECK(world.changed == std::vector{web.uid()});  // another program of the same name
  (void)world.planned(web);
  world.changed.clear();
  auto moved = web;
  moved.metadata.labels = {{"app", "db"}};
  world.registry->set_pod(moved);
  CHECK(world.changed == std::vector{web.uid()});
  CHECK(world.planned(moved).empty());
  world.registry->set_pod(pod("stranger", {{"app", "web"}}));
  world.registry->forget(web.uid());
  CHECK(world.base.forgotten == std::vector{web.uid()});
  world.changed.clear();
  world.registry->gone("/a.yaml");
  CHECK(world.changed.empty());
  CHECK(!world.loader.has("deny"));
}

TEST_CASE("a refused version changes nothing, not even the selector, and is told") {
  World world;
  world.registry->put(file("/a.yaml", {declared(program("deny", {{"app", "web"}}))}));
  world.registry->synced("folder");
  const auto web = pod("web", {{"app", "web"}}), db = pod("db", {{"app", "db"}});
  REQUIRE(world.planned(web).size() == 1);
  REQUIRE(world.planned(db).empty());
  world.changed.clear();
  world.registry->put(file("/a.yaml", {declared(program("deny", {{"app", "db"}}), "bad")}));
  CHECK(world.changed.empty());
  CHECK(world.planned(web).size() == 1);
  CHECK(world.planned(web)[0].program_id == 41);
  CHECK(world.planned(db).empty());
  CHECK(world.record("deny").state == State::kOutdated);
  CHECK(world.record("deny").sys_errno == 13);
  CHECK(world.problems.at("program deny").find("invalid mem access") != std::string::npos);
  world.registry->put(file("/a.yaml", {declared(program("deny", {{"app", "db"}}), "better")}));
  CHECK(world.record("deny").state == State::kLoaded);
  CHECK(world.problems.empty());
  CHECK(world.planned(web).empty());
  CHECK(world.planned(db).size() == 1);
}

TEST_CASE("one that was never loaded is planned as refused, so that a pod can be held for it") {
  World world;
  auto wanted = program("deny");
  wanted.required = true;
  world.registry->put(file("/a.yaml", {declared(wanted, "bad")}));
  world.registry->synced("folder");
  const auto planned = world.planned(pod("web"));
  REQUIRE(planned.size() == 1);
  CHECK(planned[0].program_id == 0);
  CHECK(planned[0].required);
  CHECK(planned[0].error == "program 'deny' (connect4) was refused: the verifier refused: R1 invalid mem access");
  CHECK(world.record("deny").state == State::kRefused);
  // Its object can't even be read.
  auto missing = declared(wanted);
  missing.object = fail(Code::kNotFound, "open '/deny.bpf.o': No such file or directory");
  world.registry->put(file("/a.yaml", {missing}));
  CHECK(world.planned(pod("web"))[0].error.find("No such file") != std::string::npos);
}

TEST_CASE("a file with a document that can't be read keeps the programs it had") {
  World world;
  world.registry->put(file("/a.yaml", {declared(program("one")), declared(program("two"))}));
  world.registry->synced("folder");
  world.registry->put(file("/a.yaml", {declared(program("one"))}, {"/a.yaml:7: spec.hok: unknown field"}));
  CHECK(world.planned(pod("web")).size() == 2);
  CHECK(world.problems.at("/a.yaml") == "/a.yaml:7: spec.hok: unknown field");
  world.registry->put(file("/a.yaml", {declared(program("one"))}));
  CHECK(world.planned(pod("web")).size() == 1);
  CHECK(world.loader.unloads == std::vector<std::string>{"two"});
  CHECK(world.problems.empty());
}

TEST_CASE("a name is whose declared it first; the other one's turn comes when that goes") {
  World world;
  world.registry->put(file("/a.yaml", {declared(program("deny"))}));
  world.registry->put(file("/b.yaml", {declared(program("deny", {{"app", "web"}}), "another")}));
  world.registry->synced("folder");
  CHECK(world.problems.at("/b.yaml") == "/b.yaml: program 'deny' is declared already in /a.yaml; this one is ignored");
  CHECK(world.record("deny").origin == "/a.yaml");
  world.registry->gone("/a.yaml");
  CHECK(world.record("deny").origin == "/b.yaml");
  CHECK(world.problems.empty());
  CHECK(world.planned(pod("db")).empty());
  CHECK(world.planned(pod("web", {{"app", "web"}})).size() == 1);
  world.registry->gone("/b.yaml");
  CHECK(world.registry->list_programs().empty());
}

TEST_CASE("a node takes so many programs and no more") {
  World world;
  std::vector<ports::DeclaredProgram> many;
  for (size_t i = 0; i <= kMostPrograms; ++i) many.push_back(declared(program("p" + std::to_string(100 + i))));
  world.registry->put(file("/a.yaml", std::move(many)));
  CHECK(world.registry->list_programs().size() == kMostPrograms);
  CHECK(world.problems.at("/a.yaml").find("a node takes 64") != std::string::npos);
}

TEST_CASE("until every source has told, new pods wait, static ones don't, and nothing of an earlier run is dropped") {
  World world({"folder", "configmaps"});
  (void)world.loader.load(program("old"), "good");
  (void)world.loader.load(program("kept"), "good");
  world.loader.restart();
  world.registry->put(file("/a.yaml", {declared(program("kept"))}));
  world.registry->synced("folder");
  world.registry->trouble("configmaps", "list configmaps: 403 Forbidden");
  const auto held = world.registry->plan_for(pod("web"));
  REQUIRE(!held);
  CHECK(held.error().code == Code::kUnavailable);
  CHECK(held.error().message().find("configmaps: list configmaps: 403 Forbidden") != std::string::npos);
  auto manifest = pod("apiserver");
  manifest.metadata.annotations["kubernetes.io/config.source"] = "file";
  const auto plan = world.registry->plan_for(manifest);
  REQUIRE(plan);
  CHECK(!plan->all_programs_known);
  CHECK(plan->programs.size() == 1);
  CHECK(world.loader.unloads.empty());
  world.registry->trouble("configmaps", "");
  world.registry->synced("configmaps");
  CHECK(std::ranges::count(world.changed, PodUid("uid-web")) == 1);
  CHECK(std::ranges::count(world.changed, manifest.uid()) == 1);
  CHECK(world.loader.unloads == std::vector<std::string>{"old"});
  CHECK(world.registry->plan_for(manifest)->all_programs_known);
}

TEST_CASE("beside a kubelet nobody waits") {
  World world({"configmaps"}, false);
  const auto plan = world.registry->plan_for(pod("web"));
  REQUIRE(plan);
  CHECK(!plan->all_programs_known);
}

TEST_CASE("a refused version after a restart leaves the earlier one's links to the attacher") {
  World world;
  (void)world.loader.load(program("deny"), "good");
  world.loader.restart();
  world.registry->put(file("/a.yaml", {declared(program("deny"), "bad")}));
  world.registry->synced("folder");
  CHECK(world.loader.unloads.empty());
  CHECK(world.planned(pod("web"))[0].program_id == 0);
}
