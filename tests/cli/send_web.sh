#!/usr/bin/env bash
# STOW-RS servers that answer everything but "all stored": each answer has its consequence, for each
# object its own, and nothing is lost.
# needs: net, phantom
set -u
# shellcheck source=tests/cli/lib/common.bash
source "$(dirname "$0")/lib/common.bash"
# shellcheck source=tests/cli/lib/peers.bash
source "$(dirname "$0")/lib/peers.bash"
need_tool dcmdump
make_objects 6 "$work/sent"
uid=$(dcmdump -q +P SOPInstanceUID "$work/sent/00003.dcm" | grep -o '\[.*\]' | tr -d '[]')
quick=(--set retry.first_s=0.05 --set retry.most_s=0.1)

# try NAME CODE TEXT QUEUED SENT REFUSED ANSWER...: six objects to a server with these answers.
try() {
  # shellcheck disable=SC2034
  local name=$1 code=$2 text=$3 queued=$4 sent=$5 refused=$6
  shift 6
  start_web "$name" "$@"
  expect "$code" "$text" send -b "$work/$name" "${quick[@]}" "${more[@]}" \
    --to "http://localhost:$peer_port/root" "$work/sent"
  for state in queued sent refused; do
    [ "$(count "$name" $state)" -eq "${!state}" ] || fail "$name: $(cat "$work/out" "$work/err")"
  done
  stop "$started_process"
}
more=()
try all 0 "" 0 6 0 stored
try warning 0 "values were coerced" 0 6 0 warning
try partial 21 "refused: status A900" 0 1 5 partial
try empty 22 "not DICOM JSON" 6 0 0 empty
try nothing 22 "the server's answer does not name it" 6 0 0 nothing
try unavailable 22 "HTTP 503" 6 0 0 503
try moved 22 "HTTP 302" 6 0 0 302
try unknown 22 "HTTP 401: the credentials" 6 0 0 401
try nowhere 22 "HTTP 404: no STOW-RS service" 6 0 0 404
# One of them is the culprit, and the others arrive.
try culprit 21 "1 objects are refused" 0 5 1 "bad:$uid"
[ "$("$program" send -b "$work/culprit" --list --json | grep -c "HTTP 400")" -eq 1 ] || fail "no reason"
more=(--set timeout.answer_s=1 --set timeout.connect_s=1)
try hang 22 "no answer within 1 s" 6 0 0 hang
more=(--wait 60)
try comes-back 0 "" 0 6 0 503 429 503 empty stored
more=(--set batch=4)
try batches 0 "" 0 6 0 stored
[ "$(cut -d' ' -f1 "$work/batches.log" | tr '\n' ' ')" = "4 2 " ] || fail "$(cat "$work/batches.log")"

# -- a bearer token, from a file; it appears nowhere else
printf 'eyJ0b2tlbiI6MX0.s1gn\n' >"$work/token"
chmod 600 "$work/token"
more=(--set credentials.kind=bearer --set "credentials.file=$work/token" --log-level debug)
try bearer 0 "" 0 6 0 stored
grep -q "6 Bearer eyJ0b2tlbiI6MX0.s1gn stored" "$work/bearer.log" || fail "$(cat "$work/bearer.log")"
grep -rq "s1gn" "$work/out" "$work/err" "$work/bearer" && fail "the token was written somewhere"
expect 3 "sent over https only" send -b "$work/none" --to http://192.0.2.1/root "${more[@]}" "$work/sent"
finish
