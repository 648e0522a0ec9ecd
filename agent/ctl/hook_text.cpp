// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "ctl/hook_text.h"

#include <cerrno>

#include <fmt/format.h>

#include "ctl/human.h"
#include "ctl/pod_text.h"

namespace pintle::ctl {
namespace {

enum class Family { kPackets, kCalls, kSockOps, kDevice };
Family family_of(const std::string& hook) {
  if (hook == "ingress" || hook == "egress") return Family::kPackets;
  if (hook == "sock_ops") return Family::kSockOps;
  if (hook == "device") return Family::kDevice;
  return Family::kCalls;
}

std::string name_of(const v1::ForeignProgram& neighbour) {
  return neighbour.name().empty() ? fmt::format("program {}", neighbour.id())
                                  : fmt::format("'{}' (program {})", safe(neighbour.name()), neighbour.id());
}

// Before or after ours in the kernel's list; unknown when the list that we were told is not whole.
enum class Place { kBefore, kAfter, kUnknown };
Place place_of(const v1::Hook& hook, int index) {
  int running = 0, before = 0;  // those that are switched off are not in the kernel's list
  for (int i = 0; i < hook.neighbours_size(); ++i) {
    running += hook.neighbours(i).switched_off() ? 0 : 1;
    before += i < index && !hook.neighbours(i).switched_off() ? 1 : 0;
  }
  if (hook.position() == 0 || running != hook.effective_count() - 1) return Place::kUnknown;
  index = before;
  return index < hook.position() - 1 ? Place::kBefore : Place::kAfter;
}

std::string power_over(Family family, Place place) {
  switch (family) {
    case Family::kPackets: return "it can drop packets that ours lets pass, and can't bring back one that ours dropped";
    case Family::kSockOps: return "it sees the same TCP events; neither can refuse anything";
    case Family::kDevice:
      return "it can refuse a device that ours allows, and can't allow one that ours refuses unless it sets the result to 0";
    case Family::kCalls: break;
  }
  if (place == Place::kBefore) return "it can refuse the call, or change the address that ours then sees";
  if (place == Place::kAfter) return "it can refuse a call that ours allows, and undo a refusal of ours by setting the result to 0";
  return "it can refuse a call that ours allows; if it runs after ours it can undo a refusal of ours";
}

std::string neighbour_line(const v1::Hook& hook, int index, Time now) {
  const auto& neighbour = hook.neighbours(index);
  const Place place = neighbour.switched_off() ? Place::kUnknown : place_of(hook, index);
  std::string text = fmt::format("{}{}",
                                 place == Place::kBefore  ? "before ours: "
                                 : place == Place::kAfter ? "after ours: "
                                                          : "beside ours: ",
                                 name_of(neighbour));
  text += fmt::format(", loaded by uid {}", neighbour.uid());
  if (neighbour.loaded_at() != 0) text += fmt::format(" {} ago", age(neighbour.loaded_at(), now));
  if (!neighbour.cgroup().empty()) text += fmt::format(", at {}", safe(neighbour.cgroup()));
  if (neighbour.switched_off() && hook.position() != 0)
    return text +
           ": switched off for this pod: it was attached with ALLOW_OVERRIDE, and ours, attached below it, runs in its place. "
           "Attach it with BPF_F_ALLOW_MULTI to have both run";
  text += ": " + power_over(family_of(hook.name()), place);
  if (neighbour.exclusive()) text += "; it is attached exclusively: nothing may be attached below it";
  if (neighbour.overridable()) text += "; it is overridable: one attached below it runs in its place";
  return text;
}

std::string order_line(const v1::Hook& hook) {
  const char* const it = hook.pod_program().empty() ? "ours" : "this";
  const std::string asked =
      hook.order() == "before" || hook.order() == "after" ? fmt::format("; asked for: {} Pintle's", hook.order()) : "";
  if (hook.position() == 0) return "not known: the kernel was not asked, or did not tell" + asked;
  if (hook.effective_count() <= 1) return fmt::format("{} is the only program that the kernel runs here{}", it, asked);
  return fmt::format("the kernel runs {} programs here, the pod's own cgroup first, then those above it; {} is number {}{}",
                     hook.effective_count(), it, hook.position(), asked);
}

std::string counted_line(const v1::Hook& hook) {
  std::string text = hook.counts_hits() ? fmt::format("ran {} times", hook.hits()) : "";
  if (hook.counts_drops()) text += fmt::format("{}refused {}", text.empty() ? "" : ", ", hook.drops());
  if (hook.counted_together()) text += "; both families of a call are counted together, and the refusals of all calls";
  return text;
}

const v1::ForeignProgram* exclusive_neighbour(const v1::Hook& hook) {
  for (const auto& neighbour : hook.neighbours())
    if (neighbour.exclusive() || (neighbour.overridable() && hook.state() == "Refused")) return &neighbour;
  return nullptr;
}

// facts/ebpf 4.6, the rows of LINK_CREATE, LINK_UPDATE and OBJ_PIN.
std::string fix_of(const v1::Hook& hook) {
  if (!hook.pod_program().empty() && hook.program_id() == 0)
    return "mend the object or its PodProgram: 'pintlectl ebpf programs' says where they lie; it is loaded as soon as it changes";
  switch (hook.sys_errno()) {
    case EPERM:
    case EACCES:
      if (const auto* blocker = exclusive_neighbour(hook))
        return fmt::format("remove {} from {}, or attach it with BPF_F_ALLOW_MULTI", name_of(*blocker),
                           blocker->cgroup().empty() ? "its cgroup" : safe(blocker->cgroup()));
      return "give pintled CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON, and look for seccomp, AppArmor or lockdown around it: 'pintlectl "
             "doctor'";
    case EBADF: return "point cgroupRoot at a cgroup v2 tree: 'pintlectl doctor' says where one is mounted";
    case ENOENT: return "nothing: the pod's cgroup was removed while it was attached to; it is made again";
    case EINVAL: return "the kernel does not know this hook or its flags: 'pintlectl ebpf doctor' says what this one has";
    case E2BIG: return "64 programs are on this hook already: find who leaks them with 'bpftool cgroup tree' and detach them";
    case ESTALE:
    case EBUSY: return "nothing: somebody changed the list at the same moment; it is tried again";
    case EMFILE:
    case ENFILE: return "raise LimitNOFILE of pintled";
    case ENOLINK: return "nothing: the link's cgroup went away; it is attached anew";
    case ENOMEM: return "raise the memory limit of pintled's own cgroup: the kernel charges programs and maps to it";
    default: return {};
  }
}

std::string next_of(const v1::Hook& hook, const std::string& policy) {
  if (hook.effective()) return "nothing is to be done; the link is pinned and stays in force while pintled is down";
  if (hook.state() == "Off") return "nothing: this hook is not part of the pod's plan";
  if (!hook.pod_program().empty() && hook.state() == "Refused")
    return hook.required() ? "a new pod is held until it is in force, one that runs goes on; tried again ever later, at most every 5 min"
                           : "the pod runs without it; tried again after 10 s, then ever later, at most every 5 min";
  const char* const hold = policy == "required"
                               ? "the pod is held, and it is tried again after 50 ms, then ever later, at most every 10 s"
                               : "the pod runs without it, and it is tried again after 10 s, then ever later, at most every 5 min";
  if (hook.state() == "Refused") return hold;
  if (hook.state() == "Dead") return fmt::format("it is attached anew when the pod's programs are looked at next; {}", hold);
  if (hook.state() == "Overridden") return "it is looked at again regularly; it is in force as soon as the other program is gone";
  return {};
}

std::string headline_of(const v1::Hook& hook) {
  if (hook.effective()) return "in force";
  if (hook.state() == "Dead") return "dead: the link's cgroup or its pin went away";
  if (hook.state() == "Overridden") return "attached, but a foreign program keeps it from deciding";
  if (hook.state() == "Refused") return "refused: it is not attached";
  return "off";
}

}  // namespace

std::string hook_purpose(const std::string& hook) {
  if (hook == "ingress") return "counts packets that reach the pod, and drops what policy does not let in";
  if (hook == "egress") return "counts packets that leave the pod, and drops what policy does not let out";
  if (hook.starts_with("connect")) return "sees and decides connect() calls";
  if (hook.starts_with("sendmsg")) return "sees and decides datagrams that are sent without a connect()";
  if (hook.starts_with("bind")) return "sees and decides bind() calls";
  if (hook == "sock_ops") return "sees TCP connections being accepted, resending and timing";
  if (hook == "device") return "refuses devices that the plan denies";
  if (hook == "sysctl") return "sees and refuses writes of sysctls";
  if (hook == "setsockopt") return "refuses socket options that the plan denies";
  return {};
}

std::string hook_label(const v1::Hook& hook) {
  return hook.pod_program().empty() ? hook.name() : fmt::format("{}:{}", hook.name(), hook.pod_program());
}

std::string position_text(const v1::Hook& hook) {
  return hook.position() == 0 ? "-" : fmt::format("{}/{}", hook.position(), hook.effective_count());
}

std::string neighbours_text(const v1::Hook& hook, size_t most) {
  std::string text;
  size_t told = 0;
  for (const auto& neighbour : hook.neighbours()) {
    if (told++ == most) break;
    text += text.empty() ? "" : ",";
    text += neighbour.name().empty() ? fmt::format("{}", neighbour.id()) : fmt::format("{}({})", neighbour.name(), neighbour.id());
    if (neighbour.switched_off()) text += ":off";
  }
  const auto all = static_cast<size_t>(hook.neighbours_size());
  if (all > most) text += fmt::format(",+{}", all - most);
  return text.empty() ? "-" : text;
}

HookStory tell(const v1::Hook& hook, const std::string& policy, Time now) {
  HookStory story{headline_of(hook), {}};
  const auto line = [&](std::string_view name, const std::string& text) {
    if (!text.empty()) story.lines.push_back(fmt::format("{}: {}", name, text));
  };
  if (hook.pod_program().empty())
    line("does", hook_purpose(hook.name()));
  else
    line("program", fmt::format("'{}' of an operator, {}", hook.pod_program(), hook.required() ? "required" : "best effort"));
  if (hook.link_id() != 0)
    line("attached", fmt::format("program {}, tag {}, by link {}{}", hook.program_id(), hook.program_tag(), hook.link_id(),
                                 hook.state() == "Adopted" ? ", found pinned from an earlier run of pintled" : ""));
  if (hook.effective() || hook.state() == "Overridden") line("order", order_line(hook));
  for (int i = 0; i < hook.neighbours_size(); ++i) line("neighbour", neighbour_line(hook, i, now));
  if (hook.hits() != 0 || hook.drops() != 0) line("counted", counted_line(hook));
  line("note", hook.note());
  line("error", safe(hook.error()));
  if (!hook.effective()) line("fix", fix_of(hook));
  line("next", next_of(hook, policy));
  return story;
}

}  // namespace pintle::ctl
