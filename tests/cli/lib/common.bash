# What every command-line test needs. Sourced with the program as $1.
#
#   program   the built lungcdam
#   work      a fresh folder, removed at the end
#   data      ../shared/data, possibly absent
# shellcheck shell=bash disable=SC2034
program=$(realpath "$1")
work=$(mktemp -d "${TMPDIR:-/tmp}/lungcdam-cli-XXXXXX")
data=$LUNGCDAM_SOURCE/../shared/data
failures=0
trap 'rm -rf "$work"' EXIT

# The interpreter that has h5py, where one does: a newer python3 may hide Debian's.
python3() {
  local interpreter
  for interpreter in python3 /usr/bin/python3; do
    command "$interpreter" -c 'import h5py, numpy' 2>/dev/null && break
    interpreter=python3
  done
  command "$interpreter" "$@"
}

fail() {
  echo "FAILED: $*" >&2
  failures=$((failures + 1))
}

# expect CODE TEXT ARGUMENT...: runs the program, compares the exit code, and looks for the text (a
# fixed string; "" for none) in what it printed. Output stays in $work/out and $work/err.
expect() {
  local code=$1 text=$2 got=0
  shift 2
  "$program" "$@" >"$work/out" 2>"$work/err" || got=$?
  if [ "$got" -ne "$code" ]; then
    fail "lungcdam $*: exit code $got, expected $code: $(tail -n 3 "$work/err")"
  elif [ -n "$text" ] && ! cat "$work/out" "$work/err" | grep -qF -- "$text"; then
    fail "lungcdam $*: no '$text' in: $(cat "$work/out" "$work/err" | tail -n 5)"
  fi
}

# one_line: the last failure was reported in exactly one line that is not a log line of lower level.
one_line() {
  local n
  n=$(grep -c '^lungcdam: ' "$work/err")
  [ "$n" -eq 1 ] || fail "expected one line of message, got $n: $(cat "$work/err")"
}

# empty FOLDER: exists with nothing in it, hidden or not, or does not exist.
nothing_in() {
  [ ! -e "$1" ] || [ -z "$(ls -A "$1")" ] || fail "left behind in $1: $(ls -A "$1")"
}

need_data() {
  [ -r "$data/README.md" ] || {
    echo "skipped: no real data at ../shared/data"
    exit 77
  }
}

finish() {
  [ "$failures" -eq 0 ] || {
    echo "$failures failed" >&2
    exit 1
  }
  exit 0
}
