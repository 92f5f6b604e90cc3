#!/usr/bin/env bash
# A full disk, first the archive's, then our own: reported, and nothing is lost. Needs a small file system
# of its own, which root or an unprivileged name space can mount.
# needs: net, phantom
set -u
# shellcheck source=tests/cli/lib/common.bash
source "$(dirname "$0")/lib/common.bash"
# shellcheck source=tests/cli/lib/peers.bash
source "$(dirname "$0")/lib/peers.bash"
need_tool storescp dcmdump
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

make_objects 12 "$work/sent"
mkdir "$work/received" "$work/small"
mount -t tmpfs -o size=60k none "$work/received" || fail "mount"
port=$(free_port)
start_storescp "$port" "$work/received"
expect 22 "out of resources" send -b "$work/outbox" --to "PACS@localhost:$port" \
  --set retry.first_s=0.05 --set retry.most_s=0.1 "$work/sent"
sent=$(count outbox sent) queued=$(count outbox queued)
{ [ "$sent" -gt 0 ] && [ "$queued" -gt 0 ] && [ $((sent + queued)) -eq 12 ]; } ||
  fail "$sent sent, $queued queued"
mount -o remount,size=4m "$work/received" || fail "remount"
expect 0 "" send -b "$work/outbox" --wait 60
same_objects "$work/sent" "$work/received"
stop "$started_process"
umount "$work/received"

mount -t tmpfs -o size=160k none "$work/small" || fail "mount"
expect 15 "disk is full" send --queue -b "$work/small/outbox" --to "PACS@localhost:$port" "$work/sent"
mount -o remount,size=4m "$work/small" || fail "remount"
start_storescp "$port" "$work/again"
expect 0 "" send -b "$work/small/outbox" "$work/sent"
same_objects "$work/sent" "$work/again"
stop "$started_process"
umount "$work/small"
finish
