// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include <algorithm>
#include <map>
#include <ostream>
#include <set>

#include <fmt/format.h>

#include "base/trace_context.h"
#include "ctl/commands.h"
#include "ctl/human.h"
#include "ctl/pod_text.h"
#include "ctl/progress.h"

namespace pintle::ctl {
namespace {

enum class Wait { kRunning, kReady, kExit };
enum class Verdict { kWaiting, kMet, kFailed };

struct Followed {
  std::string namespace_, name;
  v1::Pod last;
  bool seen = false, gone = false;
  Verdict verdict = Verdict::kWaiting;
  std::set<std::pair<int64_t, std::string>> told;  // steps, by time and text
  std::string status;                              // as last told
  int64_t met_at = 0;
};

Verdict judge(const v1::Pod& pod, Wait wait) {
  if (pod.deleted_at() != 0) return Verdict::kWaiting;  // its removal is the last word
  if (pod.phase() == "Failed") return Verdict::kFailed;
  if (pod.phase() == "Succeeded") return Verdict::kMet;
  if (wait == Wait::kExit) return Verdict::kWaiting;
  if (pod.phase() != "Running") return Verdict::kWaiting;
  return wait == Wait::kRunning || is_ready(pod) ? Verdict::kMet : Verdict::kWaiting;
}

std::string_view wish(Wait wait) { return wait == Wait::kRunning ? "running" : wait == Wait::kReady ? "ready" : "through"; }

class Run {
 public:
  Run(Session& session, Wait wait, Time begun) : session_(session), wait_(wait), begun_(begun) {}

  void follow(const std::string& namespace_, const std::string& name) {
    auto& pod = pods_[namespace_ + "/" + name];
    pod.namespace_ = namespace_;
    pod.name = name;
  }
  [[nodiscard]] bool empty() const { return pods_.empty(); }

  // Streams steps until every pod is as wished or can't be any more.
  int watch(Client& client, Duration timeout) {
    Progress progress(session_);
    progress.say("waiting for the first step");
    v1::WatchPodsRequest request;
    request.mutable_detail()->set_timeline(true);
    if (pods_.size() == 1) {
      request.set_namespace_(pods_.begin()->second.namespace_);
      request.set_name(pods_.begin()->second.name);
    }
    const auto end = client.watch_pods(
        request,
        [&](const v1::PodChange& change) {
          const auto it = change.kind() == v1::PodChange::SYNCED ? pods_.end() : pods_.find(full_name(change.pod()));
          if (it != pods_.end()) take(it->second, change, progress);
          return std::ranges::any_of(pods_, [](const auto& entry) { return entry.second.verdict == Verdict::kWaiting; });
        },
        timeout);
    if (end && *end == StreamEnd::kTimeout) timed_out_ = true;
    if (!end && end.error().code == Code::kCancelled) return interrupted();
    if (!end) return session_.fail(end.error());
    if (*end == StreamEnd::kByDaemon) return session_.fail(kUnreachable, "the daemon ended the watch: it is stopping. The pods go on.");
    return kOk;
  }

  int summarize(Duration timeout) {
    int code = kOk;
    for (const auto& [name, pod] : pods_) {
      if (pod.verdict != Verdict::kMet) code = kNotMet;
      tell_end(name, pod, timeout);
    }
    tell_next();
    return code;
  }

 private:
  void take(Followed& pod, const v1::PodChange& change, Progress& progress) {
    pod.seen = true;
    pod.last = change.pod();
    progress.print([&](std::ostream& out) { print_news(out, pod); });
    progress.say(fmt::format("{}: {}", full_name(pod.last), pod.last.explanation().empty() ? pod.status : pod.last.explanation()));
    pod.gone = change.kind() == v1::PodChange::REMOVED;
    pod.verdict = pod.gone ? Verdict::kFailed : judge(pod.last, wait_);
    if (pod.verdict == Verdict::kMet && pod.met_at == 0) pod.met_at = session_.now().time_since_epoch().count();
  }

  // Steps from before this command (an unchanged pod's history) are not news.
  void print_news(std::ostream& out, Followed& pod) const {
    for (const auto& step : pod.last.timeline()) {
      if (time_of(step.time()) < begun_ || !pod.told.emplace(step.time(), step.text()).second) continue;
      auto line = fmt::format("{:>9}  {}: {}", "+" + span(time_of(step.time()) - begun_), pod.name, safe(step.text()));
      if (step.has_took()) line += fmt::format("  ({})", span(Duration{step.took()}));
      out << session_.style().paint(step.failed() ? Tone::kBad : Tone::kPlain, line) << '\n';
    }
    const auto status = status_text(pod.last);
    if (std::exchange(pod.status, status) == status) return;
    out << fmt::format("{:>9}  {}: ", "+" + span(session_.now() - begun_), pod.name) << session_.style().paint(status_tone(status), status)
        << '\n';
  }

