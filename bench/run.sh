#!/usr/bin/env bash
# Runs the comparison with the installed peers: run.sh [SPARSE_RUN [OPTIONS of compare.py …]].
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
export SPARSE_RUN=${1:-${SPARSE_RUN:-$here/../build/release/bin/sparse-run}}
exec python3 "$here/compare.py" "${@:2}"
