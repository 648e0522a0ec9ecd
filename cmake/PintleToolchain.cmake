# Compiler launcher, linker, warnings and sanitizers, as one interface target: pintle_options.
find_program(CCACHE ccache)
if(CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_C_COMPILER_LAUNCHER ${CCACHE})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE})
endif()
find_program(MOLD mold)
if(MOLD)
  add_link_options(-fuse-ld=mold)
endif()

# For size: nearly the whole text of a daemon becomes resident, for the kernel maps what lies around a page that is asked for.
# Measured against -O3 with 110 pods: 4 MB less resident; the agent waits for others far more than it computes.
set(CMAKE_CXX_FLAGS_RELEASE "-Os -DNDEBUG -ffunction-sections -fdata-sections")

add_library(pintle_options INTERFACE)
target_compile_options(pintle_options INTERFACE -Wall -Wextra -Wshadow -Werror -Wno-missing-field-initializers $<$<COMPILE_LANGUAGE:CXX>:-Wpedantic>)
if(CMAKE_CXX_COMPILER_ID MATCHES Clang)
  # libstdc++ 12 deprecates what its own <algorithm> uses.
  target_compile_options(pintle_options INTERFACE -Werror=thread-safety -Wno-deprecated-declarations)
else()
  # g++ 12 reports these for its own std::variant and std::string at -O2 and above.
  target_compile_options(pintle_options INTERFACE -Wno-maybe-uninitialized -Wno-restrict -Wno-error=array-bounds -Wno-error=stringop-overflow)
endif()
if(PINTLE_SANITIZE)
  target_compile_options(pintle_options INTERFACE -fsanitize=${PINTLE_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  target_link_options(pintle_options INTERFACE -fsanitize=${PINTLE_SANITIZE})
endif()
if(PINTLE_FUZZ)
  target_compile_options(pintle_options INTERFACE -fsanitize=fuzzer-no-link)
endif()
