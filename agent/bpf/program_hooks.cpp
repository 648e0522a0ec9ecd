// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "bpf/program_hooks.h"

#include <iterator>

#include <linux/bpf.h>

namespace pintle::bpf {
namespace {

// In the order of model::ProgramHook.
constexpr ProgramHookType kTypes[] = {
    {BPF_PROG_TYPE_CGROUP_SKB, BPF_CGROUP_INET_INGRESS, "cgroup_skb/ingress"},
    {BPF_PROG_TYPE_CGROUP_SKB, BPF_CGROUP_INET_EGRESS, "cgroup_skb/egress"},
    {BPF_PROG_TYPE_CGROUP_SOCK, BPF_CGROUP_INET_SOCK_CREATE, "cgroup/sock_create"},
    {BPF_PROG_TYPE_CGROUP_SOCK, BPF_CGROUP_INET_SOCK_RELEASE, "cgroup/sock_release"},
    {BPF_PROG_TYPE_SOCK_OPS, BPF_CGROUP_SOCK_OPS, "sockops"},
    {BPF_PROG_TYPE_CGROUP_DEVICE, BPF_CGROUP_DEVICE, "cgroup/dev"},
    {BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_INET4_BIND, "cgroup/bind4"},
    {BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_INET6_BIND, "cgroup/bind6"},
    {BPF_PROG_TYPE_CGROUP_SOCK, BPF_CGROUP_INET4_POST_BIND, "cgroup/post_bind4"},
    {BPF_PROG_TYPE_CGROUP_SOCK, BPF_CGROUP_INET6_POST_BIND, "cgroup/post_bind6"},
    {BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_INET4_CONNECT, "cgroup/connect4"},
    {BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_INET6_CONNECT, "cgroup/connect6"},
    {BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_UDP4_SENDMSG, "cgroup/sendmsg4"},
    {BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_UDP6_SENDMSG, "cgroup/sendmsg6"},
    {BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_UDP4_RECVMSG, "cgroup/recvmsg4"},
    {BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_UDP6_RECVMSG, "cgroup/recvmsg6"},
    {BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_INET4_GETPEERNAME, "cgroup/getpeername4"},
    {BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_INET6_GETPEERNAME, "cgroup/getpeername6"},
    {BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_INET4_GETSOCKNAME, "cgroup/getsockname4"},
    {BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_INET6_GETSOCKNAME, "cgroup/getsockname6"},
    {BPF_PROG_TYPE_CGROUP_SYSCTL, BPF_CGROUP_SYSCTL, "cgroup/sysctl"},
    {BPF_PROG_TYPE_CGROUP_SOCKOPT, BPF_CGROUP_GETSOCKOPT, "cgroup/getsockopt"},
    {BPF_PROG_TYPE_CGROUP_SOCKOPT, BPF_CGROUP_SETSOCKOPT, "cgroup/setsockopt"},
};
static_assert(std::size(kTypes) == model::kProgramHookCount);

}  // namespace

const ProgramHookType& type_of(model::ProgramHook hook) { return kTypes[static_cast<size_t>(hook)]; }

std::optional<model::ProgramHook> program_hook_of(uint32_t attach_type) {
  for (size_t i = 0; i < model::kProgramHookCount; ++i)
    if (kTypes[i].attach_type == attach_type) return static_cast<model::ProgramHook>(i);
  return std::nullopt;
}

std::optional<model::Hook> own_hook(model::ProgramHook hook) { return model::parse_hook(model::to_string(hook)); }

}  // namespace pintle::bpf
