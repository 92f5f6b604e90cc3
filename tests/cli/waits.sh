#!/usr/bin/env bash
# Nothing is waited for that may never come: a pipe or a device in place of a file is refused at once by
# name, and the first SIGTERM or SIGINT ends a command that waits for a peer, the clock or a full pipe.
# needs: net, phantom
set -u
# shellcheck source=tests/cli/lib/common.bash
source "$(dirname "$0")/lib/common.bash"
# shellcheck source=tests/cli/lib/make.bash
source "$(dirname "$0")/lib/make.bash"
trap 'for child in $(jobs -p); do kill -9 "$child" 2>/dev/null; done; rm -rf "$work"' EXIT
make_inputs 1
cd "$work" || exit 1
series=$(dirname "$(find phantom -name '*.dcm' | head -n 1)")
slice=$(find "$series" -name '*.dcm' | sort | head -n 1)
for end in dcm xml csv yaml safetensors h5 pth nii nii.gz nrrd mha; do mkfifo "pipe.$end"; done

# refused PIPE ARGUMENT...: in well under ten seconds, by its name.
refused() {
  local pipe=$1 got=0
  shift
  timeout 10 "$program" "$@" >out 2>err || got=$?
  { [ "$got" -eq 8 ] && grep -qF "$pipe: not a regular file" err; } ||
    fail "lungcdam $*: exit code $got: $(tail -n 2 err)"
}
run=(run -w w.safetensors -n phantom -o results)
for end in dcm nii nii.gz nrrd mha; do refused "pipe.$end" "${run[@]}" -i "pipe.$end"; done
refused pipe.xml run -w w.safetensors -i "$series" -o results -n pipe.xml
refused pipe.csv run -w w.safetensors -i "$series" -o results -n pipe.csv
refused pipe.safetensors run -w pipe.safetensors -i "$series" -o results
refused pipe.pth run -w pipe.pth -i "$series" -o results
refused pipe.yaml run pipe.yaml
refused pipe.safetensors run -i "$series" --set model.weights=pipe.safetensors
refused pipe.dcm run -w w.safetensors -i "$series" --reference pipe.dcm
refused /dev/zero run -w /dev/zero -i "$series"
refused pipe.dcm series pipe.dcm
refused pipe.xml nodules pipe.xml
refused pipe.h5 evaluate -w w.safetensors --crops pipe.h5
refused pipe.h5 judge -w w.safetensors --crops pipe.h5 -o judged
refused pipe.h5 train --crops pipe.h5 -o trained
refused pipe.yaml train pipe.yaml --crops none.h5 -o trained
refused pipe.safetensors weights show pipe.safetensors
refused pipe.pth weights convert pipe.pth -o converted.safetensors
refused pipe.dcm send -b box --to A@localhost:1 pipe.dcm
refused pipe.yaml send -b box -d pipe.yaml
refused pipe.yaml serve pipe.yaml -p 0
echo "model: {weights: pipe.safetensors}" >names.yaml
refused pipe.safetensors run names.yaml -i "$series"
# Among the files of a folder they are passed over or named, and never waited on.
mkdir folder
cp "$series"/* folder
for end in dcm xml csv nii nrrd; do mkfifo "folder/pipe.$end"; done
timeout 60 "$program" --log-level error series folder >out 2>err
[ $? -ne 124 ] || fail "a pipe in a folder is waited on"

# listens PROCESS: until it has a handler for SIGTERM, and then half a second.
listens() {
  local tries=200
  until [ $((0x$(awk '/^SigCgt/ {print $2}' "/proc/$1/status" 2>/dev/null || echo 0) & 0x4000)) -ne 0 ] ||
    [ $((tries -= 1)) -eq 0 ]; do sleep 0.05; done
  sleep 0.5
}
# ends SIGNAL CODE COMMAND...: the signal, sent while it waits, ends it within three seconds.
ends() {
  local name=$1 code=$2 got=0 began
  shift 2
  "$program" "$@" >out 2>err &
  local child=$!
  listens "$child"
  kill "-$name" "$child" 2>/dev/null || fail "lungcdam $*: it does not wait: $(tail -n 2 err)"
  began=$SECONDS
  wait "$child" || got=$?
  [ "$got" -eq "$code" ] || fail "lungcdam $* after $name: exit code $got, expected $code: $(tail -n 2 err)"
  [ $((SECONDS - began)) -le 3 ] || fail "lungcdam $* after $name: $((SECONDS - began)) s"
  [ "$code" -eq 0 ] || grep -q "stopped by $name" err || fail "lungcdam $*: $(cat err)"
}
# A peer that takes the connection and says nothing.
command python3 -c 'import socket, time
s = socket.socket(); s.bind(("127.0.0.1", 0)); s.listen(64)
print(s.getsockname()[1], flush=True); time.sleep(600)' >port &
while [ ! -s port ]; do sleep 0.05; done
silent=$(cat port)
ends SIGTERM 19 send --echo --to "A@localhost:$silent"
ends SIGINT 19 fetch "A@localhost:$silent" -A 1 -o fetched
ends SIGTERM 19 send -b box --to "A@localhost:$silent" "$slice"
ends SIGTERM 19 send -b web --to "http://localhost:$silent/dicom-web" "$slice"
ends SIGTERM 19 send -b box --to A@localhost:1 --wait 600 "$slice"
"$program" send -b box --list --json | grep -q '"state": "queued"' || fail "what was on its way does not wait"
ends SIGTERM 0 serve -w w.safetensors -n phantom -o results --spool spool -p 0
# A small pipe that nobody empties.
mkfifo full
command python3 -c 'import fcntl, os, time
fcntl.fcntl(os.open("full", os.O_RDWR), 1031, 4096) # F_SETPIPE_SZ
open("is_set", "w").close(); time.sleep(600)' &
while [ ! -e is_set ]; do sleep 0.05; done
"$program" config --print >full 2>err &
child=$!
listens "$child"
kill -TERM "$child" 2>/dev/null || fail "a full pipe is not waited for"
got=0
wait "$child" || got=$?
[ "$got" -eq 19 ] || fail "a full pipe: exit code $got"
finish
