#!/usr/bin/env bash
# Fetching from real archives by C-GET and C-MOVE: what comes is what lies there, again only what is
# missing, and a run processes it; wrong requests end with a clear message in bounded time.
# needs: net, phantom
# slow: 80
set -u
# shellcheck source=tests/cli/lib/common.bash
source "$(dirname "$0")/lib/common.bash"
# shellcheck source=tests/cli/lib/peers.bash
source "$(dirname "$0")/lib/peers.bash"
need_tool dcmqrscp storescu dcmsend dcmdump dcmodify Orthanc
"$program" --log-level error phantom -o "$work/phantom" --seed 11 --patients 2 --matrix 64 \
  --slice-spacing 10 >/dev/null || fail "phantom"
"$program" weights init vit_tiny_patch16 -o "$work/w.safetensors" --seed 1 >/dev/null || fail "weights"
first=$(dirname "$(find "$work/phantom/PHANTOM-11-0001" -name '*.dcm' | head -n 1)")
second=$(dirname "$(find "$work/phantom/PHANTOM-11-0002" -name '*.dcm' | head -n 1)")
uid1=$(basename "$first") uid2=$(basename "$second") study1=$(basename "$(dirname "$first")")
n1=$(find "$first" -name '*.dcm' | wc -l)
# The first study has an accession number and a second series, of another modality.
find "$first" -name '*.dcm' -exec dcmodify -q -nb -i '(0008,0050)=ACC-1' {} +
mkdir "$work/other"
cp "$(find "$first" -name '*.dcm' | head -n 1)" "$work/other/sr.dcm"
dcmodify -q -nb -gse -gin -m '(0008,0060)=OT' -i '(0008,103e)=Grüße' -i '(0008,0005)=ISO_IR 192' \
  "$work/other/sr.dcm"
mapfile -t objects < <(find "$work/phantom" "$work/other" -name '*.dcm')

# The archive of DCMTK's own tools, which knows us as LUNGCDAM and MOVER.
move_port=$(free_port)
start_dcmqrscp() {
  qr_port=$(free_port)
  mkdir -p "$work/qr"
  cat >"$work/qr.cfg" <<CONFIG
NetworkTCPPort  = $qr_port
MaxPDUSize      = 16384
MaxAssociations = 8
HostTable BEGIN
mover = (MOVER, localhost, $move_port)
HostTable END
VendorTable BEGIN
VendorTable END
AETable BEGIN
ARCHIVE $work/qr RW (200, 1024mb) ANY
AETable END
CONFIG
  start dcmqrscp -c "$work/qr.cfg"
  qr=$started_process
  wait_for 20 is_open "$qr_port" || fail "dcmqrscp does not listen"
  storescu -aec ARCHIVE 127.0.0.1 "$qr_port" "${objects[@]}" || fail "filling dcmqrscp"
  archive=ARCHIVE@localhost:$qr_port
}

start_orthanc() {
  orthanc_port=$(free_port)
  cat >"$work/orthanc.json" <<CONFIG
{"Name": "test", "StorageDirectory": "$work/orthanc", "IndexDirectory": "$work/orthanc",
 "HttpServerEnabled": false, "DicomServerEnabled": true, "DicomAet": "ORTHANC",
 "DicomPort": $orthanc_port, "RemoteAccessAllowed": true, "Plugins": [],
 "DicomAlwaysAllowGet": true, "DicomAlwaysAllowFind": true, "DicomAlwaysAllowMove": true,
 "DicomModalities": {"mover": ["MOVER", "127.0.0.1", $move_port]}}
CONFIG
  start Orthanc "$work/orthanc.json"
  orthanc=$started_process
  wait_for 60 is_open "$orthanc_port" || fail "Orthanc does not listen"
  dcmsend -aec ORTHANC 127.0.0.1 "$orthanc_port" "${objects[@]}" || fail "filling Orthanc"
}

# same_series FOLDER SOURCE: each object of the source lies below the folder once, pixel for pixel and
# attribute for attribute.
same_series() { same_objects "$2" "$1"; }

