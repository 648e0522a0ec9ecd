// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// The seam through which changes of single ConfigMaps and Secrets come, those that somebody asked for. Not for reading one:
// see object_reader.h. Thread rule: watch() on any thread; a sink is called on the feed's own, one call about an object at a time,
// and may call watch().
#pragma once

#include <compare>
#include <set>
#include <string>
#include <variant>

#include "model/node.h"

namespace pintle::ports {

enum class ConfigKind { kConfigMap, kSecret };

struct ConfigKey {
  ConfigKind kind = ConfigKind::kConfigMap;
  std::string namespace_, name;
  auto operator<=>(const ConfigKey&) const = default;
};

using ConfigObject = std::variant<model::ConfigMap, model::Secret>;

class ObjectSink {
 public:
  virtual ~ObjectSink() = default;
  // The object as it is, until something else is said of it.
  virtual void seen(const ConfigKey& key, ConfigObject object) = 0;
  // It may have changed in a way that was not seen, has gone, or can't be read: whoever shows it should ask for it.
  virtual void changed(const ConfigKey& key) = 0;
  // Nothing is said of it any more; what was seen last may be out of date. Followed by seen(), changed() or resumed().
  virtual void lost(const ConfigKey& key) = 0;
  // What was seen last is still so.
  virtual void resumed(const ConfigKey& key) = 0;
};

class ObjectFeed {
 public:
  virtual ~ObjectFeed() = default;
  // From now on these, and no others.
  virtual void watch(std::set<ConfigKey> keys) = 0;
};

}  // namespace pintle::ports
