// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "standalone/packed_text.h"

#include <zlib.h>

#include "base/check.h"

namespace pintle::standalone {
namespace {

// Raw deflate: 8 KiB are as good as 32 for texts of a few, and cost a quarter while packing.
constexpr int kWindowBits = -13, kMemoryLevel = 6, kLevel = 6;

// Members in the order in which they are dumped; what is nearest to the end is cheapest to refer to.
constexpr std::string_view kDictionary =
    R"({"apiVersion":"v1","kind":"Pod","metadata)"
    R"(":{"annotations":{"kubectl.kubernetes.io/last-applied-configuration":"{\"apiVersion\":\"v1\",\"kind\":\"Pod\",)"
    R"(\"metadata\":{\"annotations\":{},\"labels\":{\"app\":\"\"},\"name\":\"\",\"namespace\":\"default\"},)"
    R"(\"spec\":{\"containers\":[{\"command\":[\"image\":\"name\":\"}]}}\n"},)"
    R"("creationTimestamp":"2026-01-01T00:00:00Z","generation":1,"labels":{"app":""},"name":"","namespace":"default",)"
    R"("resourceVersion":"","uid":""},"spec":{"automountServiceAccountToken":false,"containers":[{"command":["sh",)"
    R"("-c"],"image":"","imagePullPolicy":"IfNotPresent","name":"","resources":{},)"
    R"("terminationMessagePath":"/dev/termination-log","terminationMessagePolicy":"File"}],"dnsPolicy":"ClusterFirst",)"
    R"("enableServiceLinks":true,"nodeName":"","restartPolicy":"Always","schedulerName":"default-scheduler",)"
    R"("securityContext":{},"serviceAccount":"default","serviceAccountName":"default",)"
    R"("terminationGracePeriodSeconds":30},"status":{"conditions":[{"lastTransitionTime":"2026-01-01T00:00:00Z",)"
    R"("observedGeneration":1,"status":"True","type":"PodReadyToStartContainers"},)"
    R"({"lastTransitionTime":"2026-01-01T00:00:00Z","observedGeneration":1,"status":"True","type":"Initialized"},)"
    R"({"lastTransitionTime":"2026-01-01T00:00:00Z","observedGeneration":1,"status":"True","type":"Ready"},)"
    R"({"lastTransitionTime":"2026-01-01T00:00:00Z","observedGeneration":1,"status":"True","type":"ContainersReady"},)"
    R"({"lastTransitionTime":"2026-01-01T00:00:00Z","observedGeneration":1,"status":"True","type":"PodScheduled"},)"
    R"({"lastTransitionTime":"2026-01-01T00:00:00Z","observedGeneration":1,"reason":"Attached","status":"True",)"
    R"("type":"pintle.dev/ProgramsAttached"}],"containerStatuses":[{"containerID":"containerd://","image":"",)"
    R"("imageID":"sha256:","lastState":{},"name":"","ready":true,"resources":{},"restartCount":0,"started":true,)"
    R"("state":{"running":{"startedAt":"2026-01-01T00:00:00Z"}}}],"hostIP":"","hostIPs":[{"ip":"127.0.0.1"}],)"
    R"("observedGeneration":1,"phase":"Running","podIP":"","podIPs":[{"ip":""}],"qosClass":"BestEffort",)"
    R"("startTime":"2026-01-01T00:00:00Z"}})"
    R"({"apiVersion":"v1","count":1,"eventTime":null,"firstTimestamp":"2026-01-01T00:00:00Z",)"
    R"("involvedObject":{"apiVersion":"v1","fieldPath":"spec.containers{","kind":"Pod","name":"","namespace":"default",)"
    R"("resourceVersion":"","uid":""},"kind":"Event","lastTimestamp":"2026-01-01T00:00:00Z",)"
    R"("message":"Container image \"\" already p)"
    R"(resent on machine and can be accessed by the podContainer createdContainer started",)"
    R"("metadata":{"creationTimestamp":"2026-01-01T00:00:00Z","name":"","namespace":"default","resourceVersion":"",)"
    R"("uid":""},"reason":"PulledCreatedStarted","reportingComponent":"kubelet","reportingInstance":"",)"
    R"("source":{"component":"kubelet","host":""},"type":"Normal"})";

// zlib's old interface: it is not written to.
Bytef* bytes_of(std::string_view text) { return reinterpret_cast<Bytef*>(const_cast<char*>(text.data())); }

void run_over(z_stream& stream, std::string_view from, std::string& to) {
  stream.next_in = bytes_of(from);
  stream.avail_in = static_cast<uInt>(from.size());
  stream.next_out = bytes_of(to);
  stream.avail_out = static_cast<uInt>(to.size());
}

// Empty: nothing gained.
std::string deflated(std::string_view text) {
  z_stream stream{};
  if (::deflateInit2(&stream, kLevel, Z_DEFLATED, kWindowBits, kMemoryLevel, Z_DEFAULT_STRATEGY) != Z_OK) return {};
  std::string out(text.size(), '\0');
  run_over(stream, text, out);
  const bool done =
      ::deflateSetDictionary(&stream, bytes_of(kDictionary), kDictionary.size()) == Z_OK && ::deflate(&stream, Z_FINISH) == Z_STREAM_END;
  out.resize(done ? stream.total_out : 0);
  (void)::deflateEnd(&stream);
  return out;
}

}  // namespace

PackedText::PackedText(std::string_view text) : text_size_(text.size()) {
  const std::string packed = deflated(text);
  bytes_ = !packed.empty() && packed.size() < text.size() ? packed : text;  // a copy: of its own size
}

std::string PackedText::text() const {
  if (bytes_.size() == text_size_) return bytes_;
  std::string out(text_size_, '\0');
  z_stream stream{};
  run_over(stream, bytes_, out);
  PINTLE_CHECK(::inflateInit2(&stream, kWindowBits) == Z_OK);  // fails without memory only
  PINTLE_CHECK(::inflateSetDictionary(&stream, bytes_of(kDictionary), kDictionary.size()) == Z_OK);
  PINTLE_CHECK(::inflate(&stream, Z_FINISH) == Z_STREAM_END && stream.total_out == text_size_);  // our own bytes
  (void)::inflateEnd(&stream);
  return out;
}

}  // namespace pintle::standalone
