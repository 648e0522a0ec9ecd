// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Goal: of every failure that can be injected, the agent names the right cause. Every refusal here is the kernel's own.
#include <cerrno>
#include <cstdio>
#include <system_error>

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fmt/format.h>
#include <catch2/catch_test_macros.hpp>

#include "bpf/pin.h"
#include "injection.h"

using namespace pintle;
using namespace pintle::kernel_test;

namespace {

struct Told {
  int err = 0;
  std::string cause, text, skip;
  int status = 0;  // the child's
};

std::string field(std::string& text) {
  const auto end = text.find('\x1f');
  std::string out = text.substr(0, end);
  text.erase(0, end == std::string::npos ? end : end + 1);
  return out;
}

Told run(const Injection& injection, const Stage& stage) {
  int ends[2];
  REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
  const UniqueFd reader(ends[0]);
  UniqueFd writer(ends[1]);
  const pid_t pid = ::fork();
  REQUIRE(pid >= 0);
  if (pid == 0) {
    const auto found = injection.run(stage);
    const std::string text = fmt::format("{}\x1f{}\x1f{}\x1f{}", found.err, bpf::to_string(found.why.cause), found.why.text, found.skip);
    ::_exit(::write(writer.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()) ? 0 : 122);
  }
  writer.reset();
  std::string text;
  char buffer[4096];
  for (ssize_t n = 0; (n = ::read(reader.get(), buffer, sizeof buffer)) > 0;) text.append(buffer, static_cast<size_t>(n));
  Told told;
  REQUIRE(::waitpid(pid, &told.status, 0) == pid);
  if (told.status != 0) return told;
  told.err = std::stoi(field(text));
  told.cause = field(text);
  told.text = field(text);
  told.skip = text;
  return told;
}

bpf::ProgramTrial load(uint32_t type, uint32_t attach_type) {
  auto trial = bpf::try_program({.type = type, .attach_type = attach_type});
  REQUIRE(trial.err == 0);
  return trial;
}

}  // namespace

TEST_CASE("of every injected failure the right cause is named") {
  const std::string bpffs = require_kernel();
  const auto ingress = load(BPF_PROG_TYPE_CGROUP_SKB, BPF_CGROUP_INET_INGRESS),
             egress = load(BPF_PROG_TYPE_CGROUP_SKB, BPF_CGROUP_INET_EGRESS);
  const auto connect4 = load(BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_INET4_CONNECT);
  const auto bind4 = load(BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_INET4_BIND);
  const auto device = load(BPF_PROG_TYPE_CGROUP_DEVICE, BPF_CGROUP_DEVICE);

  auto all = cgroup_injections();
  for (auto list : {load_injections(), map_and_pin_injections()})
    all.insert(all.end(), std::make_move_iterator(list.begin()), std::make_move_iterator(list.end()));
  size_t named = 0, skipped = 0;
  for (const auto& injection : all) {
    INFO(injection.name);
    const PodDir parent("foreign"), pod("foreign/pod");
    const std::string folder = bpffs + "/injected";
    REQUIRE(bpf::make_pin_folder(folder));
    const auto told = run(injection, {parent.path(), pod.path(), folder, ingress.fd.get(), egress.fd.get(), connect4.fd.get(),
                                      bind4.fd.get(), device.fd.get()});
    CHECK(bpf::remove_pin_folder(folder));
    INFO("errno " << told.err << ", cause '" << told.cause << "': " << told.text);
    CHECK(told.status == 0);
    if (!told.skip.empty()) {
      std::printf("SKIP %s: %s\n", injection.name.c_str(), told.skip.c_str());
      ++skipped;
      continue;
    }
    CHECK(told.err != 0);
    CHECK(told.cause == bpf::to_string(injection.cause));
    CHECK(told.text.find(injection.words) != std::string::npos);
    const bool right = told.status == 0 && told.err != 0 && told.cause == bpf::to_string(injection.cause) &&
                       told.text.find(injection.words) != std::string::npos;
    named += right ? 1 : 0;
    std::printf("%-4s %-58s %-16s %s\n", right ? "ok" : "BAD", injection.name.c_str(), told.cause.c_str(), told.text.c_str());
  }
  std::printf("%zu of %zu causes named right, %zu skipped\n", named, all.size() - skipped, skipped);
  CHECK(named == all.size() - skipped);
  CHECK(named >= 40);
}
