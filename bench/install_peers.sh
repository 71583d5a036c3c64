#!/usr/bin/env bash
# Installs the engines to compare with, each optional: ONNX Runtime and OpenVINO in .venv-peers, DeepSparse in .venv-deepsparse.
set -uo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
python=${PYTHON:-python3}
missing=0

# environment FOLDER: makes a virtual environment, or says why not.
environment() {
  [ -x "$1/bin/python" ] || "$2" -m venv "$1" || { echo "install_peers: $2 cannot make $1 (package python3-venv?)" >&2; return 1; }
}

# install FOLDER ARGUMENTS…: pip install, complaining but going on.
install() {
  local folder=$1
  shift
  "$folder/bin/python" -m pip install --quiet --disable-pip-version-check "$@" && return 0
  echo "install_peers: could not install $*: this peer is left out" >&2
  missing=$((missing + 1))
  return 1
}

peers=$root/.venv-peers
if environment "$peers" "$python"; then
  install "$peers" "numpy>=2,<3" "onnx>=1.22" matplotlib || exit 1
  install "$peers" onnxruntime==1.32.0
  install "$peers" openvino==2026.4.1
else
  exit 1
fi

# DeepSparse's last release has wheels for Python 3.8 to 3.11 and wants packages of its time.
deepsparse_python=
for candidate in "${DEEPSPARSE_PYTHON:-}" python3.11 python3.10 python3.9 "$python"; do
  [ -n "$candidate" ] || continue
  if "$candidate" -c 'import sys; sys.exit(not (3, 8) <= sys.version_info[:2] <= (3, 11))' 2>/dev/null; then
    deepsparse_python=$candidate
    break
  fi
done
deepsparse=$root/.venv-deepsparse
if [ -z "$deepsparse_python" ]; then
  echo "install_peers: DeepSparse needs Python 3.8 to 3.11 (name one in DEEPSPARSE_PYTHON): it is left out" >&2
  missing=$((missing + 1))
elif environment "$deepsparse" "$deepsparse_python"; then
  install "$deepsparse" "numpy<2" onnx==1.14.1 onnxruntime==1.17.3 protobuf==3.20.3 "pydantic>=2" click tqdm requests \
    pyyaml py-machineid geocoder rich "pandas<2.2" &&
    install "$deepsparse" --no-deps deepsparse==1.8.0 sparsezoo==1.8.1
else
  missing=$((missing + 1))
fi
[ "$missing" = 0 ] || echo "install_peers: $missing of 3 peers are left out; 'make bench' compares with the others" >&2
exit 0
