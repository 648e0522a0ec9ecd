# pintle_module(NAME [DEPS lib...]): the static library pintle_NAME of agent/NAME/*.cpp, included as "NAME/header.h".
function(pintle_module name)
  cmake_parse_arguments(ARG "" "" "DEPS" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cpp)
  if(sources)
    add_library(pintle_${name} STATIC ${sources})
    target_link_libraries(pintle_${name} PUBLIC ${ARG_DEPS} PRIVATE pintle_options)
    target_include_directories(pintle_${name} PUBLIC ${CMAKE_SOURCE_DIR}/agent)
  else()
    add_library(pintle_${name} INTERFACE)
    target_link_libraries(pintle_${name} INTERFACE ${ARG_DEPS})
    target_include_directories(pintle_${name} INTERFACE ${CMAKE_SOURCE_DIR}/agent)
  endif()
endfunction()

# pintle_test(NAME SOURCES file... DEPS lib... [LABELS label...] [TIMEOUT seconds]): one Catch2 binary, one ctest entry.
# Labels: root (needs privileges and a kernel), e2e (needs containerd), nightly (long loops).
function(pintle_test name)
  cmake_parse_arguments(ARG "" "TIMEOUT" "SOURCES;DEPS;LABELS" ${ARGN})
  if(NOT ARG_SOURCES)  # DEV
    return()  # DEV
  endif()  # DEV
  foreach(source ${ARG_SOURCES})  # DEV
    if(NOT EXISTS ${CMAKE_CURRENT_SOURCE_DIR}/${source} AND NOT EXISTS ${source})  # DEV
      message(WARNING "${name}: ${source} is missing")  # DEV
      return()  # DEV
    endif()  # DEV
  endforeach()  # DEV
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE ${ARG_DEPS} pintle_options Catch2::Catch2WithMain)
  target_include_directories(${name} PRIVATE ${CMAKE_SOURCE_DIR}/tests)
  add_test(NAME ${name} COMMAND ${name} --reporter console --reporter junit::out=${CMAKE_BINARY_DIR}/results/${name}.xml)
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 300)
  endif()
  set_tests_properties(${name} PROPERTIES TIMEOUT ${ARG_TIMEOUT} LABELS "${ARG_LABELS}" SKIP_RETURN_CODE 4)
endfunction()
