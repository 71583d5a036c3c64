# The library generated from graph/onnx/onnx.proto: foreign code, so compiled without the project's warning flags.
set(wire_proto "${CMAKE_SOURCE_DIR}/graph/onnx/onnx.proto")
set(wire_folder "${CMAKE_BINARY_DIR}/generated/graph/onnx")
add_custom_command(
  OUTPUT "${wire_folder}/onnx.pb.cc" "${wire_folder}/onnx.pb.h"
  COMMAND ${CMAKE_COMMAND} -E make_directory "${wire_folder}"
  COMMAND protobuf::protoc "--proto_path=${CMAKE_SOURCE_DIR}" "--cpp_out=${CMAKE_BINARY_DIR}/generated" "${wire_proto}"
  DEPENDS "${wire_proto}"
  VERBATIM)
add_library(sparse_run_onnx_wire STATIC "${wire_folder}/onnx.pb.cc")
target_include_directories(sparse_run_onnx_wire SYSTEM PUBLIC "${CMAKE_BINARY_DIR}/generated")
target_link_libraries(sparse_run_onnx_wire PUBLIC protobuf::libprotobuf-lite)
