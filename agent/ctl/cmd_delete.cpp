// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include <algorithm>
#include <ostream>
#include <set>

#include <fmt/format.h>

#include "codec/manifest.h"
#include "ctl/commands.h"
#include "ctl/kinds.h"
#include "ctl/pod_text.h"
#include "ctl/progress.h"

namespace pintle::ctl {
namespace {

using PodKey = std::pair<std::string, std::string>;  // namespace, name

struct Doomed {
  std::vector<PodKey> pods;
  std::vector<std::string> kept;  // other kinds of a manifest
};

Result<Doomed> read_doomed(Session& session, const DeleteArgs& args) {
  Doomed doomed;
  if (args.files.empty()) {
    PINTLE_ASSIGN_OR_RETURN(const auto target, parse_target(args.words));
    if (target.kind.plural != "pods")
      return ::pintle::fail(Code::kUnsupported, fmt::format("only pods are deleted here, not {}", target.kind.plural));
    if (target.names.empty()) return ::pintle::fail(Code::kInvalid, "the pod's name is missing: delete pod NAME");
    for (const auto& name : target.names) doomed.pods.emplace_back(args.namespace_, name);
    return doomed;
  }
  for (const auto& file : args.files) {
    PINTLE_ASSIGN_OR_RETURN(const auto text, read_manifest(session, file));
    auto manifest = codec::parse_manifest(text, file == "-" ? "standard input" : file);
    if (!manifest.errors.empty()) return std::unexpected(manifest.errors.front());
    for (const auto& object : manifest.objects) {
      if (object.kind == "Pod")
        doomed.pods.emplace_back(object.namespace_.empty() ? args.namespace_ : object.namespace_, object.name);
      else
        doomed.kept.push_back(object.kind + "/" + object.name);
    }
  }
  return doomed;
}

// Until the last of them is out of the agent's table. `uids` names the pods meant: a new one of the same name does not count.
Result<StreamEnd> wait_gone(Session& session, Client& client, std::set<std::string> uids, Duration timeout) {
  Progress progress(session);
  std::set<std::string> listed;
  return client.watch_pods(
      {},
      [&](const v1::PodChange& change) {
        const auto& pod = change.pod();
        if (change.kind() == v1::PodChange::SYNCED) std::erase_if(uids, [&](const auto& uid) { return !listed.contains(uid); });
        if (change.kind() == v1::PodChange::CURRENT) listed.insert(pod.uid());
        if (change.kind() == v1::PodChange::REMOVED) {
          uids.erase(pod.uid());
          listed.erase(pod.uid());
        }
        if (uids.contains(pod.uid()) && !pod.explanation().empty()) progress.say(fmt::format("{}: {}", full_name(pod), pod.explanation()));
        return !uids.empty();
      },
      timeout);
}

Status delete_one(Client& client, const PodKey& pod, std::optional<int64_t> grace) {
  v1::DeletePodRequest request;
  request.set_namespace_(pod.first);
  request.set_name(pod.second);
  request.set_has_grace_seconds(grace.has_value());
  request.set_grace_seconds(grace.value_or(0));
  return client.delete_pod(request);
}

std::optional<int64_t> grace_of(const DeleteArgs& args) {
  if (args.force) return 0;
  if (args.now) return 1;
  return args.grace_period && *args.grace_period >= 0 ? args.grace_period : std::nullopt;
}

int tell_kept(Session& session, Client& client, const std::vector<std::string>& kept) {
  if (kept.empty()) return kOk;
  std::string names;
  for (const auto& name : kept) names += (names.empty() ? "" : ", ") + name;
  const auto status = client.status();
  const std::string config = status && !status->kubeconfig().empty() ? " --kubeconfig " + status->kubeconfig() : "";
  session.note(fmt::format("kept, since only pods are deleted here: {} (kubectl{} delete removes them)", names, config));
  return kOk;
}

}  // namespace

int delete_pods(Session& session, const DeleteArgs& args) {
  const auto timeout = parse_duration(args.timeout);
  if (!timeout || *timeout <= Duration::zero())
    return session.fail(kUsage, fmt::format("--timeout: '{}' is not a span such as 30s or 2m", args.timeout));
  if (args.force && args.grace_period.value_or(0) > 0) return session.fail(kUsage, "--force means --grace-period=0; leave one of them out");
  if (args.files.empty() == args.words.empty()) return session.fail(kUsage, "name what to delete: either 'pod NAME' or -f FILE");
  const auto doomed = read_doomed(session, args);
  if (!doomed)
    return args.files.empty() && doomed.error().code == Code::kInvalid ? session.fail(kUsage, doomed.error().message())
                                                                       : session.fail(doomed.error());
  const auto client = session.client();
  if (!client) return session.fail(client.error());
  if (args.force) session.note("--force: the pods' processes are killed without time to finish");
  int code = tell_kept(session, **client, doomed->kept);
  std::set<std::string> uids;
  for (const auto& pod : doomed->pods) {
    const auto known = find_pod(session, pod.first, pod.second, {});
    const auto done = delete_one(**client, pod, grace_of(args));
    if (!done) {
      if (args.ignore_not_found && done.error().code == Code::kNotFound) continue;
      code = session.fail(done.error());
      continue;
    }
    session.io().out << fmt::format("pod/{} deleted\n", pod.second) << std::flush;
    if (known) uids.insert(known->uid());
  }
  if (args.no_wait || uids.empty()) return code;
  const auto end = wait_gone(session, **client, std::move(uids), *timeout);
  if (!end && end.error().code == Code::kCancelled) {
    session.note("interrupted: only the waiting ends, the deletion goes on");
    return kInterrupted;
  }
  if (!end) return session.fail(end.error());
  if (*end == StreamEnd::kTimeout)
    return session.fail(kNotMet, fmt::format("after {} not every pod is gone; 'pintlectl explain pod/{}' says what it waits for",
                                             args.timeout, doomed->pods.front().second));
  return *end == StreamEnd::kByReader ? code : session.fail(kUnreachable, "the daemon ended the watch: it is stopping");
}

}  // namespace pintle::ctl
