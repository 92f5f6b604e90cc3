#!/usr/bin/env bash
# Series that come over the network give what a run on their files gives, in whatever order and company
# they come; what cannot be processed waits in quarantine with its reason; nothing that was confirmed is
# lost, also not by kill -9.
# needs: net, phantom
# slow: 30
set -u
# shellcheck source=tests/cli/lib/common.bash
source "$(dirname "$0")/lib/common.bash"
# shellcheck source=tests/cli/lib/make.bash
source "$(dirname "$0")/lib/make.bash"
# shellcheck source=tests/cli/lib/serve.bash
source "$(dirname "$0")/lib/serve.bash"
for tool in storescu echoscu dcmsend; do
  command -v "$tool" >/dev/null || {
    echo "skipped: no $tool (package dcmtk)"
    exit 77
  }
done
make_inputs 2
mapfile -t first < <(find "$work/phantom/PHANTOM-11-0001" -name '*.dcm' | sort)
mapfile -t second < <(find "$work/phantom/PHANTOM-11-0002" -name '*.dcm' | sort)
uid1=$(basename "$(dirname "${first[0]}")")
uid2=$(basename "$(dirname "${second[0]}")")
job=(--weights "$work/w.safetensors" --set figure.panel_pixels=128)
"$program" --log-level error run --series all --input "$work/phantom" "${job[@]}" -o "$work/run" \
  >/dev/null || fail "run"

# same_as_run FOLDER UID: byte for byte what a run on the files makes.
same_as_run() { diff -r "$1/$2" "$work/run/$2" >&2 || fail "$1/$2 differs from a run on the files"; }

