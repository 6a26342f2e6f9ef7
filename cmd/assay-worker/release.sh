#!/usr/bin/env bash
# Builds the worker for every platform it is released for, twice: here, and from a clone in another folder with an
# empty build cache. Files that differ are not released. Writes dist/ with checksums; the commit is all that decides
# their bytes, so anyone with the same Go can check them.
set -euo pipefail
cd "$(dirname "$0")/../.."

if [ -n "$(git status --porcelain)" ]; then
  echo "release: there are changes that are not committed; commit or stash them first, a release is a commit" >&2
  exit 1
fi
platforms=${PLATFORMS:-linux/amd64 linux/arm64 windows/amd64 darwin/amd64 darwin/arm64}
commit=$(git rev-parse HEAD)
work=$(mktemp -d)
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT

# build FOLDER-OF-SOURCE OUTPUT
build() {
  local platform system machine name
  for platform in $platforms; do
    system=${platform%/*} machine=${platform#*/} name=assay-worker-$system-$machine
    [ "$system" = windows ] && name=$name.exe
    echo "  $name"
    (cd "$1" && CGO_ENABLED=0 GOOS=$system GOARCH=$machine GOFLAGS= go build -trimpath -ldflags '-s -w -buildid=' -o "$2/$name" ./cmd/assay-worker)
    if [ "$system" = linux ]; then # a second file that needs no library at all, and has no GPU engines
      echo "  $name-static"
      (cd "$1" && CGO_ENABLED=0 GOOS=$system GOARCH=$machine GOFLAGS= go build -trimpath -tags nogpu -ldflags '-s -w -buildid=' -o "$2/$name-static" ./cmd/assay-worker)
    fi
  done
}

echo "release: $commit with $(go env GOVERSION)"
mkdir "$work/first" "$work/second"
build "$PWD" "$work/first"
echo "release: once more, from a clone with an empty cache (minutes)"
git clone --quiet --no-hardlinks . "$work/clone"
git -C "$work/clone" checkout --quiet "$commit"
GOCACHE=$work/cache build "$work/clone" "$work/second"

(cd "$work/first" && sha256sum -- *) > "$work/sums"
if ! (cd "$work/second" && sha256sum --check --quiet "$work/sums"); then
  echo "release: the two builds differ in the files named above; nothing is released" >&2
  exit 1
fi
rm -rf dist
mkdir dist
cp "$work"/first/* dist/
cp "$work/sums" dist/SHA256SUMS
echo "release: both builds are equal; dist/ holds"
(cd dist && ls -l)
