"""A build without MPI says so when it is started with several ranks, and ends with the exit code of wrong use."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest

import executable

COMPILER = shutil.which("c++")
# What the program does to join other ranks: src of the transport layer alone, as a build without MPI compiles it.
MAIN = """
#include <cstdio>
#include "base/error.hpp"
#include "comm/mpi/mpi_link.hpp"
int main() {
  using namespace sparse_run;
  if (comm::built_with_mpi() || !comm::mpi_version().empty()) return 100;
  if (comm::detect_launch().size != 3) return 101;
  try {
    comm::make_mpi_link();
  } catch (const Error& error) {
    std::puts(error.what());
    return exit_code(error.kind());
  }
  return 102;
}
"""


@pytest.mark.skipif(COMPILER is None, reason="there is no compiler")
def test_several_ranks_without_mpi_are_refused_with_what_to_install(tmp_path):
    (tmp_path / "main.cpp").write_text(MAIN)
    root = executable.ROOT
    sources = [tmp_path / "main.cpp", root / "comm/mpi/mpi_link.cpp", root / "comm/mpi/launch.cpp", *(root / "base").glob("error*.cpp")]
    line = [COMPILER, "-std=c++20", "-O0", "-DFMT_HEADER_ONLY", "-I", root, *sources, "-o", tmp_path / "joins"]
    built = subprocess.run([*map(str, line)], capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr[-3000:]
    done = subprocess.run(
        [tmp_path / "joins"], capture_output=True, text=True, check=False,
        env=os.environ | {"OMPI_COMM_WORLD_SIZE": "3", "OMPI_COMM_WORLD_RANK": "1"},
    )
    assert done.returncode == executable.USAGE, done.stdout + done.stderr
    assert "no MPI" in done.stdout and "libopenmpi-dev" in done.stdout
