// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// The seams of operators' programs: where they are declared (a folder, ConfigMaps), who verifies and loads them, and who tells people
// what became of each. Which pods get them is programs/program_registry.h's.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "model/pod_program.h"

namespace pintle::ports {

// --- declared ---

struct DeclaredProgram {
  model::PodProgram program;
  Result<std::shared_ptr<const std::string>> object;  // its bytes, or why they can't be read
};
// One file, or one ConfigMap.
struct PodProgramFile {
  std::string source;  // "folder", "configmaps"
  std::string origin;  // "/etc/pintle/programs.d/x.yaml", "configmap kube-system/x"
  std::vector<DeclaredProgram> programs;
  std::vector<std::string> errors;  // of documents that can't be read: which programs they were is not known
};

// Thread rule: any thread; calls of one source come one at a time. May take as long as the verifier does.
class PodProgramSink {
 public:
  virtual ~PodProgramSink() = default;
  virtual void put(PodProgramFile file) = 0;                                      // new or changed
  virtual void gone(const std::string& origin) = 0;                               // absent is fine
  virtual void synced(const std::string& source) = 0;                             // everything that is there has been told
  virtual void trouble(const std::string& source, const std::string& error) = 0;  // can't be read as a whole; empty: it can again
};

// --- loaded ---

struct LoadedPodProgram {
  uint32_t program_id = 0;
  std::string tag;
  bool adopted = false;  // of an earlier run: nothing was loaded
};

class PodProgramLoader {
 public:
  virtual ~PodProgramLoader() = default;
  // Has the kernel verify and load the program, and puts it in the place of what was loaded under its name. The same bytes again: nothing
  // happens. Links of pods change with their next attach. On an error what was loaded stays.
  // kInvalid: the object is bad or refused, the text has the cause and the verifier's telling lines. kUnsupported: no eBPF here.
  [[nodiscard]] virtual Result<LoadedPodProgram> load(const model::PodProgram& program, std::string_view object) = 0;
  // Detaches it from all pods and frees program and maps. Absent is success.
  [[nodiscard]] virtual Status unload(const std::string& name) = 0;
  // Names under which something is loaded or attached, by this or an earlier run.
  [[nodiscard]] virtual Result<std::vector<std::string>> list_loaded() = 0;
};

// --- told ---

struct PodProgramRecord {
  enum class State {
    kLoaded,
    kOutdated,  // an earlier version is in force: the newest was refused
    kRefused,   // nothing is in force
  };
  model::PodProgram program;  // as declared last
  std::string origin;
  State state = State::kRefused;
  uint32_t program_id = 0;
  std::string tag, digest;  // digest: of the object in force, the first 12 hex digits of its SHA-256
  Time since;               // when this state began
  int sys_errno = 0;
  std::string error;
  uint64_t pods = 0;  // that it is planned for
};
[[nodiscard]] std::string_view to_string(PodProgramRecord::State state);  // "Loaded", "Outdated", "Refused"

// Thread rule: any thread.
class PodProgramView {
 public:
  virtual ~PodProgramView() = default;
  [[nodiscard]] virtual std::vector<PodProgramRecord> list_programs() = 0;  // by name
};

inline std::string_view to_string(PodProgramRecord::State state) {
  switch (state) {
    case PodProgramRecord::State::kLoaded: return "Loaded";
    case PodProgramRecord::State::kOutdated: return "Outdated";
    case PodProgramRecord::State::kRefused: return "Refused";
  }
  return "";
}

}  // namespace pintle::ports
