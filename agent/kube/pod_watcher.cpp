// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "kube/pod_watcher.h"

#include <random>

#include <fmt/format.h>

#include "codec/object_name.h"
#include "codec/objects.h"
#include "kube/pause.h"

namespace pintle::kube {
namespace {

constexpr std::string_view kSource = "api";
constexpr std::string_view kStreamOrigin = "api:watch";

std::string origin_of(const std::string& full_name) { return fmt::format("api:{}", full_name); }

std::chrono::seconds random_between(std::chrono::seconds low, std::chrono::seconds high) {
  thread_local std::minstd_rand engine(std::random_device{}());
  return std::chrono::seconds(std::uniform_int_distribution<int64_t>(low.count(), std::max(low, high).count())(engine));
}

}  // namespace

PodWatcher::PodWatcher(Kubeconfig config, const Clock& clock, PodWatcherOptions options)
    : config_(std::move(config)), clock_(clock), options_(std::move(options)) {}
PodWatcher::~PodWatcher() { stop(); }

Status PodWatcher::start(ports::PodSink& sink) {
  PINTLE_ASSIGN_OR_RETURN(connection_, ApiConnection::create(config_, clock_, {.name = "pod-watch", .deadline = std::chrono::seconds(30)}));
  sink_ = &sink;
  thread_ = std::jthread([this](std::stop_token stop) { run(std::move(stop)); });
  return {};
}

void PodWatcher::stop() {
  thread_.request_stop();
  if (thread_.joinable()) thread_.join();
}

PodWatchCounts PodWatcher::counts() const { return {lists_.load(), watches_.load(), events_.load(), problem_count_.load()}; }

std::string PodWatcher::selector_path() const {
  return "/api/v1/pods?fieldSelector=" + percent_encode("spec.nodeName=" + options_.node_name);
}

void PodWatcher::run(std::stop_token stop) {
  Backoff backoff(options_.backoff);
  Next next = Next::kList;
  while (!stop.stop_requested()) {
    const Step step = next == Next::kList ? list(stop) : watch(stop);
    next = step.next;
    if (step.healthy) {
      backoff.reset();
      continue;
    }
    const Duration wait = std::max(jittered(backoff.next(), 1.0), step.wait_at_least);
    if (!pause_for(wait, stop)) return;
  }
}

PodWatcher::Step PodWatcher::failed(Next next, const Error& error) {
  // A stop is ours and no failure; the loop ends by itself.
  if (error.code != Code::kCancelled) report(std::string(kSource), error.context);
  return {.next = next, .healthy = false};
}

Result<std::string> PodWatcher::list_page(const std::string& continue_token, std::stop_token stop, Duration& retry_after) {
  std::string path = fmt::format("{}&limit={}", selector_path(), options_.page_size);
  if (!continue_token.empty()) path += "&continue=" + percent_encode(continue_token);
  PINTLE_ASSIGN_OR_RETURN(HttpResponse response, connection_->exchange({.path = path}, std::move(stop)));
  if (response.status == 200) return std::move(response.body);
  retry_after = response.retry_after.value_or(std::chrono::seconds(0));
  return std::unexpected(error_from_response(response, "list pods"));
}

PodWatcher::Step PodWatcher::list(std::stop_token stop) {
  std::string continue_token, version;
  std::map<std::string, ports::PodPtr> found;
  std::map<std::string, std::string> refused;  // origin -> error
  do {
    Duration retry_after{};
    auto body = list_page(continue_token, stop, retry_after);
    if (!body) {
      // 410: the continue token is too old. The pages read so far are of no use.
      Step step = failed(Next::kList, body.error());
      step.wait_at_least = retry_after;
      return step;
    }
    auto page = codec::decode_pod_list(*body, {.origin = std::string(kSource)});
    if (!page) return failed(Next::kList, with_context(page.error(), "list pods"));
    version = page->resource_version;
    continue_token = page->continue_token;
    for (auto& pod : page->items) {
      std::string uid = pod.metadata.uid;
      found.insert_or_assign(std::move(uid), std::make_shared<const model::Pod>(std::move(pod)));
    }
    if (page->refused.empty()) continue;
    auto items = codec::split_list(*body);
    if (!items) continue;
    for (const auto& item : *items) {
      if (found.contains(item.name.uid)) continue;
      auto pod = codec::decode_pod(item.json, {.origin = std::string(kSource)});
      refused[origin_of(item.name.full_name())] = pod ? "has no metadata.uid" : pod.error().context;
      // A newer version we can't read is no reason to take the pod down.
      if (const auto known = known_.find(item.name.uid); known != known_.end()) found.insert(*known);
    }
  } while (!continue_token.empty());

  ports::PodSet set;
  for (const auto& [uid, pod] : found) set.pods.push_back(pod);
  known_ = std::move(found);
  resource_version_ = version;
  lists_.fetch_add(1);
  for (const auto& origin : std::set<std::string>(problems_))
    if (!refused.contains(origin)) clear(origin);
  sink_->deliver(std::string(kSource), std::move(set));
  for (const auto& [origin, error] : refused) report(origin, error);
  return {.next = Next::kWatch};
}

PodWatcher::Step PodWatcher::watch(std::stop_token stop) {
  const auto timeout = random_between(options_.watch_min, options_.watch_max);
  const std::string path = fmt::format("{}&watch=true&allowWatchBookmarks=true&resourceVersion={}&timeoutSeconds={}", selector_path(),
                                       percent_encode(resource_version_), timeout.count());
  Step step{.next = Next::kWatch};
  LineSplitter lines(options_.max_line);
  watch_ended_by_event_ = false;
  const uint64_t events_before = events_.load();
  const SteadyTime begun = clock_.steady();
  const auto on_data = [&](std::string_view data) {
    lines.feed(
        data,
        [&](std::string_view line) {
          if (!watch_ended_by_event_) handle_line(line, step);
        },
        [&] { report(std::string(kStreamOrigin), fmt::format("an event larger than {} bytes was dropped", options_.max_line)); });
    return !watch_ended_by_event_;
  };
  watches_.fetch_add(1);
  // The server ends the watch at its timeout; the grace is for one that forgets to.
  auto response = connection_->stream(path, timeout + std::chrono::seconds(30), on_data, stop);
  if (stop.stop_requested()) return step;
  if (watch_ended_by_event_) return step;
  const bool useful = events_.load() > events_before || clock_.steady() - begun >= std::chrono::seconds(5);
  if (!response) {
    // The usual end of a connection's life. Silent when it served for a while: the resume will tell if all is not well.
    if (useful) return {.next = Next::kWatch};
    return failed(Next::kWatch, with_context(response.error(), "watch pods"));
  }
  if (response->status == 200) {
    clear(std::string(kSource));
    step.healthy = useful;  // one that ends at once and says nothing must not be begun in a loop
    return step;
  }
  const Error error = error_from_response(*response, "watch pods");
  step = failed(error.code == Code::kGone ? Next::kList : Next::kWatch, error);
  step.healthy = error.code == Code::kGone;
  step.wait_at_least = response->retry_after.value_or(std::chrono::seconds(0));
  if (step.healthy) clear(std::string(kSource));
  return step;
}

void PodWatcher::handle_line(std::string_view line, Step& step) {
  auto event = codec::decode_watch_event(line);
  if (!event) {
    // Not an event at all: what it would have told is lost, so look at everything again.
    report(std::string(kStreamOrigin), event.error().context);
    step = {.next = Next::kList, .healthy = false};
    watch_ended_by_event_ = true;
    return;
  }
  clear(std::string(kSource));
  if (event->kind == codec::WatchEvent::Kind::kError) {
    watch_ended_by_event_ = true;
    const bool gone = event->status_code == 410;
    step = {.next = gone ? Next::kList : Next::kWatch, .healthy = gone};
    if (!gone) report(std::string(kSource), fmt::format("watch pods: {} {}", event->status_code, event->status_message));
    return;
  }
  events_.fetch_add(1);
  if (event->kind != codec::WatchEvent::Kind::kBookmark) handle_pod(event->object_json, event->kind == codec::WatchEvent::Kind::kDeleted);
  if (!event->resource_version.empty()) resource_version_ = event->resource_version;
}

void PodWatcher::handle_pod(std::string_view object_json, bool deleted) {
  auto pod = codec::decode_pod(object_json, {.origin = std::string(kSource)});
  if (pod && !pod->metadata.uid.empty() && !deleted) {
    clear(origin_of(pod->full_name()));
    auto shared = std::make_shared<const model::Pod>(*std::move(pod));
    known_.insert_or_assign(shared->metadata.uid, shared);
    sink_->deliver(std::string(kSource), ports::PodUpsert{std::move(shared)});
    return;
  }
  const auto name = codec::decode_object_name(object_json);
  if (!name || name->uid.empty()) {
    report(name ? origin_of(name->full_name()) : std::string(kStreamOrigin), pod ? "has no metadata.uid" : pod.error().context);
    return;
  }
  if (!deleted) {
    report(origin_of(name->full_name()), pod.error().context);
    return;
  }
  clear(origin_of(name->full_name()));
  known_.erase(name->uid);
  sink_->deliver(std::string(kSource), ports::PodGone{PodUid(name->uid)});
}

void PodWatcher::report(const std::string& origin, const std::string& error) {
  problems_.insert(origin);
  problem_count_.fetch_add(1);
  sink_->deliver(std::string(kSource), ports::PodProblem{origin, error});
}

void PodWatcher::clear(const std::string& origin) {
  if (problems_.erase(origin) > 0) sink_->deliver(std::string(kSource), ports::PodProblem{origin, ""});
}

}  // namespace pintle::kube
