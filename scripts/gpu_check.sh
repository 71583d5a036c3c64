#!/usr/bin/env bash
# Tests and measures the CUDA device on the GPU of this machine; what cannot be run is recorded as "not run", with why.
# usage: gpu_check.sh [--gpu N] [--out FOLDER] [--seconds S] [MODEL.onnx …]
# Runs from a bundle (scripts/gpu_bundle.sh), or from a checkout after `make gpu-bundle`.
# Writes FOLDER/gpu-check.json and FOLDER/gpu-check.md. Exit code 1 when something that was run is wrong.
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
bundle=$here
[ -x "$bundle/bin/sparse-run" ] || bundle=$here/../build/gpu-bundle
gpu=0
out=$PWD/gpu-check
seconds=5
models=()
while [ $# -gt 0 ]; do
  case $1 in
    --gpu) gpu=$2; shift 2 ;;
    --out) out=$2; shift 2 ;;
    --seconds) seconds=$2; shift 2 ;;
    -*) echo "gpu_check.sh: unknown option $1" >&2; exit 2 ;;
    *) models+=("$1"); shift ;;
  esac
done
if [ ! -x "$bundle/bin/sparse-run" ]; then
  echo "gpu_check.sh: $bundle/bin/sparse-run is not there: run 'make gpu-bundle' first" >&2
  exit 2
fi
[ ${#models[@]} -gt 0 ] || models=("$bundle"/models/*.onnx)
export LD_LIBRARY_PATH="$bundle/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
run=$bundle/bin/sparse-run
pytorch=$here/gpu_pytorch.py
mkdir -p "$out"
results=()
rows=()
wrong=0

json_text() { printf '%s' "$1" | tr -d '\000-\010\013\014\016-\037' | sed -e 's/\\/\\\\/g' -e 's/"/\\"/g' -e 's/\t/ /g' | awk 'NR > 1 { printf "\\n" } { printf "%s", $0 }'; }

# record NAME OUTCOME DETAIL
record() {
  results+=("{\"name\": \"$(json_text "$1")\", \"outcome\": \"$2\", \"detail\": \"$(json_text "$3")\"}")
  rows+=("| $1 | $2 | $(printf '%s' "$3" | tail -n 1 | cut -c 1-160 | tr '|' '/') |")
  printf '%-44s %s\n' "$1" "$2"
  [ "$2" != failed ] || wrong=1
}

# attempt NAME COMMAND…: passed or failed, with the last lines of what it says.
attempt() {
  local name=$1 text code
  shift
  text=$("$@" 2>&1)
  code=$?
  printf '%s\n' "$text" >"$out/$(printf '%s' "$name" | tr -c 'a-zA-Z0-9' '_').log"
  if [ $code -eq 0 ]; then record "$name" passed "$(printf '%s\n' "$text" | tail -n 1)"; else record "$name" failed "exit $code: $(printf '%s\n' "$text" | tail -n 4)"; fi
  return $code
}

if smi=$(nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader -i "$gpu" 2>&1); then
  record "device" passed "$smi"
else
  record "device" "not run" "nvidia-smi: $smi"
fi

first=${models[0]}
if ! probe=$("$run" --devices "cpu,gpu:$gpu" "$first" 2>&1 >/dev/null); then
  reason=$(printf '%s\n' "$probe" | tail -n 1)
  for name in "device conformance" "kernels" "models" "compute-sanitizer" "benchmarks" "crossovers" "PyTorch"; do
    record "$name" "not run" "$reason"
  done
else
  attempt "device conformance" env SPARSE_RUN_TEST_GPU="$gpu" "$bundle/bin/device_conformance_test" --gtest_filter='*hardware*'
  attempt "kernels" env SPARSE_RUN_TEST_GPU="$gpu" "$bundle/bin/cuda_test" --gtest_filter='Kernels.*:Chains.compute*'
  for model in "${models[@]}"; do
    name=$(basename "$model" .onnx)
    if attempt "expected results of $name" "$run" -q --seed 1 --devices cpu --output "$out/$name.npz" "$model"; then
      for policy in gpu auto; do
        attempt "$name agrees under policy $policy" "$run" -q --seed 1 --devices "cpu,gpu:$gpu" --policy "$policy" \
          --expect "$out/$name.npz" --rtol 1e-4 --atol 1e-4 "$model"
      done
    fi
  done
  if sanitizer=$(command -v compute-sanitizer); then
    attempt "compute-sanitizer" env SPARSE_RUN_TEST_GPU="$gpu" "$sanitizer" --error-exitcode 1 "$bundle/bin/cuda_test" \
      --gtest_filter='Kernels.softmax*:Kernels.products*:Kernels.convolutions*:Kernels.gathering*'
  else
    record "compute-sanitizer" "not run" "it is not on PATH"
  fi
  for model in "${models[@]}"; do
    name=$(basename "$model" .onnx)
    for devices in cpu "cpu,gpu:$gpu"; do
      for precision in f32 tf32 bf16 f16; do
        [ "$devices" != cpu ] || [ "$precision" = f32 ] || continue
        label="$name on $devices, $precision"
        file="$out/$(printf '%s' "$label" | tr -c 'a-zA-Z0-9' '_').json"
        attempt "$label" "$run" -q --devices "$devices" --policy "$([ "$devices" = cpu ] && echo cpu || echo gpu)" \
          --precision "$precision" --benchmark --warmup 1 --duration "$seconds" --json "$file" "$model"
      done
    done
  done
  attempt "crossovers" "$bundle/bin/gpu-crossover" --gpu "$gpu" --json "$out/crossovers.json"
  if python3 -c 'import torch; raise SystemExit(not torch.cuda.is_available())' 2>/dev/null; then
    attempt "PyTorch" python3 "$pytorch" --run "$run" --gpu "$gpu" --out "$out/pytorch" --seconds "$seconds"
  else
    record "PyTorch" "not run" "it is not installed, or sees no GPU"
  fi
fi

commit=$(cat "$bundle/commit" 2>/dev/null || echo unknown)
{
  printf '{\n  "date": "%s",\n  "commit": "%s",\n  "results": [\n' "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$commit"
  for i in "${!results[@]}"; do
    [ "$i" -eq 0 ] || printf ',\n'
    printf '    %s' "${results[$i]}"
  done
  printf '\n  ]\n}\n'
} >"$out/gpu-check.json"
{
  printf '# GPU check, %s, commit %s\n\n| what | outcome | detail |\n|---|---|---|\n' "$(date -u +%Y-%m-%d)" "$commit"
  printf '%s\n' "${rows[@]}"
} >"$out/gpu-check.md"
echo "gpu_check.sh: $out/gpu-check.json"
exit $wrong
