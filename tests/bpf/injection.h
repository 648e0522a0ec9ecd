// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Failures made on purpose, for injected_failures_test.cpp: each runs in a child process of its own, which may drop rights, limits and
// namespaces as it likes, meets the kernel's refusal and has it explained. The child tells errno, cause and words by a pipe.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "bpf/errno_causes.h"
#include "bpf/probe.h"
#include "kernel_fixture.h"

namespace pintle::kernel_test {

// What every injection finds ready: cgroups of its own and programs that the parent loaded with all rights.
struct Stage {
  std::string parent, pod;                                                // cgroups
  std::string bpffs;                                                      // a folder for pins
  int ingress = -1, egress = -1, connect4 = -1, bind4 = -1, device = -1;  // programs
};

struct Refusal {
  int err = 0;  // 0: the kernel did not refuse
  bpf::Explanation why;
  std::string skip;  // why this kernel can't be made to refuse
};

struct Injection {
  std::string name;
  bpf::Cause cause;
  std::string words;  // a part of the text
  std::function<Refusal(const Stage&)> run;
};

std::vector<Injection> cgroup_injections();
std::vector<Injection> load_injections();
std::vector<Injection> map_and_pin_injections();

// For use in the child. Each ends it with the step's name when it can't do its part: a failed stage is not an explained refusal.
void keep_only(const std::vector<int>& capabilities);
void enter_user_namespace();
void forbid_bpf(int command);  // by a seccomp filter, with EPERM
void use_up_files();
void must(bool done, const std::string& step);
inline Refusal refused(int err, bpf::Explanation why) { return {err, std::move(why), {}}; }
inline Refusal not_possible(std::string reason) { return {0, {}, std::move(reason)}; }
// Ends the child where the kernel is new enough to have it, or has BTF: the probe is at fault.
Refusal not_before(KernelVersion since, const std::string& what);
Refusal no_btf();

}  // namespace pintle::kernel_test
