// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "standalone/pod_log.h"

#include <httplib.h>

#include <fmt/format.h>

#include "codec/objects.h"
#include "standalone/connection_stream.h"

namespace pintle::standalone {
namespace {

ApiResult<ports::LogOptions> parse_options(const Query& query, Time now) {
  ports::LogOptions options;
  options.follow = is_true(query, "follow");
  options.timestamps = is_true(query, "timestamps");
  PINTLE_ASSIGN_OR_RETURN(options.tail_lines, integer_value(query, "tailLines"));
  PINTLE_ASSIGN_OR_RETURN(options.limit_bytes, integer_value(query, "limitBytes"));
  PINTLE_ASSIGN_OR_RETURN(const auto seconds, integer_value(query, "sinceSeconds"));
  if ((options.tail_lines && *options.tail_lines < 0) || (options.limit_bytes && *options.limit_bytes < 1) || (seconds && *seconds < 1))
    return refuse(422, "Invalid", "tailLines must be 0 or more, limitBytes and sinceSeconds 1 or more");
  if (seconds) options.since = now - std::chrono::seconds(*seconds);
  if (const std::string text = first_value(query, "sinceTime"); !text.empty()) {
    const auto time = parse_rfc3339(text);
    if (!time) return bad_request(fmt::format("sinceTime: {}", time.error().message()));
    options.since = *time;
  }
  return options;
}

// Follows while the pod's published state says that the container runs and the client is there.
class Following {
 public:
  Following(ObjectStore& store, ports::LogTarget target) : store_(store), target_(std::move(target)) {}

  bool operator()(ConnectionStream& connection) {
    if (connection.peer_gone() || connection.stopping()) return false;
    const auto version = store_.find(resources::kPods, target_.namespace_, target_.pod);
    if (version == nullptr) return false;
    if (version->resource_version == seen_) return running_;
    seen_ = version->resource_version;
    const auto pod = codec::decode_pod(version->json.text());
    running_ = pod && ports::may_still_log(*pod, target_);
    return running_;
  }

 private:
  ObjectStore& store_;
  const ports::LogTarget target_;
  int64_t seen_ = -1;
  bool running_ = false;
};

}  // namespace

ApiResult<void> serve_pod_log(ObjectStore& store, const Clock& clock, ports::LogReader* reader, const VersionPtr& pod, const Query& query,
                              ConnectionStream& connection, std::stop_token stop, httplib::Response& response) {
  if (reader == nullptr) return refuse(501, "NotImplemented", "this endpoint was started without access to containers' logs");
  PINTLE_ASSIGN_OR_RETURN(const auto options, parse_options(query, clock.now()));
  const auto decoded = codec::decode_pod(pod->json.text());
  if (!decoded) return internal_error(decoded.error().message());
  const auto target = ports::resolve_log_target(*decoded, first_value(query, "container"), is_true(query, "previous"));
  if (!target) return bad_request(target.error().message());
  auto opened = reader->open(*target, options);
  if (!opened)
    return bad_request(fmt::format("the log of container \"{}\" in pod \"{}\" is not there: {}", target->container, target->pod,
                                   opened.error().message()));
  auto following = std::make_shared<Following>(store, *target);
  response.set_chunked_content_provider("text/plain", [stream = std::shared_ptr<ports::LogStream>(*std::move(opened)), following,
                                                       &connection, stop](size_t, httplib::DataSink& sink) {
    const auto read = stream->read([&sink](std::string_view text) { return sink.write(text.data(), text.size()); },
                                   [&] { return (*following)(connection); }, stop);
    if (!read && read.error().code != Code::kCancelled) {
      const std::string note = fmt::format("\n[the log ends here: {}]\n", read.error().message());
      (void)sink.write(note.data(), note.size());  // the answer has begun: there is no other place to say it
    }
    sink.done();
    return true;
  });
  return {};
}

}  // namespace pintle::standalone
