#!/usr/bin/env bash
# Builds everything that scripts/gpu_check.sh needs into one folder, to be copied to a machine that has a GPU and an
# NVIDIA driver and nothing else. usage: scripts/gpu_bundle.sh [FOLDER]
set -euo pipefail
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
out=${1:-$top/build/gpu-bundle}
most_bytes=$((60 << 20))
jobs=${JOBS:-$(nproc)}

cd "$top"
cmake --preset gpu-bundle >/dev/null
cmake --build build/gpu-bundle-build -j "$jobs" --target sparse-run cuda_test device_conformance_test gpu-crossover
rm -rf "$out"
mkdir -p "$out/bin" "$out/lib" "$out/models"
for program in sparse-run cuda_test device_conformance_test gpu-crossover; do
  cp "build/gpu-bundle-build/bin/$program" "$out/bin/"
  strip "$out/bin/$program"
done
# Their libraries, but for those that belong to the system's C library.
ldd "$out"/bin/* | awk '$2 == "=>" && $3 ~ /^\// { print $3 }' | sort -u | while read -r library; do
  case $(basename "$library") in
    libc.so* | libm.so* | libdl.so* | libpthread.so* | librt.so* | ld-linux*) ;;
    *) cp -L "$library" "$out/lib/" && strip --strip-unneeded "$out/lib/$(basename "$library")" ;;
  esac
done
cp examples/digits/*.onnx "$out/models/"
cp scripts/gpu_check.sh scripts/gpu_pytorch.py "$out/"
git rev-parse HEAD >"$out/commit" 2>/dev/null || echo unknown >"$out/commit"
(cd "$out" && find . -type f -printf '%10s  %P\n' | sort -k 2) >"$out.contents"
mv "$out.contents" "$out/contents"
cat "$out/contents"
tar -C "$(dirname "$out")" -czf "$out.tar.gz" "$(basename "$out")"
bytes=$(stat -c %s "$out.tar.gz")
echo "gpu-bundle: $out.tar.gz, $((bytes / 1024)) KiB; there: tar xzf, then gpu_check.sh"
if [ "$bytes" -gt "$most_bytes" ]; then
  echo "gpu-bundle: larger than $((most_bytes >> 20)) MiB" >&2
  exit 1
fi