# Two series, slice by slice in turn over one association, among C-ECHO and a second association.
serve mixed "${job[@]}" --nodules "$work/phantom" -o "$work/mixed" --quiet 1.5
mixed=()
for i in "${!first[@]}"; do mixed+=("${first[$i]}" "${second[$i]:-${second[0]}}"); done
echoscu 127.0.0.1 "$port" || fail "no answer to C-ECHO"
dcmsend 127.0.0.1 "$port" "${mixed[@]}" || fail "dcmsend"
logged "series $uid1: ${#first[@]} objects, done"
logged "series $uid2: ${#second[@]} objects, done"
same_as_run "$work/mixed" "$uid1"
same_as_run "$work/mixed" "$uid2"
# Once more: nothing is made again, nothing is doubled.
storescu 127.0.0.1 "$port" "${second[@]}" || fail "storescu"
logged "series $uid2: ${#second[@]} objects, results kept"
same_as_run "$work/mixed" "$uid2"
[ "$(in_spool mixed "done")" -eq $((${#first[@]} + ${#second[@]})) ] || fail "objects in done/"
"$program" serve --status --json --spool "$work/mixed.spool" >"$work/out"
grep -q '"outcome": "kept"' "$work/out" || fail "no outcome: $(cat "$work/out")"

# Without the slices around the nodule the series cannot be processed; with them, later, it can.
z_mm=$(awk -F, 'NR == 1 {for (i = 1; i <= NF; i++) at[$i] = i} NR == 2 {print $at["z_mm"]}' \
  "$work/run/$uid2/nodules.csv")
lost=() rest=()
for file in "${second[@]}"; do
  near=$(dcmdump +P ImagePositionPatient "$file" | sed 's/.*\\\(.*\)\].*/\1/' |
    awk -v z="$z_mm" '{print ($1 - z) ^ 2 < 100}')
  if [ "$near" = 1 ]; then lost+=("$file"); else rest+=("$file"); fi
done
stop
rm -rf "$work/mixed"
serve gap "${job[@]}" --nodules "$work/phantom" -o "$work/gap" --quiet 1
dcmsend 127.0.0.1 "$port" "${rest[@]}" || fail "dcmsend"
logged "series $uid2: to quarantine"
reason=$("$program" serve --status --json --spool "$work/gap.spool")
grep -q '"place": "quarantine"' <<<"$reason" || fail "not in quarantine: $reason"
grep -q "$uid2" <<<"$reason" || fail "the reason does not name the series: $reason"
grep -q '"reason": "..*"' <<<"$reason" || fail "no reason: $reason"
# It says that slices are missing, and names a file where it now lies.
for text in "$reason" "$(grep -F "to quarantine as" "$log")"; do
  grep -q "probably incomplete: ${#rest[@]} slices, and ${#lost[@]} of InstanceNumber" <<<"$text" ||
    fail "not said that slices are missing: $text"
  named=$(grep -o "$work/gap.spool[^ :]*\.dcm" <<<"$text" | head -n 1)
  [ -f "${named:-none}" ] || fail "names a file that is not there: $text"
done
nothing_in "$work/gap"
dcmsend 127.0.0.1 "$port" "${lost[@]}" || fail "dcmsend"
logged "series $uid2: ${#second[@]} objects, done"
same_as_run "$work/gap" "$uid2"
[ "$(in_spool gap quarantine)" -eq 0 ] || fail "still in quarantine"
stop

# A series that nobody marked is logged and kept, not put in quarantine.
find "$work/phantom" -path '*0002*' -name '*.xml' -exec cp {} "$work/only.xml" \;
mkdir "$work/marks"
mv "$work/only.xml" "$work/marks"
serve marks "${job[@]}" --nodules "$work/marks" -o "$work/marked" --quiet 1 --max-series 1 \
  --aet LUNG --check-called --caller GOOD@127.0.0.1
storescu -aet GOOD -aec OTHER 127.0.0.1 "$port" "${first[0]}" 2>/dev/null && fail "a wrong called title"
logged "refused: it called OTHER"
storescu -aet BAD -aec LUNG 127.0.0.1 "$port" "${first[0]}" 2>/dev/null && fail "a wrong calling title"
logged "refused: its title may not call"
storescu -aet GOOD -aec LUNG 127.0.0.1 "$port" "${first[@]:0:9}" || fail "storescu"
# The queue has room for one series: the next is refused as out of resources, not lost.
storescu -v -aet GOOD -aec LUNG 127.0.0.1 "$port" "${second[0]}" >"$work/out" 2>&1
grep -q 'Refused: OutOfResources' "$work/out" || fail "a series too many: $(tail -n 3 "$work/out")"
logged "series $uid1: 9 objects, no nodules"
[ "$(in_spool marks "done")" -eq 9 ] || fail "a series without nodules is not kept"
[ "$(in_spool marks quarantine)" -eq 0 ] || fail "in quarantine without nodules"
[ ! -e "$work/marked/$uid1" ] || fail "results without nodules"
stop

# Killed while it receives and while it works: what was confirmed is there, and is processed once.
serve killed "${job[@]}" --nodules "$work/phantom" -o "$work/killed" --quiet 3
dcmsend --create-report-file "$work/report" 127.0.0.1 "$port" "${first[@]}" 2>/dev/null &
sender=$!
until_true 60 has_objects killed receiving || fail "nothing came before the kill"
kill -9 "$server"
wait "$server" "$sender" 2>/dev/null
confirmed=$(grep -c '^Status Code *: *0x0000' "$work/report" 2>/dev/null)
[ "$(in_spool killed receiving)" -ge "${confirmed:-0}" ] || fail "a confirmed object is lost"
serve killed "${job[@]}" --nodules "$work/phantom" -o "$work/killed" --quiet 3
dcmsend 127.0.0.1 "$port" "${first[@]}" "${second[@]}" || fail "dcmsend after the kill"
until_true 60 has_objects killed work || fail "no job before the kill"
kill -9 "$server"
wait "$server" 2>/dev/null
serve killed "${job[@]}" --nodules "$work/phantom" -o "$work/killed" --quiet 1
logged "series $uid1: ${#first[@]} objects"
logged "series $uid2: ${#second[@]} objects"
stop
same_as_run "$work/killed" "$uid1"
same_as_run "$work/killed" "$uid2"
for uid in "$uid1" "$uid2"; do
  [ "$(grep -c "/$uid: . nodule" "$log")" -eq 1 ] || fail "series $uid was processed more than once"
done
for place in receiving work quarantine; do
  [ "$(in_spool killed "$place")" -eq 0 ] || fail "left in $place"
done
for place in receiving incoming damaged; do nothing_in "$work/killed.spool/$place"; done

# SIGTERM in the middle of a job: the series is finished first. Its results wait for an archive that is
# not there yet, and arrive when it is.
archive=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
polite=("${job[@]}" --nodules "$work/phantom" -o "$work/polite" --quiet 0.5
  --to "ARCHIVE@localhost:$archive")
serve polite "${polite[@]}"
dcmsend 127.0.0.1 "$port" "${first[@]}" || fail "dcmsend"
until_true 60 has_objects polite work || fail "no job before the stop"
stop
same_as_run "$work/polite" "$uid1"
captures=$(find "$work/polite/$uid1/captures" -name '*.dcm' | wc -l)
[ "$captures" -gt 0 ] || fail "no captures"
"$program" send -b "$work/polite.spool/outbox" --status --json >"$work/out"
grep -q "\"queued\": $captures" "$work/out" || fail "not queued: $(cat "$work/out")"
mkdir "$work/archive"
storescp -od "$work/archive" "$archive" &
serve polite "${polite[@]}"
until_true 60 has_files "$work/archive" "$captures" || fail "the results did not arrive: $(tail -n 5 "$log")"
stop

# Weights that go away are not the series' fault: it waits.
cp "$work/w.safetensors" "$work/gone.safetensors"
serve gone -w "$work/gone.safetensors" --nodules "$work/phantom" -o "$work/gone" --quiet 0.5
rm "$work/gone.safetensors"
storescu 127.0.0.1 "$port" "${first[@]:0:3}" || fail "storescu"
logged "waits 60 s: $work/gone.safetensors: the weight file cannot be read"
[ "$(in_spool gone work)" -eq 3 ] || fail "a series does not wait for its weights"
stop

# What cannot work is said before anything is received.
expect 4 "weight file cannot be read" serve --spool "$work/no" -w "$work/none" -p 0
expect 4 "nodules cannot be read" serve --spool "$work/no" "${job[@]}" -n "$work/none" -p 0
expect 4 "the nearest is 'lidc_axial'" serve --spool "$work/no" -w lidc_axal -p 0
expect 2 "series come from the network" serve -i "$work/phantom" -w "$work/w.safetensors" -p 0
expect 2 "expected a whole number" serve --port 70000
serve one "${job[@]}" -o "$work/one"
expect 16 "another server" serve --spool "$work/one.spool" "${job[@]}" -o "$work/one" -p 0
expect 22 "cannot be listened on" serve --spool "$work/other.spool" "${job[@]}" -o "$work/one" \
  --listen 127.0.0.1 --port "$port"
stop
finish
