# add_layer(): one static library per top-level folder, refusing dependencies that architecture.md does not allow.

add_library(sparse_run_flags INTERFACE)
target_compile_options(sparse_run_flags INTERFACE -Wall -Wextra -Wshadow -Wnon-virtual-dtor -Werror)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  target_compile_options(sparse_run_flags INTERFACE -Wno-restrict)  # false alarms about string concatenation (GCC bug 105651)
endif()
target_include_directories(sparse_run_flags INTERFACE "${CMAKE_SOURCE_DIR}")
target_include_directories(sparse_run_flags SYSTEM INTERFACE "${CMAKE_BINARY_DIR}/generated")
if(SPARSE_RUN_SANITIZE)
  target_compile_options(sparse_run_flags INTERFACE -fsanitize=${SPARSE_RUN_SANITIZE} -fno-omit-frame-pointer
                         -fno-sanitize-recover=all
                         -Wno-maybe-uninitialized)  # GCC sees ghosts in std::optional once it is instrumented
  target_link_options(sparse_run_flags INTERFACE -fsanitize=${SPARSE_RUN_SANITIZE})
endif()

# add_layer(NAME RANK n [FOLDER folder] [DEPENDS layer…] [LINKS library…] [EXECUTABLE program])
# Sources are every *.cpp below NAME/, or below FOLDER/ where that is another; *_test.cpp become the test program NAME_test, main.cpp the EXECUTABLE.
# A layer may depend only on layers of a lower rank (rank 3 also on partitioner's data types from rank 4 on).
function(add_layer name)
  cmake_parse_arguments(LAYER "" "RANK;FOLDER;EXECUTABLE" "DEPENDS;LINKS" ${ARGN})
  if(NOT LAYER_FOLDER)
    set(LAYER_FOLDER ${name})
  endif()
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/${LAYER_FOLDER}/*.cpp")
  set(tests ${sources})
  list(FILTER tests INCLUDE REGEX "_test\\.cpp$")
  list(FILTER sources EXCLUDE REGEX "(_test|/main)\\.cpp$")

  set_property(GLOBAL PROPERTY "layer_rank_${name}" ${LAYER_RANK})
  foreach(lower IN LISTS LAYER_DEPENDS)
    get_property(rank GLOBAL PROPERTY "layer_rank_${lower}")
    if(NOT DEFINED rank OR NOT rank LESS LAYER_RANK)
      message(FATAL_ERROR "layer ${name} (rank ${LAYER_RANK}) may not depend on ${lower} (rank ${rank}): see docs/architecture.md")
    endif()
    list(APPEND links "sparse_run_${lower}")
  endforeach()

  if(sources)
    add_library(sparse_run_${name} STATIC ${sources})
    target_link_libraries(sparse_run_${name} PUBLIC ${links} ${LAYER_LINKS} sparse_run_flags)
  else()  # a layer of declarations only
    add_library(sparse_run_${name} INTERFACE)
    target_link_libraries(sparse_run_${name} INTERFACE ${links} ${LAYER_LINKS} sparse_run_flags)
  endif()
  if(LAYER_EXECUTABLE AND EXISTS "${CMAKE_SOURCE_DIR}/${LAYER_FOLDER}/main.cpp")
    add_executable(${LAYER_EXECUTABLE} "${CMAKE_SOURCE_DIR}/${LAYER_FOLDER}/main.cpp")
    target_link_libraries(${LAYER_EXECUTABLE} PRIVATE sparse_run_${name})
  endif()
  if(SPARSE_RUN_TESTS AND tests)
    add_executable(${name}_test ${tests})
    target_link_libraries(${name}_test PRIVATE sparse_run_${name} GTest::gmock GTest::gtest GTest::gtest_main)
    add_test(NAME ${name} COMMAND ${name}_test)
  endif()
endfunction()
