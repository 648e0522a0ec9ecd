// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "app/doctor.h"

#include <algorithm>
#include <filesystem>
#include <fstream>

#include <unistd.h>

#include <fmt/format.h>
#include <catch2/catch_test_macros.hpp>

#include "bpf/privilege.h"
#include "unit/server/agent_samples.h"

using namespace pintle;
using namespace pintle::app;
using State = ports::DoctorCheck::State;

namespace {

ports::DoctorCheck capabilities_of(uint64_t effective, bool programs_only = false) {
  const auto root = std::filesystem::temp_directory_path() / fmt::format("pintle-doctor-{}", ::getpid());
  std::filesystem::create_directories(root / "proc/self");
  std::ofstream(root / "proc/self/status") << fmt::format("Name:\tpintled\nCapPrm:\t0\nCapEff:\t{:016x}\nCapBnd:\t0\n", effective);
  const auto checks = run_doctor({.root = root.string() + "/", .programs_only = programs_only});
  std::filesystem::remove_all(root);
  const auto found = std::ranges::find(checks, "capabilities", &ports::DoctorCheck::name);
  REQUIRE(found != checks.end());
  return *found;
}

uint64_t mask_of(const std::vector<int>& numbers) {
  uint64_t mask = 0;
  for (const int number : numbers) mask |= uint64_t{1} << number;
  return mask;
}

}  // namespace

TEST_CASE("the doctor tells the effective set, and what it lacks of the working set") {
  const uint64_t working = mask_of(bpf::working_set(bpf::WorkingSet::kNode));
  const auto good = capabilities_of(working);
  CHECK(good.state == State::kOk);
  CHECK(good.detail ==
        "effective: CAP_NET_ADMIN CAP_SYS_ADMIN CAP_CHOWN CAP_DAC_OVERRIDE CAP_FOWNER CAP_FSETID CAP_KILL; needed at the start only: "
        "CAP_BPF CAP_PERFMON");
  const auto lacking = capabilities_of(working & ~(uint64_t{1} << 12));
  CHECK(lacking.state == State::kFailed);
  CHECK(lacking.detail.ends_with("; missing: CAP_NET_ADMIN"));
  const auto everything = capabilities_of(0x1ffffffffff);
  CHECK(everything.state == State::kOk);
  CHECK(everything.detail.find("and 32 that are not needed") != std::string::npos);
  // A container of a runtime that has no CAP_BPF to give.
  CHECK(capabilities_of(mask_of({12, 21}), true).detail ==
        "effective: CAP_NET_ADMIN, and CAP_SYS_ADMIN in the place of CAP_BPF CAP_PERFMON");
}

TEST_CASE("the doctor has a row of NRI where the mode has") {
  const auto rows_of = [](std::optional<ports::DoctorCheck> nri) {
    auto checks = run_doctor({.root = "/nonexistent/", .nri = std::move(nri)});
    std::erase_if(checks, [](const auto& check) { return check.name != "NRI"; });
    return checks;
  };
  CHECK(rows_of(std::nullopt).empty());
  const auto rows = rows_of(ports::DoctorCheck{.name = "NRI", .detail = "connect: No such file", .state = State::kWarning});
  REQUIRE(rows.size() == 1);
  CHECK(rows[0].state == State::kWarning);
}

TEST_CASE("the doctor warns of a program set that is not in order, and fails for none: pods have the one before") {
  const auto row_of = [](model::ProgramSetStatus set) {
    const auto checks = run_doctor({.root = "/nonexistent/", .program_set = std::move(set)});
    const auto found = std::ranges::find(checks, "program set", &ports::DoctorCheck::name);
    return found == checks.end() ? std::nullopt : std::optional(*found);
  };
  CHECK_FALSE(row_of({}));  // no eBPF: other rows say why
  CHECK(row_of({.name = "builtin", .version = "1"})->state == State::kOk);
  const auto refused =
      row_of({.name = "builtin", .attempt = model::ProgramSetStatus::Attempt::kRefused, .wanted = "next", .error = "it counted 0"});
  CHECK(refused->state == State::kWarning);
  CHECK(refused->detail.find("program set 'next' was refused: it counted 0") == 0);
  const auto left = row_of({.name = "builtin", .leftovers = {{21, "unpin 'x': Is a directory"}}});
  CHECK(left->state == State::kWarning);
  CHECK(left->fix.find("each 10 s") != std::string::npos);
}

TEST_CASE("the doctor warns of pods that lack a program, and of what they lack though all are in force") {
  const auto row_of = [](std::vector<ports::PodRecord> pods) {
    const auto checks = run_doctor({.root = "/nonexistent/", .program_set = {.name = "builtin"}, .pods = std::move(pods)});
    const auto found = std::ranges::find(checks, "pods' programs", &ports::DoctorCheck::name);
    REQUIRE(found != checks.end());
    return *found;
  };
  const auto fine = row_of({test::running_pod()});
  CHECK(fine.state == State::kOk);
  CHECK(fine.detail == "in force on 1 pods");
  auto noted = test::running_pod("noted");
  noted.programs->notes = {"its exec, exit and OOM events are not seen: full"};
  auto refused = test::running_pod("refused");
  refused.programs->hooks[1].state = model::HookState::kRefused;
  auto ended = refused;
  ended.status.phase = model::Phase::kSucceeded;
  const auto warned = row_of({test::running_pod(), noted, refused, ended});
  CHECK(warned.state == State::kWarning);
  CHECK(warned.detail ==
        "2 of 3 pods lack something: default/noted: its exec, exit and OOM events are not seen: full, default/refused: egress is Refused");
}

TEST_CASE("a feature that nothing needs is fine where it is not there, and says so before it tells the refusal") {
  const auto checks = run_doctor({.root = "/nonexistent/",
                                  .features = {{.name = "fentry", .available = false, .detail = "EPERM", .optional = true},
                                               {.name = "tp_btf", .available = false, .detail = "EPERM"}}});
  const auto fentry = std::ranges::find(checks, "eBPF: fentry", &ports::DoctorCheck::name);
  CHECK(fentry->state == State::kOk);
  CHECK(fentry->detail == "not there, and not needed: EPERM");
  const auto needed = std::ranges::find(checks, "eBPF: tp_btf", &ports::DoctorCheck::name);
  CHECK(needed->state == State::kWarning);
  CHECK(needed->detail == "EPERM");
}