  void tell_end(const std::string& name, const Followed& pod, Duration timeout) {
    auto& out = session_.io().out;
    const auto& style = session_.style();
    if (pod.verdict == Verdict::kMet) {
      out << style.paint(Tone::kGood, fmt::format("pod {} is {} after {}", name, pod.last.phase() == "Succeeded" ? "through" : wish(wait_),
                                                  span(time_of(pod.met_at) - begun_)))
          << '\n';
    } else {
      const std::string why = !pod.seen                        ? "the agent has not taken it up yet"
                              : pod.gone                       ? "it was deleted meanwhile"
                              : pod.last.explanation().empty() ? status_text(pod.last)
                                                               : safe(pod.last.explanation());
      const std::string when = timed_out_ && pod.verdict == Verdict::kWaiting ? fmt::format(" after {}", span(timeout)) : "";
      (void)session_.fail(kNotMet, fmt::format("pod '{}' is not {}{}: {}", name, wish(wait_), when, why));
    }
    if (!pod.seen) return;
    for (const auto& container : pod.last.containers())
      if (const auto& state = container.state();
          state.kind() == v1::ContainerState::TERMINATED && (state.exit_code() != 0 || wait_ == Wait::kExit))
        out << fmt::format("  {}: {}\n", container.name(), state_text(state, session_.now()));
    if (!pod.last.ips().empty()) out << "  address  " << pod.last.ips(0) << (pod.last.host_network() ? " (the node's)" : "") << '\n';
    if (const auto ports = ports_text(pod.last); !ports.empty()) out << "  ports    " << ports << '\n';
    out << "  eBPF     " << ebpf_line(pod.last) << '\n';
  }

  void tell_next() {
    const auto& first = pods_.begin()->second;
    const auto unmet = std::ranges::find_if(pods_, [](const auto& entry) { return entry.second.verdict != Verdict::kMet; });
    const auto& pod = unmet == pods_.end() ? first : unmet->second;
    const std::string where = pod.namespace_ == kDefaultNamespace ? "" : " -n " + pod.namespace_;
    auto& out = session_.io().out;
    out << session_.style().paint(Tone::kDim, "next:") << '\n';
    if (unmet != pods_.end()) out << fmt::format("  pintlectl explain pod/{}{}\n", pod.name, where);
    out << fmt::format("  pintlectl logs {}{}\n", pod.name, where);
    if (unmet == pods_.end()) out << fmt::format("  pintlectl ebpf events -f {}{}\n", pod.name, where);
    out << fmt::format("  pintlectl delete pod {}{}\n", pod.name, where);
    out.flush();
  }

  int interrupted() {
    session_.note("interrupted: only the watching ends, the pods go on");
    tell_next();
    return kInterrupted;
  }

  Session& session_;
  const Wait wait_;
  const Time begun_;
  std::map<std::string, Followed> pods_;
  bool timed_out_ = false;
};

// The caller's own trace goes on (TRACEPARENT, as other tools have it); else one begins here, which whoever waits for it wants to see.
TraceContext trace_of_run(Session& session) {
  const auto& env = session.io().env;
  if (const auto given = env ? env("TRACEPARENT") : std::nullopt)
    if (const auto parent = parse_traceparent(*given)) return *parent;
  return new_trace(true);
}

}  // namespace

int run_pods(Session& session, const RunArgs& args) {
  const auto timeout = parse_duration(args.timeout);
  if (!timeout || *timeout <= Duration::zero())
    return session.fail(kUsage, fmt::format("--timeout: '{}' is not a span such as 30s or 2m", args.timeout));
  const auto wait = args.wait == "running" ? Wait::kRunning : args.wait == "exit" ? Wait::kExit : Wait::kReady;
  std::vector<std::pair<std::string, std::string>> manifests;
  for (const auto& file : args.files) {
    auto text = read_manifest(session, file);
    if (!text) return session.fail(text.error());
    manifests.emplace_back(file == "-" ? "standard input" : file, *std::move(text));
  }
  const auto client = session.client();
  if (!client) return session.fail(client.error());
  const auto trace = trace_of_run(session);
  const TraceScope scope(trace);
  if (args.verbose) session.note(fmt::format("trace {}", to_hex(trace.trace)));
  const Time begun = session.now();
  Run run(session, wait, begun);
  bool refused = false;
  for (const auto& [origin, text] : manifests) {
    v1::ApplyRequest request;
    request.set_manifest(text);
    request.set_origin(origin);
    request.set_dry_run(args.dry_run);
    const auto reply = (*client)->apply(request);
    if (!reply) return session.fail(reply.error());
    for (const auto& object : reply->objects()) {
      session.io().out << fmt::format("{}/{} {}\n", object.kind(), object.name(), object.action());
      if (object.kind() == "Pod") run.follow(object.namespace_(), object.name());
    }
    for (const auto& error : reply->errors()) (void)session.fail(kRefused, error);
    refused = refused || !reply->errors().empty();
  }
  session.io().out.flush();
  if (args.no_wait || args.dry_run || run.empty()) return refused ? kRefused : kOk;
  if (const int code = run.watch(**client, *timeout); code != kOk) return code;
  const int code = run.summarize(*timeout);
  return refused ? kRefused : code;
}

}  // namespace pintle::ctl
