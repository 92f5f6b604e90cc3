#!/usr/bin/env bash
# One call that writes fails, each in turn: write, fsync, rename, ftruncate, close and mkdir below the
# output, by turns because the disk is full (and stays so) or by an error of the device. The outputs of
# run, prepare, export, send and train are then the new ones, with exit code 0; or what was there
# before, or the new, each whole, with another code and a word; and the command makes the new ones
# when called again. LUNGCDAM_FAULTS=all tries every call, where otherwise some are.
# needs: net, phantom
# slow: 15
set -u
# shellcheck source=tests/cli/lib/common.bash
source "$(dirname "$0")/lib/common.bash"
# shellcheck source=tests/cli/lib/peers.bash
source "$(dirname "$0")/lib/peers.bash"
need_tool storescp
[ -n "${LUNGCDAM_FAULT:-}" ] || {
  echo "skipped: no library that lets calls fail (sanitizers bring their own)"
  exit 77
}
lungcdam() { "$program" --log-level error --threads 1 "$@"; }

# -- inputs: two patients, a network of a hundred numbers, its result, three objects
recipe=(--crops "$work/learn.h5" --set data.images=cube --set data.split=stored-nodule --set model.patch=8
  --set data.pixels=16 --set model.dim=8 --set model.depth=1 --set model.heads=1 --set model.mlp_dim=8
  --set augment.rotation_deg=0 --set augment.shift_px=0 --set augment.scale=0 --set augment.offset_hu=0
  --set augment.gain=0 --set augment.noise_hu=0 --set train.batch=1 --set train.epochs=2
  --set tasks.biomarkers=0 --set schedule.warmup_epochs=0 --set test.bootstrap=10 --set test.pictures=none)
{
  lungcdam phantom -o "$work/ct" --patients 2 --matrix 64 --slice-spacing 10 --nodules 1 &&
    lungcdam prepare "$work/ct" --folds 2 -o "$work/learn.h5" &&
    lungcdam train "${recipe[@]}" -o "$work/model" &&
    cp "$work/model/model.safetensors" "$work/w.safetensors" &&
    lungcdam run -i "$work/ct" -s all -w "$work/w.safetensors" -o "$work/results" -S figure.write=false
} >/dev/null 2>"$work/err" || fail "inputs: $(tail -n 3 "$work/err")"
mkdir "$work/objects"
find "$work/ct" -name '*.dcm' | sort | head -n 3 | xargs -I{} cp {} "$work/objects"
port=$(free_port)
start_storescp "$port" "$work/received"

# command_of COMMAND [old]: makes $work/out/...; old: with other content, for what is there before.
command_of() {
  local old=${2:-}
  case $1 in
  run) lungcdam run -f -i "$work/ct" -s all -w "$work/w.safetensors" -o "$work/out" \
    -S figure.panel_pixels="$((64 + ${#old}))" ;;
  prepare) lungcdam prepare "$work/ct" --folds 2 --overwrite --edge "$((16 + ${#old}))" -o "$work/out/set.h5" ;;
  export) lungcdam export -f -i "$work/ct" -o "$work/out" -O segmentation,slices \
    --description "of${old}" "$work/results" ;;
  send) lungcdam send -b "$work/out" --to "PACS@localhost:$port" --set retry.first_s=0.01 \
    "$work/objects" ;;
  train) lungcdam train --resume "${recipe[@]}" -o "$work/out" ;;
  esac
}

