#!/usr/bin/env bash
# An archive that is killed and started again ten times, and a sender that is killed at any moment:
# every object arrives as it was, and none is sent again that the archive had acknowledged.
# LUNGCDAM_SEND_OBJECTS: how many objects (default 200; 1000 takes a few minutes).
# needs: net, phantom
# slow: 60
set -u
# shellcheck source=tests/cli/lib/common.bash
source "$(dirname "$0")/lib/common.bash"
# shellcheck source=tests/cli/lib/peers.bash
source "$(dirname "$0")/lib/peers.bash"
need_tool storescp dcmdump
n=${LUNGCDAM_SEND_OBJECTS:-200}
make_objects "$n" "$work/sent"
quick=(--set retry.first_s=0.05 --set retry.most_s=0.2 --set batch=25)

arrived() { find "$1" -type f | wc -l; }
# requests: how many C-STOREs the archive saw.
requests() { grep -c "Received Store Request" "$work/archive.log"; }
start_archive() { # start_archive FOLDER
  mkdir -p "$1"
  storescp -v -od "$1" "$port" >>"$work/archive.log" 2>&1 &
  archive=$!
  started+=("$archive")
}

# -- the archive dies
port=$(free_port)
start_archive "$work/outage"
"$program" --log-level error send -b "$work/outbox" "${quick[@]}" --keep-trying \
  --to "PACS@localhost:$port" "$work/sent" >"$work/out" 2>"$work/err" &
sender=$!
started+=("$sender")
# shellcheck disable=SC2317
enough() { [ "$(arrived "$work/outage")" -ge "$1" ]; }
for i in $(seq 1 10); do
  wait_for 240 enough $((n * i / 11)) || fail "only $(arrived "$work/outage") arrived before kill $i"
  stop "$archive"
  start_archive "$work/outage"
done
wait "$sender" || fail "the sender gave up: $(tail -n 3 "$work/err")"
[ "$(count outbox sent)" -eq "$n" ] || fail "not all are sent"
same_objects "$work/sent" "$work/outage"
[ "$(requests)" -le $((n + 10)) ] || fail "$(requests) requests for $n objects and 10 kills"
nothing_in "$work/outbox/objects"
stop "$archive"

# -- the sender dies, while it queues and while it sends
: >"$work/archive.log"
start_archive "$work/killed"
kills=15
for i in $(seq 1 $kills); do
  "$program" --log-level error send -b "$work/outbox2" "${quick[@]}" \
    --to "PACS@localhost:$port" "$work/sent" >/dev/null 2>&1 &
  sender=$!
  sleep "$(awk -v i="$i" 'BEGIN { srand(i); printf "%.3f", 0.02 + 0.04 * i * rand() }')"
  kill -9 "$sender" 2>/dev/null
  wait "$sender" 2>/dev/null
done
expect 0 "" send -b "$work/outbox2" "${quick[@]}" --wait 240 --to "PACS@localhost:$port" "$work/sent"
[ "$(count outbox2 sent)" -eq "$n" ] || fail "not all are sent after kills: $(cat "$work/out" "$work/err")"
same_objects "$work/sent" "$work/killed"
[ "$(requests)" -le $((n + kills)) ] || fail "$(requests) requests for $n objects and $kills kills"
nothing_in "$work/outbox2/objects"
nothing_in "$work/outbox2/damaged"
[ -z "$(find "$work/outbox2" -name '.*partial')" ] || fail "left: $(find "$work/outbox2" -name '.*partial')"

# -- two at once: one sends, the other sees to it that its objects arrive, and nothing goes twice
: >"$work/archive.log"
mkdir "$work/first" "$work/second"
find "$work/sent" -name '*[02468].dcm' -exec cp {} "$work/first" \;
find "$work/sent" -name '*[13579].dcm' -exec cp {} "$work/second" \;
for half in first second; do
  "$program" --log-level error send -b "$work/outbox3" "${quick[@]}" --wait 240 \
    --to "PACS@localhost:$port" "$work/$half" >/dev/null 2>"$work/$half.err" &
  eval "$half=\$!"
  started+=("$!")
done
# shellcheck disable=SC2154
wait "$first" || fail "the first of two: $(cat "$work/first.err")"
# shellcheck disable=SC2154
wait "$second" || fail "the second of two: $(cat "$work/second.err")"
[ "$(count outbox3 sent)" -eq "$n" ] || fail "two at once did not send all"
[ "$(requests)" -eq "$n" ] || fail "two at once made $(requests) requests for $n objects"
finish
