// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// GET …/pods/NAME/log: which log is meant, and its bytes to the client. Thread rule: the connection's worker thread.
#pragma once

#include <stop_token>

#include "ports/log_reader.h"
#include "standalone/api_request.h"

namespace httplib {
struct Response;
}

namespace pintle::standalone {

class ConnectionStream;

// Sets the response's content provider; it runs after this has returned, with the same connection.
[[nodiscard]] ApiResult<void> serve_pod_log(ObjectStore& store, const Clock& clock, ports::LogReader* reader, const VersionPtr& pod,
                                            const Query& query, ConnectionStream& connection, std::stop_token stop,
                                            httplib::Response& response);

}  // namespace pintle::standalone
