// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "standalone/watch_stream.h"

#include <httplib.h>
#include <poll.h>

#include <algorithm>
#include <array>
#include <charconv>

#include <fmt/format.h>

#include "base/rest.h"
#include "standalone/connection_stream.h"

namespace pintle::standalone {
namespace {

constexpr std::chrono::seconds kBookmarkEvery{50};

bool write_all(httplib::DataSink& sink, const std::string& text) { return text.empty() || sink.write(text.data(), text.size()); }

}  // namespace

WatchStream::WatchStream(ObjectStore& store, const Clock& clock, WatchRequest request)
    : store_(store),
      clock_(clock),
      request_(std::move(request)),
      deadline_(clock.steady() + request_.timeout),
      next_bookmark_(clock.steady() + kBookmarkEvery) {}

ApiResult<std::shared_ptr<WatchStream>> WatchStream::open(ObjectStore& store, const Clock& clock, WatchRequest request) {
  std::shared_ptr<WatchStream> stream(new WatchStream(store, clock, std::move(request)));
  const std::string& text = stream->request_.resource_version;
  int64_t version = 0;
  if (!text.empty()) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), version);
    if (error != std::errc() || end != text.data() + text.size() || version < 0)
      return bad_request(fmt::format("Invalid value: \"{}\": invalid resource version", text));
  }
  if (version == 0 || stream->request_.send_initial) {
    std::tie(stream->initial_, stream->watcher_) = store.list_and_watch(*stream->request_.type);
  } else {
    PINTLE_ASSIGN_OR_RETURN(stream->watcher_, store.watch(*stream->request_.type, version));
  }
  return stream;
}

void WatchStream::add_line(std::string& out, const char* type, const VersionPtr& version) {
  if (!request_.table) {
    out += fmt::format("{{\"type\":\"{}\",\"object\":{}}}\n", type, version->json.text());
    return;
  }
  Json table = make_table(*request_.type, *request_.table, !columns_sent_);
  columns_sent_ = true;
  table["metadata"]["resourceVersion"] = std::to_string(version->resource_version);
  table["rows"].push_back(make_row(*request_.type, *request_.table, Json::parse(version->json.text()), clock_.now()));
  out += dump({{"type", type}, {"object", std::move(table)}}) + "\n";
}

void WatchStream::add_change(std::string& out, const Change& change) {
  if (!request_.filter.namespace_.empty() && change.object->namespace_ != request_.filter.namespace_) return;
  const bool matched = change.previous != nullptr && request_.filter.selector.matches(*change.previous);
  const bool matches = change.kind != Change::Kind::kDeleted && request_.filter.selector.matches(*change.object->selectable);
  if (matches) {
    add_line(out, matched ? "MODIFIED" : "ADDED", change.object);
  } else if (matched) {
    add_line(out, "DELETED", change.object);  // gone, or no longer what is asked for
  }
}

void WatchStream::add_bookmark(std::string& out, bool initial_end) {
  Json bookmark = {{"kind", request_.type->kind},
                   {"apiVersion", request_.type->api_version()},
                   {"metadata", {{"resourceVersion", std::to_string(store_.position(*watcher_))}, {"creationTimestamp", nullptr}}}};
  if (initial_end) bookmark["metadata"]["annotations"] = {{"k8s.io/initial-events-end", "true"}};
  if (request_.table) {
    Json table = make_table(*request_.type, *request_.table, !columns_sent_);
    columns_sent_ = true;
    table["metadata"] = bookmark["metadata"];
    bookmark = std::move(table);
  }
  out += dump({{"type", "BOOKMARK"}, {"object", std::move(bookmark)}}) + "\n";
  next_bookmark_ = clock_.steady() + kBookmarkEvery;
}

std::string WatchStream::initial_lines() {
  std::string out;
  for (const auto& version : initial_) {
    if (!request_.filter.namespace_.empty() && version->namespace_ != request_.filter.namespace_) continue;
    if (request_.filter.selector.matches(*version->selectable)) add_line(out, "ADDED", version);
  }
  initial_.clear();
  if (request_.send_initial) add_bookmark(out, true);
  return out;
}

// False when the peer has gone.
bool WatchStream::wait(ConnectionStream& connection) {
  const auto now = clock_.steady();
  const auto until = request_.bookmarks ? std::min(deadline_, next_bookmark_) : deadline_;
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(std::max(until - now, Duration::zero()));
  std::array<pollfd, 3> wait{pollfd{watcher_->wake_fd(), POLLIN, 0}, pollfd{connection.stop_fd(), POLLIN, 0},
                             pollfd{listen_to_peer_ ? connection.socket() : -1, POLLIN, 0}};
  if (poll_at_rest(wait, static_cast<int>(std::min<int64_t>(left.count(), 3'600'000))) < 0) return errno == EINTR;
  if (wait[2].revents == 0) return true;
  if (connection.peer_gone()) return false;
  if (SSL_has_pending(connection.ssl()) == 1)
    listen_to_peer_ = false;  // it has sent its next request early: that must not wake us again and again
  return true;
}

bool WatchStream::pump(httplib::DataSink& sink, ConnectionStream& connection) {
  if (!started_) {
    started_ = true;
    return write_all(sink, initial_lines());
  }
  const auto changes = store_.read(*watcher_);
  if (!changes) {
    if (!write_all(sink, dump({{"type", "ERROR"}, {"object", status_object(changes.error())}}) + "\n")) return false;
    sink.done();
    return true;
  }
  std::string out;
  for (const auto& change : *changes) add_change(out, change);
  const auto now = clock_.steady();
  const bool over = now >= deadline_ || connection.stopping();
  if (request_.bookmarks && (over || now >= next_bookmark_)) add_bookmark(out, false);
  if (!write_all(sink, out)) return false;
  if (over) {
    sink.done();
    return true;
  }
  return !out.empty() || wait(connection);
}

}  // namespace pintle::standalone
