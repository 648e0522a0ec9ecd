// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "fakes/agent/fake_agent_view.h"

namespace pintle::fakes {

class FakeAgentView::Unsubscribe final : public ports::Subscription {
 public:
  explicit Unsubscribe(std::function<void()> act) : act_(std::move(act)) {}
  ~Unsubscribe() override { act_(); }

 private:
  std::function<void()> act_;
};

template <typename Observer>
std::unique_ptr<ports::Subscription> FakeAgentView::subscribe(std::map<int, Observer>& observers, Observer observer) {
  const std::scoped_lock lock(mu_);
  const int id = next_observer_++;
  observers[id] = std::move(observer);
  watchers_changed_.notify_all();
  return std::make_unique<Unsubscribe>([this, &observers, id] {
    const std::scoped_lock inner(mu_);
    observers.erase(id);
    watchers_changed_.notify_all();
  });
}

void FakeAgentView::put(const ports::PodRecord& record) {
  const std::scoped_lock lock(mu_);
  pods_[record.pod->full_name()] = record;
  for (const auto& [id, observer] : pod_observers_) observer(record);
}

void FakeAgentView::remove(const std::string& full_name) {
  const std::scoped_lock lock(mu_);
  auto node = pods_.extract(full_name);
  if (node.empty()) return;
  node.mapped().removed = true;
  for (const auto& [id, observer] : pod_observers_) observer(node.mapped());
}

void FakeAgentView::emit(const model::ProgramEvent& event) {
  const std::scoped_lock lock(mu_);
  for (const auto& [id, observer] : ebpf_observers_) observer(event);
}

void FakeAgentView::wait_for_pod_watchers(size_t count) {
  std::unique_lock lock(mu_);
  watchers_changed_.wait(lock, [&] { return pod_observers_.size() == count; });
}
void FakeAgentView::wait_for_ebpf_watchers(size_t count) {
  std::unique_lock lock(mu_);
  watchers_changed_.wait(lock, [&] { return ebpf_observers_.size() == count; });
}

ports::AgentStatus FakeAgentView::status() {
  const std::scoped_lock lock(mu_);
  (void)faults_.next("status");  // can't fail: only the call is noted
  auto status = status_;
  status.pods = static_cast<int>(pods_.size());
  return status;
}

std::vector<ports::PodRecord> FakeAgentView::list_pods() {
  const std::scoped_lock lock(mu_);
  std::vector<ports::PodRecord> out;
  for (const auto& [name, record] : pods_) out.push_back(record);
  return out;
}

std::unique_ptr<ports::Subscription> FakeAgentView::watch_pods(std::function<void(const ports::PodRecord&)> observer) {
  return subscribe(pod_observers_, std::move(observer));
}
std::unique_ptr<ports::Subscription> FakeAgentView::watch_ebpf(std::function<void(const model::ProgramEvent&)> observer) {
  return subscribe(ebpf_observers_, std::move(observer));
}

std::vector<model::Event> FakeAgentView::recent_events() {
  const std::scoped_lock lock(mu_);
  return events_;
}

Result<model::Node> FakeAgentView::node() {
  const std::scoped_lock lock(mu_);
  if (auto fault = faults_.next("node")) return std::unexpected(*fault);
  return node_;
}

Result<ports::ApplyReply> FakeAgentView::apply(const std::string& manifest, const std::string& origin, bool dry_run, std::stop_token) {
  const std::scoped_lock lock(mu_);
  if (auto fault = faults_.next("apply", origin)) return std::unexpected(*fault);
  if (!on_apply_) return pintle::fail(Code::kUnsupported, "this agent has no API of its own; use kubectl");
  return on_apply_(manifest, dry_run);
}

Status FakeAgentView::delete_pod(const std::string& namespace_, const std::string& name, std::optional<int64_t> grace_seconds,
                                 std::stop_token) {
  const std::scoped_lock lock(mu_);
  const std::string full_name = namespace_ + "/" + name;
  if (auto fault = faults_.next("delete_pod", full_name + " grace " + (grace_seconds ? std::to_string(*grace_seconds) : "default")))
    return std::unexpected(*fault);
  if (!pods_.contains(full_name)) return pintle::fail(Code::kNotFound, "pod '" + full_name + "' is not on this node");
  if (on_delete_)
    on_delete_(full_name);
  else
    remove(full_name);
  return {};
}

Result<std::string> FakeAgentView::list_objects_json(const std::string& kind, const std::string& namespace_, std::stop_token) {
  const std::scoped_lock lock(mu_);
  if (auto fault = faults_.next("list_objects_json", kind + " " + namespace_)) return std::unexpected(*fault);
  const auto it = objects_.find(kind);
  if (it == objects_.end()) return pintle::fail(Code::kUnsupported, "no objects of kind '" + kind + "' here");
  return it->second;
}

std::vector<model::FeatureProbe> FakeAgentView::ebpf_features() {
  const std::scoped_lock lock(mu_);
  return features_;
}

std::vector<ports::DoctorCheck> FakeAgentView::doctor(std::stop_token) {
  const std::scoped_lock lock(mu_);
  return checks_;
}

namespace {

class TextStream final : public ports::LogStream {
 public:
  TextStream(std::string text, bool follow) : text_(std::move(text)), follow_(follow) {}
  Status read(const std::function<bool(std::string_view)>& sink, const std::function<bool()>& keep_following,
              std::stop_token stop) override {
    if (!text_.empty() && !sink(text_)) return {};
    std::mutex mutex;
    std::condition_variable_any never;
    std::unique_lock lock(mutex);
    while (follow_ && keep_following()) {
      if (stop.stop_requested()) return pintle::fail(Code::kCancelled, "stopped");
      (void)never.wait_for(lock, stop, std::chrono::milliseconds(10), [] { return false; });
    }
    return {};
  }

 private:
  std::string text_;
  bool follow_;
};

}  // namespace

Result<std::unique_ptr<ports::LogStream>> FakeLogReader::open(const ports::LogTarget& target, const ports::LogOptions& options) {
  const std::scoped_lock lock(mu_);
  last_options_ = options;
  const auto it = logs_.find({target.uid, target.container, target.attempt});
  if (it == logs_.end()) return pintle::fail(Code::kNotFound, "log of container '" + target.container + "' is not there");
  return std::make_unique<TextStream>(it->second, options.follow);
}

}  // namespace pintle::fakes