try_archive() { # try_archive NAME ADDRESS
  local name=$1 archive=$2 out=$work/$1
  expect 0 "$uid1" fetch "$archive" --accession ACC-1 --list
  grep -q "ACC-1" "$work/out" || fail "$name: no accession number in the list"
  expect 0 '"Modality": "OT"' fetch "$archive" --study "$study1" --list --json
  [ "$(grep -c '"SeriesInstanceUID"' "$work/out")" -eq 2 ] || fail "$name: the study has 2 series"

  # C-GET, only the CT
  expect 0 "$uid1" fetch "$archive" -A ACC-1 -m CT -o "$out-get"
  same_series "$out-get" "$first"
  # again: nothing comes; a file that is missing and one that is cut short come, nothing else
  expect 0 '"fetched": 0' fetch "$archive" -A ACC-1 -m CT -o "$out-get" --json
  folder=$out-get/$study1/$uid1
  mapfile -t there < <(find "$folder" -name '*.dcm' | sort)
  rm "${there[0]}"
  truncate -s 1000 "${there[1]}"
  expect 0 '"fetched": 2' fetch "$archive" -A ACC-1 -m CT -o "$out-get" --json
  same_series "$out-get" "$first"
  nothing_hidden=$(find "$out-get" -name '.*partial')
  [ -z "$nothing_hidden" ] || fail "$name: left behind: $nothing_hidden"

  # C-MOVE to our own port, by patient, and by series
  expect 0 "$uid2" fetch "$archive" -P PHANTOM-11-0002 --aet MOVER --move "$move_port" \
    --listen 127.0.0.1 -o "$out-move"
  same_series "$out-move" "$second"
  expect 0 "" fetch "$archive" --study "$study1" -s "$uid1" --aet MOVER --move "$move_port" \
    --listen 127.0.0.1 -o "$out-move-1"
  same_series "$out-move-1" "$first"

  # what cannot be
  expect 4 "no such study: asked for AccessionNumber 'id-" fetch "$archive" --accession NOTHING \
    -o "$out-none"
  grep -q NOTHING "$work/err" && fail "$name: an accession number in a message: $(cat "$work/err")"
  expect 4 "AccessionNumber 'NOTHING'" fetch "$archive" --log-identity --accession NOTHING \
    -o "$out-none"
  grep -qF "$archive: " "$work/err" || fail "$name: not said whom: $(cat "$work/err")"
  expect 4 "has 2 series of modality" fetch "$archive" -A ACC-1 \
    -m MR -o "$out-none"
  grep -q "'CT'.*; asked for modality 'MR'" "$work/err" || fail "$name: $(cat "$work/err")"
  expect 22 "" fetch "$archive" -P PHANTOM-11-0002 --aet STRANGER --move 0 --listen 127.0.0.1 \
    -o "$out-none"
  grep -q "C-MOVE was refused with status 0x" "$work/err" || fail "$name: $(cat "$work/err")"
  nothing_in "$out-none"
}

start_dcmqrscp
try_archive dcmqrscp "$archive"
grep -q "does not know our AE title" "$work/err" || fail "no reason: $(cat "$work/err")"
stop "$qr"
expect 22 "cannot connect" fetch "$archive" -A ACC-1
start_orthanc
try_archive orthanc "ORTHANC@localhost:$orthanc_port"
expect 0 "Grüße" fetch "ORTHANC@localhost:$orthanc_port" -A ACC-1 -m OT --list

# A batch starts from the archive.
cp "$(find "$work/phantom/PHANTOM-11-0001" -name '*.xml')" "$work/marks.xml"
expect 0 "nodule-1" run --input "$work/orthanc-get" --nodules "$work/marks.xml" \
  --weights "$work/w.safetensors" --set figure.panel_pixels=128 -o "$work/results"

# Killed in the middle, then again: whole files only, and in the end all of them.
"$program" fetch "ORTHANC@localhost:$orthanc_port" -P 'PHANTOM-11-*' -m CT -o "$work/killed" \
  >/dev/null 2>&1 &
fetching=$!
wait_for 20 test -e "$work/killed/$study1" || true
kill -9 "$fetching" 2>/dev/null
wait "$fetching" 2>/dev/null
expect 0 "" fetch "ORTHANC@localhost:$orthanc_port" -P 'PHANTOM-11-*' -m CT -o "$work/killed"
same_series "$work/killed/$study1" "$first"
[ "$(find "$work/killed" -type f | wc -l)" -eq $((n1 + $(find "$second" -name '*.dcm' | wc -l))) ] ||
  fail "a killed fetch left something: $(find "$work/killed" -type f ! -name '*.dcm')"

# An archive that accepts the connection and says nothing ends in bounded time.
silent=$(free_port)
start python3 -c 'import socket, sys, time
s = socket.socket(); s.bind(("127.0.0.1", int(sys.argv[1]))); s.listen(); time.sleep(600)' "$silent"
wait_for 20 is_open "$silent"
expect 22 "" fetch "SILENT@localhost:$silent" -A ACC-1 --timeout 1
stop "$orthanc"

expect 2 "which study?" fetch "ORTHANC@localhost:104"
expect 2 "which archive?" fetch -A 1
expect 2 "is no archive" fetch localhost:104 -A 1
expect 2 "a port from 1 to 65535" fetch PACS@localhost:99999 -A 1
expect 2 "a key has no backslash" fetch "$archive" -A 'a\b'
finish
