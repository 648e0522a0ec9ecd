// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "telemetry/otlp_pipeline.h"

#include <algorithm>

#include "base/log.h"
#include "telemetry/otlp_event.h"
#include "telemetry/otlp_metrics.h"

namespace pintle::telemetry {
namespace {

// Collectors that speak gRPC take 4 MiB if nobody told them otherwise.
constexpr size_t kMostText = size_t{1} << 20U;
constexpr size_t kMostOfCollector = 200;  // of its words in our log

size_t text_in(const ports::Span& span) { return span.error ? span.error->size() : 0; }
size_t text_in(const LogRecord& record) { return record.body.size(); }

template <typename Value>
std::vector<Value> take_front(std::deque<Value>& queue, size_t most) {
  size_t count = 0;
  for (size_t text = 0; count < std::min(most, queue.size()) && text < kMostText; ++count) text += text_in(queue[count]);
  const auto end = queue.begin() + static_cast<std::ptrdiff_t>(count);
  std::vector<Value> taken(std::make_move_iterator(queue.begin()), std::make_move_iterator(end));
  queue.erase(queue.begin(), end);
  return taken;
}

// So that no character is cut in two.
void shorten(std::string& text, size_t most) {
  if (text.size() <= most) return;
  while (most > 0 && (static_cast<unsigned char>(text[most]) & 0xC0U) == 0x80U) --most;
  text.resize(most);
  text += "…";
}

// Woken for the first, whose time begins to run, and for each batch that is full.
bool wakes(size_t size, size_t batch) { return size == 1 || size % batch == 0; }

}  // namespace

OtlpPipeline::OtlpPipeline(OtlpPipelineOptions options, std::unique_ptr<OtlpTransport> transport, const Clock& clock)
    : options_(std::move(options)),
      transport_(std::move(transport)),
      clock_(clock),
      lanes_{Lane{.backoff = Backoff(options_.backoff)}, Lane{.backoff = Backoff(options_.backoff)},
             Lane{.backoff = Backoff(options_.backoff)}},
      chance_(options_.seed),
      order_(options_.reorder_hold, options_.of(OtlpSignal::kLogs).most) {
  if (options_.figures) next_figures_ = clock_.steady() + options_.interval;
}

bool OtlpPipeline::add(ports::Span span) {
  if (span.error) shorten(*span.error, kLongestText);
  const MutexLock lock(mu_);
  if (spans_.size() >= options_.of(OtlpSignal::kTraces).most) {
    ++counts_.of(OtlpSignal::kTraces).dropped;
    return false;
  }
  spans_.push_back(std::move(span));
  return wakes(spans_.size(), options_.of(OtlpSignal::kTraces).batch);
}

bool OtlpPipeline::add(LogRecord record) {
  shorten(record.body, kLongestText);
  const MutexLock lock(mu_);
  if (records_.size() >= options_.of(OtlpSignal::kLogs).most) {
    ++counts_.of(OtlpSignal::kLogs).dropped;
    return false;
  }
  records_.push_back(std::move(record));
  return wakes(records_.size(), options_.of(OtlpSignal::kLogs).batch);
}

bool OtlpPipeline::add(const model::ProgramEvent& event, SteadyTime arrival) {
  const MutexLock lock(mu_);
  if (events_.size() >= options_.of(OtlpSignal::kLogs).most) {
    ++counts_.of(OtlpSignal::kLogs).dropped;
    return false;
  }
  events_.emplace_back(event, arrival);
  return wakes(events_.size(), options_.of(OtlpSignal::kLogs).batch);
}

OtlpCounts OtlpPipeline::counts() {
  const MutexLock lock(mu_);
  OtlpCounts counts = counts_;
  counts.of(OtlpSignal::kTraces).queued += spans_.size();
  counts.of(OtlpSignal::kLogs).queued += records_.size() + events_.size();
  return counts;
}

LogRecord OtlpPipeline::record_of(const model::ProgramEvent& event, bool late) const {
  const auto name = options_.pod_name && !event.uid.empty() ? options_.pod_name(event.uid.value()) : ports::PodNames::Name{};
  return log_record_of(event, name, late, clock_.now());
}

// Events go to the end of the records' queue once they were held long enough.
void OtlpPipeline::order_events(SteadyTime now) {
  std::deque<std::pair<model::ProgramEvent, SteadyTime>> arrived;
  {
    const MutexLock lock(mu_);
    arrived.swap(events_);
  }
  for (auto& [event, arrival] : arrived) order_.push(std::move(event), event.time, arrival);
  for (const auto& [event, late] : order_.take(now)) (void)add(record_of(event, late));
  const MutexLock lock(mu_);
  counts_.late = order_.late();
}

size_t OtlpPipeline::waiting(OtlpSignal signal) {
  const MutexLock lock(mu_);
  switch (signal) {
    case OtlpSignal::kTraces: return spans_.size();
    case OtlpSignal::kLogs: return records_.size();
    case OtlpSignal::kMetrics: return 0;
  }
  return 0;
}

// Newer figures hold what those said that could not be sent.
void OtlpPipeline::prepare_figures() {
  OtlpMetricWriter writer(options_.origin, clock_.now());
  options_.figures(writer);
  drop_pending(OtlpSignal::kMetrics);
  auto& metrics = lane(OtlpSignal::kMetrics);
  if (writer.points() == 0) return;  // the protocol wants no empty requests
  metrics.pending = Pending{transport_->packed(OtlpSignal::kMetrics, writer.finish()), writer.points(), clock_.steady()};
}

void OtlpPipeline::prepare_batch(OtlpSignal signal) {
  std::string request;
  size_t items = 0;
  if (signal == OtlpSignal::kTraces) {
    std::vector<ports::Span> spans;
    {
      const MutexLock lock(mu_);
      spans = take_front(spans_, options_.of(signal).batch);
    }
    items = spans.size();
    request = encode_spans(options_.origin, spans);
  } else {
    std::vector<LogRecord> records;
    {
      const MutexLock lock(mu_);
      records = take_front(records_, options_.of(signal).batch);
    }
    items = records.size();
    request = encode_logs(options_.origin, records);
  }
  {
    const MutexLock lock(mu_);
    counts_.of(signal).queued += items;
  }
  auto& of = lane(signal);
  of.pending = Pending{transport_->packed(signal, std::move(request)), items, clock_.steady()};
  of.due.reset();
}

void OtlpPipeline::drop_pending(OtlpSignal signal) {
  auto& pending = lane(signal).pending;
  if (!pending) return;
  {
    const MutexLock lock(mu_);
    auto& counts = counts_.of(signal);
    counts.dropped += pending->items;
    if (signal != OtlpSignal::kMetrics) counts.queued -= pending->items;
  }
  pending.reset();
}

void OtlpPipeline::delivered(OtlpSignal signal, const SendOutcome& outcome) {
  auto& of = lane(signal);
  const uint64_t rejected = std::min(outcome.rejected, of.pending->items);
  {
    const MutexLock lock(mu_);
    auto& counts = counts_.of(signal);
    counts.exported += of.pending->items - rejected;
    counts.rejected += rejected;
    if (signal != OtlpSignal::kMetrics) counts.queued -= of.pending->items;
  }
  const bool partial = rejected != 0 || !outcome.message.empty();
  if (partial && !of.told_partial) {
    const std::string why = outcome.message.empty() ? "it does not say why" : outcome.message.substr(0, kMostOfCollector);
    if (rejected != 0)
      PINTLE_LOG(kWarning, "telemetry", "the collector did not take {} of {} {}: {}", rejected, of.pending->items, to_string(signal), why);
    else
      PINTLE_LOG(kWarning, "telemetry", "the collector took {}, and warns: {}", to_string(signal), why);
  }
  of.told_partial = partial;
  of.pending.reset();
  of.backoff.reset();
  of.not_before = {};
  if (!std::exchange(of.failing, false)) return;
  PINTLE_LOG(kInfo, "telemetry", "{} are exported again", to_string(signal));
  if (options_.on_change) options_.on_change(signal, {});
}

void OtlpPipeline::failed(OtlpSignal signal, const SendOutcome& outcome) {
  auto& of = lane(signal);
  {
    const MutexLock lock(mu_);
    ++counts_.of(signal).failures;
  }
  const SteadyTime now = clock_.steady();
  // Between half of the back-off and all of it, so that agents which failed together do not come back together.
  const Duration delay = of.backoff.next();
  const Duration wait =
      delay / 2 + Duration(static_cast<int64_t>(std::uniform_real_distribution<>(0, 0.5)(chance_) * static_cast<double>(delay.count())));
  // No collector may silence an agent for longer than a batch is kept.
  const Duration kept = options_.of(signal).give_up_after;
  const Duration asked = outcome.retry_after.value_or(Duration::zero());
  of.not_before = now + std::max(wait, kept == Duration::zero() ? asked : std::min(asked, kept));
  const bool given_up = outcome.kind == SendOutcome::Kind::kRefused || (kept != Duration::zero() && now - of.pending->made >= kept);
  if (given_up) drop_pending(signal);
  if (std::exchange(of.failing, true)) return;
  PINTLE_LOG(kWarning, "telemetry", "{} can't be exported: {}; {}", to_string(signal), outcome.message,
             given_up ? "they are dropped" : "trying again");
  if (options_.on_change) options_.on_change(signal, outcome.message);
}

void OtlpPipeline::send(OtlpSignal signal, const std::stop_token& stop) {
  const auto outcome = transport_->send(signal, lane(signal).pending->request, stop);
  if (outcome.kind == SendOutcome::Kind::kDelivered)
    delivered(signal, outcome);
  else
    failed(signal, outcome);
}

std::optional<SteadyTime> OtlpPipeline::next_of(OtlpSignal signal, SteadyTime now) {
  auto& of = lane(signal);
  if (of.pending) return std::max(of.not_before, now);
  const size_t size = waiting(signal);
  if (size == 0) return std::nullopt;
  if (!of.due) of.due = now + options_.of(signal).patience;
  return std::max(size >= options_.of(signal).batch ? now : *of.due, of.not_before);
}

std::optional<SteadyTime> OtlpPipeline::step(const std::stop_token& stop) {
  const SteadyTime begun = clock_.steady();
  order_events(begun);
  if (next_figures_ && *next_figures_ <= begun) {
    prepare_figures();
    next_figures_ = begun + options_.interval;
  }
  for (const auto signal : kOtlpSignals) {
    const auto next = next_of(signal, begun);
    if (!next || *next > begun || stop.stop_requested()) continue;
    if (!lane(signal).pending) prepare_batch(signal);
    send(signal, stop);
  }
  const SteadyTime now = clock_.steady();
  std::optional<SteadyTime> next = next_figures_;
  const auto sooner = [&next](std::optional<SteadyTime> at) {
    if (at && (!next || *at < *next)) next = at;
  };
  for (const auto signal : kOtlpSignals) sooner(next_of(signal, now));
  sooner(order_.next_due());
  const MutexLock lock(mu_);
  if (!events_.empty()) next = now;
  return next;
}

void OtlpPipeline::flush(const std::stop_token& stop) {
  order_events(SteadyTime::max() - options_.reorder_hold);
  if (options_.figures) prepare_figures();
  for (const auto signal : kOtlpSignals) {
    auto& of = lane(signal);
    while ((of.pending || waiting(signal) != 0) && !stop.stop_requested()) {
      if (!of.pending) prepare_batch(signal);
      send(signal, stop);
      if (of.failing) break;
    }
    drop_pending(signal);
    while (waiting(signal) != 0) {
      const MutexLock lock(mu_);
      counts_.of(signal).dropped += signal == OtlpSignal::kTraces ? spans_.size() : records_.size();
      signal == OtlpSignal::kTraces ? spans_.clear() : records_.clear();
    }
  }
}

}  // namespace pintle::telemetry
