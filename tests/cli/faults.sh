#!/usr/bin/env bash
# One call of the system fails, each in turn: open, stat, read and mmap of the input and of the
# weights, and allocations. Whatever fails, no command ends well with another result than without,
# and what lacked memory ends with 17. LUNGCDAM_FAULTS=all tries every call but those for memory,
# where otherwise some are. (What writes: faults_write.sh.)
# needs: phantom
# slow: 20
set -u
# shellcheck source=tests/cli/lib/common.bash
source "$(dirname "$0")/lib/common.bash"

[ -n "${LUNGCDAM_FAULT:-}" ] || {
  echo "skipped: no library that lets calls fail (sanitizers bring their own)"
  exit 77
}
"$program" --log-level error phantom -o "$work/ct" --matrix 64 --slice-spacing 10 --nodules 1 \
  >/dev/null || fail "phantom"
cp "$LUNGCDAM_SOURCE/configs/models/lidc_axial.safetensors" "$work/ct/w.safetensors"

# command NAME OUT: its result is OUT, and nothing else.
command_of() {
  case $1 in
  series) "$program" --log-level error --threads 1 series --csv "$work/ct" >"$2" ;;
  prepare) "$program" --log-level error --threads 1 prepare "$work/ct" -o "$2" ;;
  run) "$program" --log-level error --threads 1 run --input "$work/ct" \
    --weights "$work/ct/w.safetensors" --set preprocess.symmetries=false --csv -o "$2" >"$2.csv" ;;
  esac
}
digest() {
  find "$1" "$1.csv" -type f -exec sha256sum {} + 2>/dev/null | sed "s|$1||" | sort | sha256sum
}
forget() {
  rm -rf "$work/got" "$work/got".*
  printf '\0\0\0\0\0\0\0\0' >"$work/number.new" && mv "$work/number.new" "$work/number"
}
export LC_FAULT_NUMBER="$work/number" # the processes that parse files count along

# try COMMAND CALL N: exit code of the command while call N fails, in $got.
try() {
  forget
  got=0
  LD_PRELOAD=$LUNGCDAM_FAULT LC_FAULT_CALL=$2 LC_FAULT_AT=$3 LC_FAULT_BELOW="$work/ct" \
    command_of "$1" "$work/got" 2>"$work/err" || got=$?
}

tried=0
for command in series prepare run; do
  command_of "$command" "$work/right" >/dev/null 2>"$work/err" || fail "$command: $(cat "$work/err")"
  right=$(digest "$work/right")
  for call in open stat read mmap malloc; do
    forget
    LD_PRELOAD=$LUNGCDAM_FAULT LC_FAULT_CALL=$call LC_FAULT_COUNT="$work/n" \
      LC_FAULT_BELOW="$work/ct" command_of "$command" "$work/got" >/dev/null 2>&1
    n=$(cat "$work/n")
    step=$((n / 8 + 1))
    [ "$call" = malloc ] || [ "${LUNGCDAM_FAULTS:-}" != all ] || step=1
    for ((i = (step + 1) / 2; i <= n; i += step)); do
      try "$command" "$call" "$i"
      tried=$((tried + 1))
      if [ "$got" -ge 128 ]; then
        fail "$command, $call $i of $n: crashed with $got: $(cat "$work/err")"
      elif [ "$got" -eq 0 ]; then
        [ "$call" != malloc ] || fail "$command, $call $i of $n: memory that is not there, exit 0"
        [ "$(digest "$work/got")" = "$right" ] ||
          fail "$command, $call $i of $n: exit code 0 and another result: $(cat "$work/err")"
      else
        [ -s "$work/err" ] || fail "$command, $call $i of $n: exit code $got without a word"
        [ "$call" != malloc ] || [ "$got" -eq 17 ] ||
          fail "$command, $call $i of $n: exit code $got, expected 17: $(cat "$work/err")"
      fi
    done
  done
  rm -rf "$work/right" "$work/right".*
done
[ "$tried" -gt 70 ] || fail "only $tried calls were tried"
echo "$tried calls failed in turn"
finish
