#!/usr/bin/env bash
# Sending: what arrives is what was sent, twice does no harm, every answer of a peer has its
# consequence, every failure its message, and nothing is lost.
# needs: net, phantom
# slow: 30
set -u
# shellcheck source=tests/cli/lib/common.bash
source "$(dirname "$0")/lib/common.bash"
# shellcheck source=tests/cli/lib/peers.bash
source "$(dirname "$0")/lib/peers.bash"
need_tool storescp dcmdump dcmodify

"$program" --log-level error phantom -o "$work/whole" --seed 5 --patients 1 --matrix 64 \
  --slice-spacing 10 >/dev/null || fail "phantom"
mkdir "$work/phantom"
find "$work/whole" -name '*.dcm' | sort | head -n 7 | xargs -I{} cp {} "$work/phantom"
cp "$work"/whole/*/truth.h5 "$work/phantom" # is passed over
objects=$(find "$work/phantom" -name '*.dcm' | wc -l)
one=$(find "$work/phantom" -name '*.dcm' | sort | head -n 1)
to=(--set retry.first_s=0.05 --set retry.most_s=0.1)

# -- a well-behaved archive
port=$(free_port)
start_storescp "$port" "$work/received"
archive=$started_process
expect 0 "answers" send --echo --to "PACS@localhost:$port"
expect 0 "PACS_localhost_$port" send -b "$work/outbox" --to "PACS@localhost:$port" "$work/phantom"
same_objects "$work/phantom" "$work/received"
[ "$(count outbox sent)" -eq "$objects" ] || fail "not all are sent: $(cat "$work/out")"
nothing_in "$work/outbox/objects"
rm -r "$work/received" && mkdir "$work/received"
expect 0 "0 objects queued, $objects known" send -b "$work/outbox" --to "PACS@localhost:$port" \
  "$work/phantom"
nothing_in "$work/received" # what was sent is not sent again
expect 0 '"sent": '"$objects" send -b "$work/outbox" --status --json
expect 0 "0 objects queued" send -b "$work/outbox" "$one" # the outbox knows its destination

# -- the same UID with another content
cp "$one" "$work/changed.dcm"
dcmodify -nb -m "(0008,103e)=changed" "$work/changed.dcm" || fail "dcmodify"
expect 10 "with another content" send -b "$work/outbox" "$work/changed.dcm"
nothing_in "$work/received"
expect 0 "" send -b "$work/outbox" --overwrite "$work/changed.dcm"
[ "$(find "$work/received" -type f | wc -l)" -eq 1 ] || fail "the new content was not sent"

# -- bad files do not stop the others
mkdir "$work/mixed"
head -c 700 "$one" >"$work/mixed/1-cut.dcm"
echo "no DICOM" >"$work/mixed/2-text.txt"
cp "$(find "$work/phantom" -name '*.dcm' | sort | sed -n 2p)" "$work/mixed/3-good.dcm"
expect 21 "1 files could not be queued" send -b "$work/outbox2" --to "PACS@localhost:$port" "$work/mixed"
[ "$(count outbox2 sent)" -eq 1 ] || fail "the good one was not sent"
expect 5 "2-text.txt: is not a DICOM file" send -b "$work/outbox2" "$work/mixed/2-text.txt"
expect 4 "nowhere" send -b "$work/outbox2" "$work/nowhere"
stop "$archive"
every_reason() { # every_reason OUTBOX TEXT: each object of the list has a reason, one has this one
  "$program" send -b "$work/$1" --list --json >"$work/out"
  grep -q '"reason": ""' "$work/out" && fail "$1: an object without a reason: $(cat "$work/out")"
  grep -qF "\"reason\": \"$2\"" "$work/out" || fail "$1: no reason '$2': $(cat "$work/out")"
}
every_reason outbox "stored"
expect 0 "" send -b "$work/queued" --queue --to "PACS@localhost:$port" "$one"
every_reason queued "not tried yet"

# -- what has arrived can be forgotten, and nothing else
expect 0 "0 objects that have arrived, queued more than 1 days ago" send -b "$work/outbox" \
  --forget-sent --older-than 1
expect 2 "belongs to --forget-sent" send -b "$work/outbox" --older-than 1
expect 2 "take no files" send -b "$work/outbox" --forget-sent "$one"
expect 0 "0 objects that have arrived are forgotten" send -b "$work/queued" --forget-sent
[ "$(count queued queued)" -eq 1 ] || fail "what waits was forgotten"
expect 0 "$objects objects that have arrived are forgotten" send -b "$work/outbox" --forget-sent
[ "$(count outbox sent)" -eq 0 ] || fail "not forgotten: $(cat "$work/out")"
expect 0 "0 objects that have arrived" send -b "$work/outbox" --forget-sent

# -- no peer is there: all waits, and arrives when a peer is
expect 22 "cannot connect: Connection refused" send -b "$work/later" "${to[@]}" \
  --to "PACS@localhost:$port" "$work/phantom"
expect 22 "$objects objects wait in" send -b "$work/later" --once
[ "$(count later queued)" -eq "$objects" ] || fail "something was lost"
# What is not due is not tried, and reported; with the time and the reason.
expect 22 "" send -b "$work/later" --set retry.first_s=3600 --set retry.most_s=3600 --retry
expect 22 "PACS_localhost_$port is not due until 2" send -b "$work/later"
grep -qF "; last failure: PACS@localhost:$port: cannot connect: Connection refused" "$work/err" ||
  fail "no reason: $(cat "$work/err")"
grep -q "next try in" "$work/err" && fail "it was tried all the same: $(cat "$work/err")"
"$program" send -b "$work/later" --list --json >"$work/out"
[ "$(grep -c '"reason": "PACS@localhost.*Connection refused"' "$work/out")" -eq "$objects" ] ||
  fail "no reason in the list: $(cat "$work/out")"
[ "$(grep -c '"next_try": "20' "$work/out")" -eq "$objects" ] || fail "no time in the list"
expect 22 "" send -b "$work/later" "${to[@]}" --retry
start_storescp "$port" "$work/later-received"
expect 0 "" send -b "$work/later" --retry
same_objects "$work/phantom" "$work/later-received"
stop "$started_process"

# -- rejected, busy, hanging, closing
start storescp --refuse "$port"
wait_for 20 is_open "$port" || fail "storescp does not listen"
expect 22 "rejected the association" send --echo --to "PACS@localhost:$port"
stop "$started_process"
for how in hang:"got no answer within 1 s" close:"closed the connection" busy:"rejected the association for now: local limit"; do
  start_peer "associate-${how%%:*}" "associate=${how%%:*}"
  expect 22 "${how#*:}" send -b "$work/outbox-${how%%:*}" --to "PACS@localhost:$peer_port" \
    --set timeout.association_s=1 --set timeout.connect_s=1 "$one"
  one_line_error=$(grep -c "nothing is lost" "$work/err")
  [ "$one_line_error" -eq 1 ] || fail "no final message: $(cat "$work/err")"
  [ "$(count "outbox-${how%%:*}" queued)" -eq 1 ] || fail "${how%%:*}: lost"
  stop "$started_process"
done

# -- answers to C-STORE
answer() { # answer STATUS CODE TEXT STATE: one object
  start_peer "store-$1" "store=$1"
  expect "$2" "$3" send -b "$work/answer-$1" "${to[@]}" --set timeout.answer_s=1 \
    --to "PACS@localhost:$peer_port" "$one"
  [ "$(count "answer-$1" "$4")" -eq 1 ] || fail "$1: not $4: $(cat "$work/err")"
  stop "$started_process"
}
answer A700 22 "out of resources" queued
answer B000 0 "stored, status B000: values were coerced" sent
answer A900 21 "refused: status A900: the data set does not match" refused
answer C123 21 "status C123: cannot be understood" refused
answer 0124 21 "status 0124: not authorised" refused
answer hang 22 "C-STORE: no answer within 1 s" queued
answer abort 22 "the peer aborted or closed the association" queued
answer close 22 "the peer aborted or closed the association" queued
grep -q '"warning": true' <("$program" send -b "$work/answer-B000" --list --json) || fail "no warning"

# A full disk that is emptied again, an object that is refused, one that breaks the association:
# all others arrive, and a refused one can be sent once more.
start_peer full "store=A700,A700,A700,A700,0000"
expect 0 "" send -b "$work/full" "${to[@]}" --wait 60 --to "PACS@localhost:$peer_port" "$work/phantom"
[ "$(count full sent)" -eq "$objects" ] || fail "after a full disk: $(cat "$work/out")"
start_peer refuses "store=0000,C000,0000"
expect 21 "1 objects are refused" send -b "$work/refuses" "${to[@]}" \
  --to "PACS@localhost:$peer_port" "$work/phantom"
[ "$(count refuses sent)" -eq $((objects - 1)) ] || fail "a refused object stopped the others"
expect 0 "" send -b "$work/refuses" --retry
[ "$(count refuses sent)" -eq "$objects" ] || fail "the refused object was not sent again"
start_peer breaks "store=0000,abort,0000"
expect 0 "" send -b "$work/breaks" "${to[@]}" --wait 60 --to "PACS@localhost:$peer_port" "$work/phantom"
[ "$(count breaks sent)" -eq "$objects" ] || fail "after a broken association: $(cat "$work/out")"
start_peer stubborn "store=A700"
expect 21 "given up after 2 tries" send -b "$work/stubborn" "${to[@]}" --set retry.attempts=2 \
  --wait 60 --to "PACS@localhost:$peer_port" "$one"

# -- transfer syntaxes: compressed as it is where the peer takes it, else without loss, else refused
dcmcrle "$one" "$work/rle.dcm" && dcmcjpeg +eb "$one" "$work/lossy.dcm" 2>/dev/null
start_storescp "$port" "$work/rle-received"
expect 0 "" send -b "$work/rle" --to "PACS@localhost:$port" "$work/rle.dcm"
mkdir "$work/rle-sent" && cp "$work/rle.dcm" "$work/rle-sent"
same_objects "$work/rle-sent" "$work/rle-received"
stop "$started_process"
start storescp -od "$work/plain-received" --prefer-uncompr "$port"
mkdir -p "$work/plain-received"
wait_for 20 is_open "$port" || fail "storescp does not listen"
expect 0 "" send -b "$work/plain" --to "PACS@localhost:$port" "$work/rle.dcm"
dcmdump -q "$work"/plain-received/* | grep -q "LittleEndianExplicit" || fail "not decoded"
mkdir "$work/one-sent" && dcmdrle "$work/rle.dcm" "$work/one-sent/one.dcm"
same_objects "$work/one-sent" "$work/plain-received"
if [ -s "$work/lossy.dcm" ]; then
  expect 21 "cannot be sent in another without loss" send -b "$work/plain" "$work/lossy.dcm" --overwrite
fi
stop "$started_process"

# -- storage commitment on the same association
start_peer commit commit=all
expect 0 "" send -b "$work/commit" --to "PACS@localhost:$peer_port" \
  --set commitment.mode=same_association "$work/phantom"
[ "$(count commit confirmed)" -eq "$objects" ] || fail "not confirmed: $(cat "$work/out" "$work/err")"
nothing_in "$work/commit/objects"
start_peer forgets commit=none
expect 0 "no such object" send -b "$work/forgets" "${to[@]}" --wait 60 \
  --set commitment.mode=same_association --to "PACS@localhost:$peer_port" "$work/phantom"
[ "$(count forgets confirmed)" -eq "$objects" ] || fail "not sent again: $(cat "$work/out")"
[ "$(grep -c ^store "$work/forgets.log")" -eq $((2 * objects)) ] || fail "$(cat "$work/forgets.log")"
start_peer silent commit=silent
expect 22 "are not confirmed within 1 s" send -b "$work/silent" --set commitment.wait_s=1 \
  --set commitment.mode=same_association --to "PACS@localhost:$peer_port" "$one"
[ "$(count silent sent)" -eq 1 ] || fail "lost: $(cat "$work/out")"
every_reason silent "stored; commitment is asked for, no answer yet"
every_reason commit "stored and committed"
expect 0 "0 objects that have arrived" send -b "$work/silent" --forget-sent
expect 0 "0 objects that have arrived" send -b "$work/silent" --forget-sent --set commitment.mode=none
expect 0 "$objects objects that have arrived" send -b "$work/commit" --forget-sent

# -- storage commitment that the archive would call back for: on this machine alone, unless told
listen=(--set commitment.mode=listen --set "commitment.port=$(free_port)")
expect 2 "commitment.insecure" send -b "$work/listens" "${listen[@]}" --set commitment.listen=0.0.0.0 \
  --to "PACS@localhost:$peer_port" "$one"
port=${listen[3]#*=}
started+=("$("$program" send -b "$work/listens" "${listen[@]}" --set commitment.wait_s=60 \
  --to "PACS@localhost:$peer_port" "$one" >/dev/null 2>&1 & echo $!)")
wait_for 20 is_open "$port" || fail "nobody listens for commitment"
(exec 3<>"/dev/tcp/127.0.0.2/$port") 2>/dev/null && fail "commitment is heard on every address"
stop "${started[-1]}"

# -- what the command line refuses
expect 2 "to which destination" send -b "$work/none" "$one"
printf 'pacs:\n  hots: a\n' >"$work/d.yaml"
expect 3 "d.yaml:2: unknown key 'hots'" send -b "$work/none" -d "$work/d.yaml" "$one"
printf '../pacs:\n  host: a\n' >"$work/d.yaml"
expect 3 "d.yaml:1: the name '../pacs'" send -b "$work/none" -d "$work/d.yaml" "$one"
printf 'pacs:\n  host: a\narchive:\n  url: http://archive/dicom-web\n  credentials: {kind: basic, file: x}\n' >"$work/d.yaml"
expect 3 "sent over https only" send -b "$work/none" -d "$work/d.yaml" --to archive "$one"
expect 4 "no destination 'pacz', the nearest is 'pacs'" send -b "$work/none" -d "$work/d.yaml" --to pacz "$one"
expect 4 "no destination 'NOPE'; $work/d.yaml with the outbox $work/none has pacs, archive" \
  send -b "$work/none" -d "$work/d.yaml" --to NOPE "$one"
expect 4 "no destination 'NOPE'; the outbox $work/outbox has PACS_localhost_" send -b "$work/outbox" \
  --to NOPE
expect 2 "a port from 1 to 65535" send --echo --to PACS@localhost:99999
expect 3 "AE title" send --echo --to "TOO-LONG-A-TITLE-BY-FAR@localhost:104"
expect 0 "called_ae" send --print-destination
"$program" send --print-destination >"$work/all.yaml"
expect 3 "neither host nor url" send --echo -d "$work/all.yaml"
finish
