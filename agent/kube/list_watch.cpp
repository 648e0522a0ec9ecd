// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "kube/list_watch.h"

#include <random>

#include <fmt/format.h>

#include "base/heap.h"
#include "codec/network_policy.h"
#include "codec/objects.h"
#include "kube/pause.h"

namespace pintle::kube {
namespace {

std::chrono::seconds random_between(std::chrono::seconds low, std::chrono::seconds high) {
  thread_local std::minstd_rand engine(std::random_device{}());
  return std::chrono::seconds(std::uniform_int_distribution<int64_t>(low.count(), std::max(low, high).count())(engine));
}

}  // namespace

using Trouble = WatchedKind::Trouble;

Result<ListHead> each_item(const std::string& body, const std::function<void(const std::string& json, size_t place)>& take) {
  PINTLE_ASSIGN_OR_RETURN(const auto list, codec::decode_list(body));
  for (size_t i = 0; i < list.items.size(); ++i) take(list.items[i], i);
  return ListHead{list.resource_version, list.continue_token};
}

ListWatch::ListWatch(Kubeconfig config, const Clock& clock, ListWatchOptions options, WatchedKind& kind)
    : config_(std::move(config)),
      clock_(clock),
      options_(std::move(options)),
      path_(options_.path + (options_.path.find('?') == std::string::npos ? '?' : '&')),
      kind_(kind),
      patience_(options_.patience) {}
ListWatch::~ListWatch() { stop(); }

Status ListWatch::start() {
  PINTLE_ASSIGN_OR_RETURN(connection_, ApiConnection::create(config_, clock_, {.name = options_.name, .deadline = kMostPatience}));
  thread_ = std::jthread([this](std::stop_token stop) { run(std::move(stop)); });
  return {};
}

void ListWatch::stop() {
  thread_.request_stop();
  if (thread_.joinable()) thread_.join();
}

WatchCounts ListWatch::counts() const { return {lists_.load(), watches_.load(), events_.load()}; }

void ListWatch::run(std::stop_token stop) {
  Backoff backoff(options_.backoff);
  Next next = Next::kList;
  while (!stop.stop_requested()) {
    const Step step = next == Next::kList ? list(stop) : watch(stop);
    if (next == Next::kList) give_back_heap();
    next = step.next;
    if (step.healthy) {
      backoff.reset();
      continue;
    }
    const Duration wait = std::max(jittered(backoff.next(), 1.0), step.wait_at_least);
    if (!pause_for(wait, stop)) return;
  }
}

ListWatch::Step ListWatch::failed(Next next, const Error& error) {
  // A stop is ours and no failure; the loop ends by itself.
  if (error.code != Code::kCancelled) kind_.trouble(Trouble::kApi, error.context);
  return {.next = next, .healthy = false};
}

Result<std::string> ListWatch::list_page(const std::string& continue_token, std::stop_token stop, Duration& retry_after) {
  std::string path = fmt::format("{}limit={}", path_, options_.page_size);
  if (!continue_token.empty()) path += "&continue=" + percent_encode(continue_token);
  auto response = connection_->exchange({.path = path, .deadline = patience_}, std::move(stop));
  if (!response) {
    patience_ = std::min(2 * patience_, kMostPatience);
    return std::unexpected(std::move(response).error());
  }
  if (response->status == 200) return std::move(response->body);
  retry_after = response->retry_after.value_or(std::chrono::seconds(0));
  auto error = error_from_response(*response, "list " + options_.what);
  if (response->status == 403) kind_.forbidden(error.message());
  return std::unexpected(std::move(error));
}

ListWatch::Step ListWatch::list(std::stop_token stop) {
  ListHead head;
  kind_.list_begins();
  do {
    Duration retry_after{};
    auto body = list_page(head.continue_token, stop, retry_after);
    if (!body) {
      // 410: the continue token is too old. The pages read so far are of no use.
      Step step = failed(Next::kList, body.error());
      step.wait_at_least = retry_after;
      return step;
    }
    auto page = kind_.page(*body);
    if (!page) return failed(Next::kList, with_context(page.error(), "list " + options_.what));
    head = *std::move(page);
  } while (!head.continue_token.empty());
  resource_version_ = head.resource_version;
  lists_.fetch_add(1);
  kind_.trouble(Trouble::kApi, "");
  kind_.list_ends();
  return {.next = Next::kWatch};
}

ListWatch::Step ListWatch::watch(std::stop_token stop) {
  const auto timeout = random_between(options_.watch_min, options_.watch_max);
  const std::string path = fmt::format("{}watch=true&allowWatchBookmarks=true&resourceVersion={}&timeoutSeconds={}", path_,
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
        [&] { kind_.trouble(Trouble::kStream, fmt::format("an event larger than {} bytes was dropped", options_.max_line)); });
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
    return failed(Next::kWatch, with_context(response.error(), "watch " + options_.what));
  }
  if (response->status == 200) {
    kind_.trouble(Trouble::kApi, "");
    step.healthy = useful;  // one that ends at once and says nothing must not be begun in a loop
    return step;
  }
  const Error error = error_from_response(*response, "watch " + options_.what);
  if (response->status == 403) kind_.forbidden(error.message());
  step = failed(error.code == Code::kGone ? Next::kList : Next::kWatch, error);
  step.healthy = error.code == Code::kGone;
  step.wait_at_least = response->retry_after.value_or(std::chrono::seconds(0));
  if (step.healthy) kind_.trouble(Trouble::kApi, "");
  return step;
}

void ListWatch::handle_line(std::string_view line, Step& step) {
  auto event = codec::decode_watch_event(line);
  if (!event) {
    // Not an event at all: what it would have told is lost, so look at everything again.
    kind_.trouble(Trouble::kStream, event.error().context);
    step = {.next = Next::kList, .healthy = false};
    watch_ended_by_event_ = true;
    return;
  }
  kind_.trouble(Trouble::kApi, "");
  if (event->kind == codec::WatchEvent::Kind::kError) {
    watch_ended_by_event_ = true;
    const bool gone = event->status_code == 410;
    step = {.next = gone ? Next::kList : Next::kWatch, .healthy = gone};
    if (!gone) kind_.trouble(Trouble::kApi, fmt::format("watch {}: {} {}", options_.what, event->status_code, event->status_message));
    return;
  }
  events_.fetch_add(1);
  if (event->kind != codec::WatchEvent::Kind::kBookmark)
    kind_.changed(event->object_json, event->kind == codec::WatchEvent::Kind::kDeleted);
  if (!event->resource_version.empty()) resource_version_ = event->resource_version;
}

}  // namespace pintle::kube
