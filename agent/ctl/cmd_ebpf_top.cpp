// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include <algorithm>
#include <charconv>
#include <limits>
#include <map>
#include <ostream>
#include <ranges>

#include <fmt/format.h>

#include "ctl/ebpf_commands.h"
#include "ctl/human.h"
#include "ctl/json.h"
#include "ctl/output.h"
#include "ctl/pod_text.h"
#include "ctl/rates.h"
#include "ctl/table.h"

namespace pintle::ctl {
namespace {

struct Reading {
  SteadyTime at;
  std::vector<v1::Pod> pods;
};

Result<Reading> read_counters(Session& session, const PodChoice& pods) {
  PINTLE_ASSIGN_OR_RETURN(auto reply, ask_status(session, pods));
  return Reading{session.io().clock.steady(), {reply.pods().begin(), reply.pods().end()}};
}

std::vector<PodRates> compare(const Reading& before, const Reading& now) {
  std::map<std::string, const v1::Pod*> known;  // by uid: a new pod of the same name starts anew
  for (const auto& pod : before.pods)
    if (pod.ebpf().has_counters()) known[pod.uid()] = &pod;
  std::vector<PodRates> all;
  for (const auto& pod : now.pods) {
    const auto then = known.find(pod.uid());
    PodRates rates;
    if (then != known.end() && pod.ebpf().has_counters())
      rates = rates_of(then->second->ebpf().counters(), pod.ebpf().counters(), std::max<Duration>(now.at - before.at, Duration{1}));
    rates.pod = full_name(pod);
    all.push_back(std::move(rates));
  }
  return all;
}

// `most`: rows that there is room for, a line about the others included.
void print_table(Session& session, const std::vector<PodRates>& all, size_t most) {
  Table table({"POD", "RX/S", "TX/S", "PACKETS/S", "CONNECTS/S", "DENIES/S", "DROPS/S", "RETRANSMITS/S", "RTT", "LOST/S"});
  const auto alarming = [](double value) { return Cell(rate_text(value), value > 0 ? Tone::kBad : Tone::kPlain); };
  const size_t shown = all.size() > most ? most - 1 : all.size();
  for (const auto& rates : all | std::views::take(shown)) {
    if (!rates.known) {
      table.add({rates.pod, "-", "-", "-", "-", "-", "-", "-", "-", "-"});
      continue;
    }
    table.add({rates.pod, bytes(static_cast<uint64_t>(rates.rx_bytes)), bytes(static_cast<uint64_t>(rates.tx_bytes)),
               rate_text(rates.packets), rate_text(rates.connects), alarming(rates.denies), alarming(rates.drops),
               rate_text(rates.retransmits), rates.rtt_ms ? fmt::format("{:.2f} ms", *rates.rtt_ms) : std::string("-"),
               alarming(rates.lost)});
  }
  if (table.empty()) return session.note("no pods on this node");
  table.print(session.io().out, session.style());
  if (shown < all.size())
    session.io().out << fmt::format("… and {} more pods; --sort chooses which come first", all.size() - shown) << '\n' << std::flush;
}

// A live table that scrolls shows its end: what fits is shown. Header and the cursor's line take two.
size_t rows_of(const Session& session, bool live) {
  const int rows = live && session.rows() > 0 ? session.rows() - 2 : 0;
  return rows > 1 ? static_cast<size_t>(rows) : std::numeric_limits<size_t>::max();
}

codec::Node rates_json(const std::vector<PodRates>& all, Duration over, Time now) {
  const auto number = [](double value) { return json_scalar(codec::Node::Kind::kFloat, fmt::format("{:.3f}", value)); };
  std::vector<codec::Node> pods;
  for (const auto& rates : all) {
    if (!rates.known) continue;
    JsonObject object;
    object.add("pod", rates.pod)
        .add("rxBytesPerSecond", number(rates.rx_bytes))
        .add("txBytesPerSecond", number(rates.tx_bytes))
        .add("packetsPerSecond", number(rates.packets))
        .add("connectsPerSecond", number(rates.connects))
        .add("deniesPerSecond", number(rates.denies))
        .add("dropsPerSecond", number(rates.drops))
        .add("retransmitsPerSecond", number(rates.retransmits))
        .add("lostPerSecond", number(rates.lost));
    if (rates.rtt_ms) object.add("meanRttMilliseconds", number(*rates.rtt_ms));
    pods.push_back(object.take());
  }
  return JsonObject()
      .add("apiVersion", "pintle.dev/v1")
      .add("kind", "EbpfTop")
      .add("time", format_rfc3339_nano(now))
      .add("seconds", number(std::chrono::duration<double>(over).count()))
      .add("pods", json_list(std::move(pods)))
      .take();
}

// "2", "0.5" are seconds, as watch(1) takes them; "500ms" is a span.
std::optional<Duration> interval_of(const std::string& text) {
  double seconds = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  Duration interval{};
  if (error == std::errc{} && end == text.data() + text.size() && seconds < 86'400)
    interval = std::chrono::duration_cast<Duration>(std::chrono::duration<double>(seconds));
  else if (const auto span = parse_duration(text))
    interval = *span;
  return interval >= std::chrono::milliseconds(10) ? std::optional(interval) : std::nullopt;
}

}  // namespace

int ebpf_top(Session& session, const EbpfTopArgs& args) {
  const auto format = parse_format(args.output);
  if (!format) return session.fail(kUsage, format.error().message());
  const auto pods = choose(args);
  if (!pods) return session.fail(kUsage, pods.error().message());
  const auto interval = interval_of(args.interval);
  if (!interval) return session.fail(kUsage, fmt::format("-n: '{}' is not a time such as 2, 0.5 or 500ms, at least 10ms", args.interval));
  auto before = read_counters(session, *pods);
  if (!before) return session.fail(before.error());
  while (session.pause(*interval)) {
    auto now = read_counters(session, *pods);
    if (!now) return session.fail(now.error());
    auto rates = compare(*before, *now);
    sort_rates(rates, args.sort);
    if (!format->is_table()) {
      print_streamed(session, *format, {"ebpftop", rates_json(rates, now->at - before->at, session.now())});
    } else {
      if (session.io().out_is_tty && !args.once) session.io().out << "\033[H\033[J";
      print_table(session, rates, rows_of(session, session.io().out_is_tty && !args.once));
      if (!session.io().out_is_tty && !args.once) session.io().out << '\n' << std::flush;
    }
    if (args.once || !session.io().out.good()) return kOk;
    before = std::move(now);
  }
  return kInterrupted;
}

}  // namespace pintle::ctl
