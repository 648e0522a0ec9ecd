// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// PodProgram documents: whatever the text is, what is accepted names a plain file and a plain function, and what is not is told.
#include <algorithm>
#include <cctype>
#include <cstdint>
#include <cstdlib>
#include <set>
#include <string_view>

#include "codec/pod_program.h"
#include "codec/text.h"
#include "model/names.h"

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace pintle;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  for (const char* origin : {"fuzz.yaml", "fuzz.json"}) {
    const auto documents = codec::parse_pod_programs(text, origin);
    for (const auto& error : documents.errors) {
      require(error.code == Code::kInvalid && error.context.starts_with("fuzz"));
      require(!codec::find_bad_utf8(error.context));
    }
    std::set<std::string> names;
    for (const auto& program : documents.programs) {
      require(model::is_dns_label(program.name) && names.insert(program.name).second);
      require(!program.object.empty() && program.object.front() != '.' && program.object.find('/') == std::string::npos);
      require(!program.program.empty() &&
              std::ranges::all_of(program.program, [](unsigned char c) { return c == '_' || std::isalnum(c) != 0; }));
      require(!model::describe_selector(program).empty());
      (void)program.selects("default", {{"app", "web"}});
    }
  }
  return 0;
}
