#!/usr/bin/env bash
# A disk that becomes full: its own exit code, and nothing left of what did not fit. Needs a small
# file system of its own, which root or an unprivileged name space can mount.
# needs: phantom
# slow: 30
set -u
# shellcheck source=tests/cli/lib/common.bash
source "$(dirname "$0")/lib/common.bash"
# shellcheck source=tests/cli/lib/make.bash
source "$(dirname "$0")/lib/make.bash"

if [ "${2:-}" != inside ]; then
  unshare=(unshare --mount)
  [ "$(id -u)" -eq 0 ] || unshare=(unshare --map-root-user --mount)
  mkdir "$work/probe"
  "${unshare[@]}" mount -t tmpfs -o size=64k none "$work/probe" 2>/dev/null || {
    echo "skipped: no small file system can be mounted here"
    exit 77
  }
  "${unshare[@]}" bash "$0" "$1" inside
  exit
fi

make_inputs 1
mkdir "$work/small"
# 0 KiB to beyond what the results take: the disk becomes full at the start, in a picture, in a
# capture, in the store, and at last not at all.
for size in 4 64 500 3000 12000 80000; do
  mount -t tmpfs -o "size=${size}k" none "$work/small" || fail "mount"
  got=0
  "$program" --log-level error run --input "$work/phantom" --weights "$work/w.safetensors" \
    --output "$work/small/out" >"$work/out" 2>"$work/err" || got=$?
  if [ "$got" -eq 0 ]; then
    [ "$size" -gt 12000 ] || fail "$size KiB were enough"
  else
    [ "$got" -eq 15 ] || fail "$size KiB: exit code $got, expected 15: $(cat "$work/err")"
    grep -q "disk is full" "$work/err" || fail "$size KiB: $(cat "$work/err")"
    one_line
    [ -z "$(find "$work/small" -mindepth 1)" ] || fail "$size KiB: left $(find "$work/small")"
  fi
  umount "$work/small"
done
[ "$got" -eq 0 ] || fail "even $size KiB were not enough"

mount -t tmpfs -o "size=100k" none "$work/small" || fail "mount"
expect 15 "disk is full" --log-level error phantom -o "$work/small/phantom" --matrix 96
[ -z "$(find "$work/small" -mindepth 1)" ] || fail "phantom left $(find "$work/small")"
expect 15 "disk is full" weights init vit_tiny_patch16 -o "$work/small/w.safetensors"
[ -z "$(find "$work/small" -mindepth 1)" ] || fail "weights left $(find "$work/small")"
umount "$work/small"
finish
