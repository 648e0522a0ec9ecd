// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include <catch2/catch_test_macros.hpp>

#include "codec/pod_program.h"

using namespace pintle;
using namespace pintle::codec;
using model::ProgramHook;

namespace {

constexpr const char* kWhole = R"(apiVersion: pintle.dev/v1alpha1
kind: PodProgram
metadata:
  name: deny-telnet
  labels: {team: net}
spec:
  object: deny_telnet.bpf.o
  program: deny_telnet
  hook: connect4
  namespaces: [shop, test]
  podSelector:
    matchLabels: {app: web}
    matchExpressions:
    - {key: tier, operator: In, values: [front, back]}
    - {key: legacy, operator: DoesNotExist}
  order: before
  policy: required
)";

std::string with(std::string text, const std::string& from, const std::string& to) {
  const auto at = text.find(from);
  REQUIRE(at != std::string::npos);
  return text.replace(at, from.size(), to);
}

std::string error_of(const std::string& text) {
  const auto documents = parse_pod_programs(text, "x.yaml");
  REQUIRE(documents.errors.size() == 1);
  CHECK(documents.programs.empty());
  CHECK(documents.errors[0].code == Code::kInvalid);
  return documents.errors[0].message();
}

}  // namespace

TEST_CASE("a PodProgram with everything in it") {
  const auto documents = parse_pod_programs(kWhole, "x.yaml");
  REQUIRE(documents.errors.empty());
  REQUIRE(documents.programs.size() == 1);
  const auto& program = documents.programs[0];
  CHECK(program.name == "deny-telnet");
  CHECK(program.object == "deny_telnet.bpf.o");
  CHECK(program.program == "deny_telnet");
  CHECK(program.hook == ProgramHook::kConnect4);
  CHECK(program.namespaces == std::vector<std::string>{"shop", "test"});
  CHECK(program.order == model::ProgramOrder::kBefore);
  CHECK(program.required);
  CHECK(program.selects("shop", {{"app", "web"}, {"tier", "back"}}));
  CHECK(!program.selects("other", {{"app", "web"}, {"tier", "back"}}));
  CHECK(!program.selects("shop", {{"app", "web"}}));
  CHECK(!program.selects("shop", {{"app", "web"}, {"tier", "back"}, {"legacy", "1"}}));
  CHECK(describe_selector(program) == "namespaces shop,test; app=web; tier in (front,back); !legacy");
}

TEST_CASE("what may be left out has the mildest meaning") {
  const auto documents = parse_pod_programs(
      "apiVersion: pintle.dev/v1alpha1\nkind: PodProgram\nmetadata: {name: p}\nspec: {object: p.o, program: f, hook: getsockopt}\n", "x");
  REQUIRE(documents.errors.empty());
  const auto& program = documents.programs.at(0);
  CHECK(!program.required);
  CHECK(program.order == model::ProgramOrder::kAny);
  CHECK(program.selects("any", {}));
  CHECK(describe_selector(program) == "every pod");
}

TEST_CASE("every hook has a name that is read back") {
  for (size_t i = 0; i < model::kProgramHookCount; ++i) {
    const auto hook = static_cast<ProgramHook>(i);
    CHECK(model::parse_program_hook(to_string(hook)) == hook);
  }
  for (const auto hook : model::kAllHooks) CHECK(model::parse_program_hook(to_string(hook)).has_value());
  CHECK(!model::parse_program_hook("xdp"));
}

TEST_CASE("what can't be read is named by file, line and field") {
  CHECK(error_of(with(kWhole, "hook: connect4", "hook: xdp")).starts_with("x.yaml:9: spec.hook: 'xdp' is not a hook; there are ingress, "));
  CHECK(error_of(with(kWhole, "  program: deny_telnet\n", "")).find("spec.program") != std::string::npos);
  CHECK(error_of(with(kWhole, "podSelector", "podSelektor")).find("x.yaml:11: spec.podSelektor: unknown field") != std::string::npos);
  CHECK(error_of(with(kWhole, "v1alpha1", "v2")).find("expected 'pintle.dev/v1alpha1', found 'pintle.dev/v2'") != std::string::npos);
  CHECK(error_of(with(kWhole, "kind: PodProgram\n", "")).find("kind: is required") != std::string::npos);
  CHECK(error_of(with(kWhole, "name: deny-telnet", "name: Deny_Telnet")).find("metadata.name: 'Deny_Telnet' is not a name") !=
        std::string::npos);
  CHECK(error_of(with(kWhole, "object: deny_telnet.bpf.o", "object: ../deny.bpf.o")).find("is not the name of a file beside this one") !=
        std::string::npos);
  CHECK(error_of(with(kWhole, "policy: required", "policy: mandatory")).find("spec.policy") != std::string::npos);
  CHECK(error_of(with(kWhole, "order: before", "order: first")).find("spec.order") != std::string::npos);
  CHECK(error_of(with(kWhole, "[shop, test]", "[]")).find("spec.namespaces: must name one at least") != std::string::npos);
  CHECK(error_of(with(kWhole, "values: [front, back]", "values: []")).find("In and NotIn need at least one") != std::string::npos);
  CHECK(error_of("apiVersion: v1\nkind: Pod\nmetadata: {name: web}\nspec: {}\n").find("expected 'pintle.dev/v1alpha1'") !=
        std::string::npos);
}

TEST_CASE("one bad document costs only itself, and a name stands once") {
  const std::string two = std::string(kWhole) + "---\n" + with(kWhole, "name: deny-telnet", "name: other") + "---\nkind: [\n";
  const auto documents = parse_pod_programs(two, "x.yaml");
  CHECK(documents.programs.size() == 2);
  CHECK(documents.errors.size() == 1);
  const auto twice = parse_pod_programs(std::string(kWhole) + "---\n" + kWhole, "x.yaml");
  CHECK(twice.programs.size() == 1);
  REQUIRE(twice.errors.size() == 1);
  CHECK(twice.errors[0].message().find("stands in this file twice") != std::string::npos);
}
