#!/usr/bin/env bash
# Runs a job over the hosts of hosts.txt. usage: mpirun.sh MODEL.onnx INPUT=FILE.npy OUTPUT.npz [OPTION...]
set -eu
here=$(cd "$(dirname "$0")" && pwd)
model=$1 input=$2 output=$3
shift 3
# One rank per NUMA domain, its threads bound there. The executable and the files lie on a shared file system, or at the
# same path on every host; ranks that do not see the input are sent their rows by rank 0.
exec mpirun --hostfile "${HOSTS:-$here/hosts.txt}" --map-by ppr:1:numa --bind-to numa \
  "${SPARSE_RUN:-sparse-run}" --parallel auto --input "$input" --output "$output" "$@" "$model"
