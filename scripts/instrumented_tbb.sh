#!/usr/bin/env bash
# Builds oneTBB with the thread sanitizer into the folder given, from the distribution's source package.
#
# The packaged library is not instrumented: the sanitizer does not see it hand work from one thread to another, and
# reports every result that a task leaves behind as a race.
set -euo pipefail

folder=${1:?usage: instrumented_tbb.sh FOLDER}
if [ -e "$folder/lib/libtbb.so.12" ]; then exit 0; fi

mkdir -p "$folder/lists/partial"
folder=$(cd "$folder" && pwd)
. /etc/os-release
case $ID in
  debian) mirror=http://deb.debian.org/debian components=main ;;
  ubuntu) mirror=http://archive.ubuntu.com/ubuntu components="main universe" ;;
  *) echo "instrumented_tbb.sh: $ID has no known source packages; use Debian or Ubuntu" >&2; exit 1 ;;
esac
keyring=/usr/share/keyrings/$ID-archive-keyring.gpg
echo "deb-src [signed-by=$keyring] $mirror $VERSION_CODENAME $components" >"$folder/sources.list"
apt=(apt-get -q -q -o "Dir::Etc::sourcelist=$folder/sources.list" -o Dir::Etc::sourceparts=/dev/null
     -o "Dir::State::lists=$folder/lists" -o APT::Sandbox::User=)

cd "$folder"
"${apt[@]}" update
"${apt[@]}" source --download-only onetbb
rm -rf source build
mkdir source
tar -xf onetbb_*.orig.tar.* --strip-components=1 -C source
cmake -S source -B build -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo -DTBB_TEST=OFF -DTBBMALLOC_BUILD=OFF \
  -DTBB_STRICT=OFF -DTBB_SANITIZE=thread -DCMAKE_CXX_FLAGS="-Wno-tsan -g1" >/dev/null
cmake --build build -j "$(nproc)" --target tbb >/dev/null
mkdir -p lib
cp -P build/*/libtbb.so* lib/
echo "instrumented oneTBB: $folder/lib"