# digest FOLDER COMMAND: what lies in it, one line a thing that is whole or not there: a series, a file.
# The parts of a data set, the logs that training appends to and the outbox are judged by what comes of
# them.
digest() {
  (
    cd "$1" 2>/dev/null || exit
    case $2 in
    send) cd "$work/received" && sha256sum -- * 2>/dev/null ;;
    prepare) sha256sum set.h5 2>/dev/null ;;
    train) sha256sum model.safetensors predictions.csv evaluation.* 2>/dev/null ;;
    *)
      local thing
      for thing in *; do
        [ ! -e "$thing" ] || echo "$thing $(find "$thing" -type f -exec sha256sum {} + | sort -k 2 | sha256sum)"
      done
      ;;
    esac
  )
}
hidden() { find "$work/out" -name '.*' -print -quit; }
again() { # again COMMAND: as it was before
  rm -rf "$work/out" "$work/received"/*
  if [ -d "$work/before" ]; then cp -a "$work/before" "$work/out"; else mkdir "$work/out"; fi
  printf '\0\0\0\0\0\0\0\0' >"$work/number.new" && mv "$work/number.new" "$work/number"
}
export LC_FAULT_NUMBER="$work/number"

# judge COMMAND WORDS CODE: what is there after a call that failed.
judge() {
  local line
  digest "$work/out" "$1" >"$work/now"
  if [ "$3" -ge 126 ]; then
    fail "$2: crashed with $3: $(cat "$work/err")"
  elif [ "$3" -eq 0 ]; then
    cmp -s "$work/now" "$work/new" || fail "$2: exit code 0 and another result: $(cat "$work/err")"
  else
    [ -s "$work/err" ] || fail "$2: exit code $3 without a word"
    [ "$1" = send ] || while read -r line; do
      grep -qxF -- "$line" "$work/old" "$work/new" || fail "$2: neither old nor new: $line: $(cat "$work/err")"
    done <"$work/now"
    [ "$1" = send ] || [ "$(wc -l <"$work/now")" -ge "$(wc -l <"$work/old")" ] ||
      fail "$2: an earlier result is lost: $(cat "$work/err")"
  fi
}

tried=0 recovered=0
for command in run prepare export send train; do
  rm -rf "$work/before"
  again
  case $command in run | prepare | export)
    command_of $command old >/dev/null 2>"$work/err" || fail "$command: $(cat "$work/err")"
    mv "$work/out" "$work/before"
    ;;
  esac
  again
  digest "$work/out" "$command" >"$work/old"
  command_of $command >/dev/null 2>"$work/err" || fail "$command: $(cat "$work/err")"
  digest "$work/out" "$command" >"$work/new"
  [ -s "$work/new" ] || fail "$command makes nothing"
  cmp -s "$work/old" "$work/new" && fail "$command makes nothing new"
  for call in write sync rename truncate close mkdir; do
    again
    LD_PRELOAD=$LUNGCDAM_FAULT LC_FAULT_CALL=$call LC_FAULT_COUNT="$work/n" \
      LC_FAULT_BELOW="$work/out" command_of $command >/dev/null 2>&1
    n=$(cat "$work/n")
    digest "$work/out" "$command" | cmp -s - "$work/new" || fail "$command: another result when $call is counted"
    step=$((n / 3 + 1))
    [ "${LUNGCDAM_FAULTS:-}" != all ] || step=1
    for ((i = (step + 1) / 2; i <= n; i += step)); do
      again
      got=0
      LD_PRELOAD=$LUNGCDAM_FAULT LC_FAULT_CALL=$call LC_FAULT_AT=$i LC_FAULT_BELOW="$work/out" \
        command_of $command >/dev/null 2>"$work/err" || got=$?
      tried=$((tried + 1))
      judge $command "$command, $call $i of $n" "$got"
      # Called again it makes what it would have made.
      if [ "$got" -ne 0 ] && { [ "$step" -eq 1 ] || [ $((tried % 3)) -eq 0 ]; }; then
        recovered=$((recovered + 1))
        command_of $command >/dev/null 2>"$work/err" ||
          fail "$command after $call $i of $n: exit code $?: $(cat "$work/err")"
        digest "$work/out" "$command" | cmp -s - "$work/new" ||
          fail "$command after $call $i of $n: another result"
        [ -z "$(hidden)" ] || fail "$command after $call $i of $n: leaves $(hidden)"
      fi
    done
    [ "${LUNGCDAM_FAULTS:-}" != all ] || echo "$command: $n calls of $call"
  done
done
[ "$tried" -gt 50 ] || fail "only $tried calls were tried"
echo "$tried calls failed in turn, $recovered commands were called again"
finish
