// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "sources/remembered_pods.h"

#include <set>

#include <fmt/format.h>

#include "codec/objects.h"

namespace pintle::sources {
namespace {

const std::string kKind = "pod";

}  // namespace

Status RememberedPods::start(ports::PodSink& sink) {
  sink_ = &sink;
  return source_->start(*this);
}

void RememberedPods::deliver(const std::string& source, ports::PodChange change) {
  const auto* problem = std::get_if<ports::PodProblem>(&change);
  if (problem != nullptr && problem->origin == source && !problem->error.empty() && !read_ && !recalled_) {
    recalled_ = true;
    recall(source);
  }
  remember(change);
  sink_->deliver(source, std::move(change));
}

void RememberedPods::remember(const ports::PodChange& change) {
  if (const auto* set = std::get_if<ports::PodSet>(&change)) {
    read_ = true;
    std::set<std::string> there;
    for (const auto& uid : set->unread) there.insert(uid.value());
    for (const auto& pod : set->pods) {
      there.insert(pod->metadata.uid);
      note(store_.put(kKind, pod->metadata.uid, codec::encode_pod(*pod)));
    }
    const auto known = store_.list(kKind);
    if (!known) return note(std::unexpected(known.error()));
    for (const auto& [uid, json] : *known)
      if (!there.contains(uid)) note(store_.erase(kKind, uid));
  } else if (const auto* one = std::get_if<ports::PodUpsert>(&change)) {
    note(store_.put(kKind, one->pod->metadata.uid, codec::encode_pod(*one->pod)));
  } else if (const auto* gone = std::get_if<ports::PodGone>(&change)) {
    note(store_.erase(kKind, gone->uid.value()));
  }
}

void RememberedPods::recall(const std::string& source) {
  const auto known = store_.list(kKind);
  if (!known) return note(std::unexpected(known.error()));
  for (const auto& [uid, json] : *known) {
    auto pod = codec::decode_pod(json, {.origin = "remembered"});
    if (pod)
      sink_->deliver(source, ports::PodUpsert{std::make_shared<const model::Pod>(*std::move(pod))});
    else
      note(std::unexpected(with_context(std::move(pod).error(), fmt::format("read remembered pod '{}'", uid))));
  }
}

// Told until it works again: a restart while the API is down would know less.
void RememberedPods::note(Status done) {
  const std::string now = done ? std::string() : "remember pods: " + done.error().message();
  if (now == told_) return;
  told_ = now;
  sink_->deliver(source_->name(), ports::PodProblem{"remembered", now});
}

}  // namespace pintle::sources
