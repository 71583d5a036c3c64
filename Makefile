# Everyday commands. `make help` lists them.
SHELL := /bin/bash
JOBS ?= $(shell nproc)
PYTHON := .venv/bin/python
SPARSE_RUN := build/release/bin/sparse-run

.PHONY: help setup build demo test test-unit test-python test-sanitizers test-threads bench gpu-bundle gpu-check format tidy clean

help: ## list these commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 18

setup: ## install what building needs
	@scripts/setup.sh build

build: setup ## build build/release/bin/sparse-run
	@cmake --preset release -DSPARSE_RUN_TESTS=OFF >/dev/null
	@cmake --build --preset release -j $(JOBS) --target sparse-run

demo: build ## build, then classify handwritten digits with a dense and a pruned network
	@SPARSE_RUN=$(SPARSE_RUN) examples/digits/run.sh

test: test-unit test-python test-sanitizers ## every test: units, conformance, models, command line, sanitizers

test-unit: ## unit tests, release build
	@scripts/setup.sh test
	@cmake --preset release -DSPARSE_RUN_TESTS=ON >/dev/null
	@cmake --build --preset release -j $(JOBS)
	@ctest --test-dir build/release --output-on-failure -j $(JOBS)

.venv/installed: tests/requirements.txt
	@scripts/setup.sh test
	@python3 -m venv .venv
	@$(PYTHON) -m pip install --quiet --disable-pip-version-check -r tests/requirements.txt
	@touch $@

test-python: test-unit .venv/installed ## ONNX node tests, real models and the command line, through the executable
	@SPARSE_RUN=$(abspath $(SPARSE_RUN)) $(PYTHON) -m pytest -q tests

test-sanitizers: ## unit tests under the address and undefined-behaviour sanitizers
	@scripts/setup.sh test
	@cmake --preset asan >/dev/null && cmake --build --preset asan -j $(JOBS)
	@ctest --test-dir build/asan --output-on-failure -j $(JOBS)

THREADED_TESTS := runtime comm
test-threads: ## unit tests of what runs on several threads under the thread sanitizer (builds an instrumented oneTBB first)
	@scripts/setup.sh test
	@scripts/instrumented_tbb.sh build/tsan-tbb
	@cmake --preset tsan >/dev/null && cmake --build --preset tsan -j $(JOBS) --target $(THREADED_TESTS:%=%_test)
	@LD_LIBRARY_PATH=$(abspath build/tsan-tbb/lib) TSAN_OPTIONS=halt_on_error=1 \
	  ctest --test-dir build/tsan --output-on-failure -R '^($(subst $() ,|,$(THREADED_TESTS)))$$'

bench: build ## compare with the engines people use otherwise; writes build/bench
	@bench/install_peers.sh
	@bench/run.sh $(SPARSE_RUN)

gpu-bundle: ## what gpu-check needs, in one archive to copy to a machine with a GPU (needs the CUDA Toolkit)
	@scripts/setup.sh test
	@scripts/gpu_bundle.sh

gpu-check: gpu-bundle ## test and measure the CUDA device on this machine's GPU; writes build/gpu-check
	@scripts/gpu_check.sh --out build/gpu-check

format: ## format all sources
	@git ls-files '*.cpp' '*.hpp' | xargs clang-format -i

tidy: ## static analysis of all sources
	@cmake --preset dev -DCMAKE_EXPORT_COMPILE_COMMANDS=ON >/dev/null
	@git ls-files '*.cpp' | grep -v _test.cpp | xargs clang-tidy -p build/dev --quiet

clean: ## remove everything that was built
	@rm -rf build
