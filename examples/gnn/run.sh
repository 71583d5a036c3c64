#!/usr/bin/env bash
# Classifies the nodes of both graphs and prints accuracies: run.sh [SPARSE_RUN [FOLDER for the results]].
# Needs a python3 with NumPy for the accuracies (PYTHON names another one).
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
sparse_run=${1:-${SPARSE_RUN:-$here/../../build/release/bin/sparse-run}}
if [ ! -x "$sparse_run" ]; then
  echo "run.sh: $sparse_run is not there: run 'make build' first, or name the executable" >&2
  exit 1
fi
out=${2:-$here/../../build/demo-gnn}
mkdir -p "$out"
for graph in karate communities; do
  "$sparse_run" -q "$here/$graph.onnx" --input "$here/$graph.npz" --output "$out/$graph.npz"
  printf '%-12s ' "$graph"
  "${PYTHON:-python3}" "$here/accuracy.py" "$out/$graph.npz" "$here/${graph}_labels.npz"
done
