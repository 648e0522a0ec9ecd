// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "kube/object_watcher.h"

#include <poll.h>
#include <algorithm>

#include <fmt/format.h>

#include "codec/objects.h"
#include "codec/text.h"
#include "kube/pause.h"
#include "kube/retry_after.h"

namespace pintle::kube {
namespace {

using ports::ConfigKey;
using ports::ConfigKind;
using std::chrono::seconds;

constexpr size_t kMostConnecting = 8;  // handshakes at once
constexpr seconds kReread{60};         // of certificates and addresses
constexpr seconds kUseful{5};          // a watch that lasted as long did not fail

}  // namespace

std::optional<ports::ConfigObject> read_config_object(const ConfigKey& key, std::string_view json) {
  const auto take = [&](auto object) -> std::optional<ports::ConfigObject> {
    if (!object || object->metadata.name != key.name || object->metadata.namespace_ != key.namespace_) return std::nullopt;
    return *std::move(object);
  };
  if (key.kind == ConfigKind::kConfigMap) return take(codec::decode_config_map(json, {.origin = "api"}));
  return take(codec::decode_secret(json, {.origin = "api"}));
}

struct ObjectWatcher::Stream {
  explicit Stream(const ObjectWatcherOptions& options) : lines(options.max_line), backoff(options.backoff) {}
  std::optional<WatchConnection> connection;
  LineSplitter lines;
  Backoff backoff;
  std::string version;   // to resume from; empty: from the object as it is
  bool told = false;     // of some version
  bool shown = false;    // … by seen(), and nothing else was told since
  bool current = false;  // … and it still holds
  bool open = false;     // the response has begun
  bool over = false;     // it has said all it will
  SteadyTime begin_at{}, begun_at{}, deadline{};
  seconds timeout{};
};

ObjectWatcher::ObjectWatcher(Kubeconfig config, const Clock& clock, ObjectWatcherOptions options, ports::ObjectSink& sink)
    : config_(std::move(config)), clock_(clock), options_(options), sink_(sink), reach_(options.reach) {}
ObjectWatcher::~ObjectWatcher() { stop(); }

Status ObjectWatcher::start() {
  PINTLE_ASSIGN_OR_RETURN(auto interrupt, Interrupt::create());
  {
    const MutexLock lock(mu_);
    interrupt_.emplace(std::move(interrupt));
  }
  thread_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
  return {};
}

void ObjectWatcher::stop() {
  thread_.request_stop();
  if (thread_.joinable()) thread_.join();
}

void ObjectWatcher::watch(std::set<ConfigKey> keys) {
  const MutexLock lock(mu_);
  while (keys.size() > options_.most) keys.erase(std::prev(keys.end()));
  asked_ = std::move(keys);
  if (interrupt_) interrupt_->raise();
}

void ObjectWatcher::run(const std::stop_token& stop) {
  const std::stop_callback on_stop(stop, [this] { interrupt_->raise(); });
  while (!stop.stop_requested()) {
    take_keys();
    begin_due(clock_.steady());
    wait(stop, clock_.steady());
  }
  streams_.clear();
}

void ObjectWatcher::take_keys() {
  std::optional<std::set<ConfigKey>> asked;
  {
    const MutexLock lock(mu_);
    asked.swap(asked_);
  }
  if (!asked) return;
  std::erase_if(streams_, [&](const auto& one) { return !asked->contains(one.first); });
  for (const auto& key : *asked) streams_.try_emplace(key, options_);
}

void ObjectWatcher::begin_due(SteadyTime now) {
  auto connecting = static_cast<size_t>(
      std::ranges::count_if(streams_, [](const auto& one) { return one.second.connection && !one.second.connection->established(); }));
  for (auto& [key, stream] : streams_) {
    if (stream.connection || now < stream.begin_at) continue;
    if (connecting >= (reachable_ ? kMostConnecting : 1) || (!reachable_ && now < reach_at_)) return;
    begin(key, stream, now);
    if (stream.connection) ++connecting;
  }
}

void ObjectWatcher::begin(const ConfigKey& key, Stream& stream, SteadyTime now) {
  auto connection = connect(now);
  if (!connection) return broken(key, stream, now);
  auto request = request_for(key, stream, now);
  if (!request) return broken(key, stream, now);
  stream.connection.emplace(*std::move(connection));
  stream.connection->send(*std::move(request));
}

Result<WatchConnection> ObjectWatcher::connect(SteadyTime now) {
  if (addresses_.empty() || now - read_at_ >= kReread) {
    addresses_.clear();
    PINTLE_ASSIGN_OR_RETURN(addresses_, resolve(config_));
    if (config_.uses_tls()) {
      PINTLE_ASSIGN_OR_RETURN(context_, config_.tls_contexts->get(config_));
    }
    read_at_ = now;
  }
  return WatchConnection::open(config_, addresses_[next_address_ % addresses_.size()], context_.get());
}

Result<std::string> ObjectWatcher::request_for(const ConfigKey& key, Stream& stream, SteadyTime now) const {
  PINTLE_ASSIGN_OR_RETURN(const std::string token, config_.read_token());
  std::string authorization;
  if (!token.empty())
    authorization = fmt::format("Authorization: Bearer {}\r\n", token);
  else if (!config_.basic_user.empty())
    authorization = fmt::format("Authorization: Basic {}\r\n", codec::encode_base64(config_.basic_user + ":" + config_.basic_password));
  const auto spread = std::max(options_.watch_max - options_.watch_min, seconds(0));
  stream.timeout = options_.watch_min + std::chrono::duration_cast<seconds>(jittered(spread, 1.0)) - spread;
  stream.open = stream.over = false;
  stream.begun_at = now;
  stream.deadline = now + options_.head;
  stream.lines = LineSplitter(options_.max_line);
  return fmt::format(
      "GET {}/api/v1/namespaces/{}/{}?fieldSelector=metadata.name%3D{}&watch=true&allowWatchBookmarks=true&timeoutSeconds={}{}{} "
      "HTTP/1.1\r\n"
      "Host: {}\r\nUser-Agent: pintled/0.1 (object-watch)\r\nAccept: application/json\r\n{}\r\n",
      config_.path_prefix, percent_encode(key.namespace_), key.kind == ConfigKind::kConfigMap ? "configmaps" : "secrets",
      percent_encode(key.name), stream.timeout.count(), stream.version.empty() ? "" : "&resourceVersion=", percent_encode(stream.version),
      config_.host_header(), authorization);
}

void ObjectWatcher::wait(const std::stop_token& stop, SteadyTime now) {
  std::vector<pollfd> fds{{interrupt_->fd(), POLLIN, 0}};
  std::vector<Streams::iterator> polled;
  SteadyTime next = SteadyTime::max();
  for (auto at = streams_.begin(); at != streams_.end(); ++at) {
    Stream& stream = at->second;
    if (stream.connection) {
      fds.push_back({stream.connection->fd(), stream.connection->events(), 0});
      polled.push_back(at);
    }
    // Whoever waits for a turn to connect is woken by the end of another's.
    const SteadyTime due = stream.connection ? stream.deadline : std::max(stream.begin_at, reachable_ ? stream.begin_at : reach_at_);
    if (stream.connection || due > now) next = std::min(next, due);
  }
  int timeout = -1;
  if (next != SteadyTime::max())
    timeout = static_cast<int>(std::clamp<int64_t>(std::chrono::ceil<std::chrono::milliseconds>(next - now).count(), 0, 3'600'000));
  if (::poll(fds.data(), fds.size(), timeout) < 0 || stop.stop_requested()) return;
  if (fds[0].revents != 0) interrupt_->lower();
  now = clock_.steady();
  for (size_t i = 0; i < polled.size(); ++i) {
    auto& [key, stream] = *polled[i];
    if (fds[i + 1].revents != 0)
      advance(key, stream, now);
    else if (now >= stream.deadline)
      broken(key, stream, now);
  }
}

void ObjectWatcher::advance(const ConfigKey& key, Stream& stream, SteadyTime now) {
  const bool was_established = stream.connection->established();
  const auto moved = stream.connection->advance([&](std::string_view piece) {
    if (stream.connection->response().status() != 200) return;  // the status says enough
    if (!stream.open) began(key, stream, now);
    stream.lines.feed(
        piece,
        [&](std::string_view line) {
          if (!stream.over) take_line(key, stream, line);
        },
        [&] {
          stream.shown = stream.current = false;
          sink_.changed(key);
        });
  });
  if (!was_established && stream.connection->established()) {
    reachable_ = true;
    reach_.reset();
  }
  if (!moved || stream.over) return broken(key, stream, now);
  const auto& response = stream.connection->response();
  if (response.state() == ResponseReader::State::kHead) return;
  if (response.status() == 200 && !stream.open) began(key, stream, now);
  if (response.state() == ResponseReader::State::kDone) ended(key, stream, now);
}

void ObjectWatcher::began(const ConfigKey& key, Stream& stream, SteadyTime now) {
  stream.open = true;
  stream.deadline = now + stream.timeout + seconds(30);  // the server ends it; the grace is for one that forgets to
  watches_.fetch_add(1);
  if (stream.version.empty()) {
    stream.shown = false;
    if (stream.told) sink_.changed(key);
  } else if (stream.shown && !stream.current) {
    sink_.resumed(key);
    stream.current = true;
  }
}

// The response is complete.
void ObjectWatcher::ended(const ConfigKey& key, Stream& stream, SteadyTime now) {
  const auto& response = stream.connection->response();
  if (response.status() == 410) stream.version.clear();
  const bool useful = response.status() == 200 && now - stream.begun_at >= kUseful;
  if (!useful) return refused(key, stream, now);
  stream.backoff.reset();
  if (!response.reusable()) {
    stream.connection.reset();  // begun again at once, from where it was
    return;
  }
  auto request = request_for(key, stream, now);
  if (!request) return broken(key, stream, now);
  stream.connection->send(*std::move(request));
}

// An answer, and not the one that was hoped for.
void ObjectWatcher::refused(const ConfigKey& key, Stream& stream, SteadyTime now) {
  const std::string& text = stream.connection->response().retry_after();
  const auto asked = text.empty() ? std::nullopt : parse_retry_after(text, clock_.now());
  stream.begin_at = now + std::max<Duration>(jittered(stream.backoff.next(), 0.5), asked.value_or(seconds(0)));
  stream.connection.reset();
  lose(key, stream);
}

// No answer, or none any more.
void ObjectWatcher::broken(const ConfigKey& key, Stream& stream, SteadyTime now) {
  const bool established = stream.connection && stream.connection->established();
  stream.connection.reset();
  lose(key, stream);
  if (stream.over) {  // the server's own wish
    stream.begin_at = now + jittered(stream.backoff.next(), 0.5);
    return;
  }
  stream.begin_at = now;
  if (established && now - stream.begun_at < kUseful) stream.begin_at += jittered(stream.backoff.next(), 0.5);
  // A server that ended one connection may have ended: the others find out one by one.
  if (!established) {
    ++next_address_;
    addresses_.clear();
    reach_at_ = now + jittered(reach_.next(), 0.2);
  }
  reachable_ = false;
}

void ObjectWatcher::lose(const ConfigKey& key, Stream& stream) {
  if (stream.current) sink_.lost(key);
  stream.current = false;
}

void ObjectWatcher::take_line(const ConfigKey& key, Stream& stream, std::string_view line) {
  const auto event = codec::decode_watch_event(line);
  if (!event || event->kind == codec::WatchEvent::Kind::kError) {
    // What it would have told is lost: looked at again from the beginning.
    stream.version.clear();
    stream.over = true;
    return;
  }
  stream.backoff.reset();
  stream.version = event->resource_version;
  if (event->kind == codec::WatchEvent::Kind::kBookmark) return;
  events_.fetch_add(1);
  stream.told = true;
  auto object = event->kind == codec::WatchEvent::Kind::kDeleted ? std::nullopt : read_config_object(key, event->object_json);
  stream.shown = stream.current = object.has_value();
  if (object)
    sink_.seen(key, *std::move(object));
  else
    sink_.changed(key);  // whoever asks for it is told what is wrong with it
}

}  // namespace pintle::kube
