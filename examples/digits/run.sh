#!/usr/bin/env bash
# Runs the dense and the pruned digit classifier over all held-out images as a job and prints
# accuracy, throughput and placement: run.sh [SPARSE_RUN [FOLDER for the results]].
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
sparse_run=${1:-${SPARSE_RUN:-$here/../../build/release/bin/sparse-run}}
if [ ! -x "$sparse_run" ]; then
  echo "run.sh: $sparse_run is not there: run 'make build' first, or name the executable" >&2
  exit 1
fi
out=${2:-$here/../../build/demo}
mkdir -p "$out"
for model in dense pruned; do
  "$sparse_run" "$here/digits_$model.onnx" \
    --input "images=$here/images.npy" --micro-batch 32 \
    --output "$out/$model.npz" --profile --json "$out/$model.json" >"$out/$model.txt"
  # The job lasts milliseconds; a benchmark on the same requests says what holds over time.
  "$sparse_run" -q "$here/digits_$model.onnx" --input "images=$here/images.npy" --micro-batch 32 \
    --benchmark --scenario throughput --warmup 0.5 --duration 2 --json "$out/$model-benchmark.json" >"$out/$model-benchmark.txt"
done
python3 "$here/report.py" "$out"
