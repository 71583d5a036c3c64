#!/usr/bin/env bash
# How much of what a pipeline sends is hidden behind computing, between two hosts on a slow link (network namespaces).
# usage (as root): handoff.sh MODEL.onnx... ; RATE (1gbit), DELAY (1ms) and SECONDS_EACH (10) may be set.
# Prints the table of ranks for each model: the row "all" has the share of transfer time that was hidden. Where messages
# were packed, their bytes before and after are there, too.
set -eu
here=$(dirname "$(realpath "$0")")
for model in "$@"; do
  echo "$(basename "$model"), link of ${RATE:-1gbit} with ${DELAY:-1ms} delay"
  RATE=${RATE:-1gbit} DELAY=${DELAY:-1ms} timeout -k 5 120 "$here/../../examples/cluster/two_hosts.sh" "$model" \
    --parallel pipeline --threads 1 --benchmark --duration "${SECONDS_EACH:-10}" 2>&1 | grep -E "^ *(benchmark|throughput|rank|all|[0-9]) "
done
