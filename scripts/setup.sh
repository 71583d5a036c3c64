#!/usr/bin/env bash
# Installs what is missing through the distribution's package manager. usage: scripts/setup.sh build|test
set -eu

build_packages=(
  g++ cmake ninja-build pkg-config
  libtbb-dev libprotobuf-dev protobuf-compiler libdnnl-dev libhwloc-dev
  libopenmpi-dev openmpi-bin libmetis-dev
  libfmt-dev libspdlog-dev nlohmann-json3-dev libcli11-dev libzip-dev
  python3
)
test_packages=(libgtest-dev libgmock-dev python3-venv unzip)

case "${1:-}" in
  build) packages=("${build_packages[@]}") ;;
  test) packages=("${build_packages[@]}" "${test_packages[@]}") ;;
  *) echo "usage: scripts/setup.sh build|test" >&2; exit 2 ;;
esac

missing=()
for package in "${packages[@]}"; do
  dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q '^install ok installed' || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0

if ! command -v apt-get >/dev/null; then
  echo "setup: please install the equivalents of: ${missing[*]}" >&2
  exit 1
fi
as_root=()
[ "$(id -u)" -eq 0 ] || as_root=(sudo)
echo "setup: installing ${missing[*]}"
"${as_root[@]}" apt-get update -qq
DEBIAN_FRONTEND=noninteractive "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
  apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
