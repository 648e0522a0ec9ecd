# pintle_pkg(NAME MODULE [ARCHIVE_NEEDS lib...]): the imported target PkgConfig::NAME of a pkg-config module, linked from its archives in release builds.
# Measured, not taste: of the 20 MB that 55 shared libraries kept resident in pintled, most was code that nobody called (gRPC's
# proxies, balancers and xDS) and a page or two of relocated data for each library. The linker leaves out what is not reached.
# Shared stay OpenSSL (cpp-httplib exists as a shared library only and needs it; nobody wants it twice) and libelf (its archive
# lacks a part).
if(CMAKE_BUILD_TYPE STREQUAL "Release" AND NOT PINTLE_SANITIZE)
  set(static_by_default ON)
else()
  set(static_by_default OFF)
endif()
option(PINTLE_STATIC "Link gRPC, protobuf, libbpf and SQLite from their archives" ${static_by_default})

if(PINTLE_STATIC)
  set(Protobuf_USE_STATIC_LIBS ON)
  add_link_options(-Wl,--gc-sections -Wl,--as-needed)
endif()

function(pintle_pkg name module)
  cmake_parse_arguments(ARG "" "" "ARCHIVE_NEEDS" ${ARGN})
  if(NOT PINTLE_STATIC)
    pkg_check_modules(${name} REQUIRED IMPORTED_TARGET GLOBAL ${module})
    return()
  endif()
  # What the archives need stands in the private half of the module's description.
  execute_process(COMMAND ${PKG_CONFIG_EXECUTABLE} --static --libs-only-l ${module} OUTPUT_VARIABLE flags RESULT_VARIABLE failed
                  OUTPUT_STRIP_TRAILING_WHITESPACE)
  if(failed)
    message(FATAL_ERROR "pkg-config knows no ${module}")
  endif()
  pkg_check_modules(${name} REQUIRED ${module})
  string(REGEX MATCHALL "-l[^ ]+" flags "${flags}")
  list(TRANSFORM ARG_ARCHIVE_NEEDS PREPEND "-l")
  list(APPEND flags ${ARG_ARCHIVE_NEEDS})
  list(REMOVE_DUPLICATES flags)
  set(libraries)
  foreach(flag ${flags})
    string(SUBSTRING ${flag} 2 -1 library)
    if(library MATCHES "^(ssl|crypto|elf|z|zstd|m|dl|rt|pthread|atomic)$")
      list(APPEND libraries ${library})
      continue()
    endif()
    find_library(PINTLE_ARCHIVE_${library} NAMES lib${library}.a REQUIRED)
    list(APPEND libraries ${PINTLE_ARCHIVE_${library}})
  endforeach()
  list(JOIN libraries "," libraries)
  add_library(PkgConfig::${name} INTERFACE IMPORTED GLOBAL)
  target_include_directories(PkgConfig::${name} SYSTEM INTERFACE ${${name}_INCLUDE_DIRS})
  target_link_libraries(PkgConfig::${name} INTERFACE "$<LINK_GROUP:RESCAN,${libraries}>")  # they refer to one another in circles
endfunction()

# Two more that would be resident nearly as a whole: spdlog has no archive, but is as well used of its headers; PINTLE_YAML, PINTLE_SPDLOG.
macro(pintle_parts_of_libraries)
  set(PINTLE_SPDLOG spdlog::spdlog)
  set(PINTLE_YAML yaml-cpp)
  if(PINTLE_STATIC)
    set(PINTLE_SPDLOG spdlog::spdlog_header_only)
    find_library(PINTLE_ARCHIVE_yaml-cpp NAMES libyaml-cpp.a REQUIRED)
    set(PINTLE_YAML ${PINTLE_ARCHIVE_yaml-cpp})
  endif()
endmacro()

# pintle_fold(TARGET): links a program so that less of its file becomes resident: what compiled to the same code is there once (0.4 MB of
# templates), and the 0.4 MB of relocations that are read at each start are packed to 50 KiB. Of the linkers that fold, mold 1.10 packs
# without the mark that glibc wants beside it. Nobody here compares addresses of functions; constants are not folded.
function(pintle_fold target)
  find_program(PINTLE_LLD NAMES ld.lld PATHS /usr/lib/llvm-19/bin NO_DEFAULT_PATH)  # older ones do not pack
  if(NOT PINTLE_STATIC OR NOT PINTLE_LLD)
    return()
  endif()
  cmake_path(GET PINTLE_LLD PARENT_PATH folder)
  target_link_options(${target} PRIVATE -fuse-ld=lld -B${folder} -Wl,--icf=all -Wl,-z,pack-relative-relocs)
endfunction()
