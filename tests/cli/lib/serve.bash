# A server on a free port of the loopback, and what a test asks of it. Source after common.bash.
# shellcheck shell=bash
# shellcheck disable=SC2154,SC2034
server='' port='' log=''
# DCMTK's programs answer in several small writes; without this each waits for an acknowledgement.
export TCP_NODELAY=1
# What this test starts in the background ends with it.
trap 'for child in $(jobs -p); do kill -9 "$child" 2>/dev/null; done; rm -rf "$work"' EXIT

# until_true SECONDS COMMAND...: waits until it succeeds; false when it never did.
until_true() {
  local tries=$(($1 * 10))
  shift
  while [ "$tries" -gt 0 ]; do
    "$@" && return 0
    sleep 0.1
    tries=$((tries - 1))
  done
  return 1
}

# serve NAME ARGUMENT...: starts a server with spool $work/NAME.spool and log $work/NAME.log (which
# grows over restarts) and waits until it listens; sets server, port and log.
serve() {
  local name=$1 before
  shift
  log=$work/$name.log
  before=$(grep -c ' listening on ' "$log" 2>/dev/null)
  "$program" serve --spool "$work/$name.spool" --listen 127.0.0.1 --port 0 "$@" 2>>"$log" &
  server=$!
  until_true 60 listening "$((${before:-0} + 1))" || fail "$name does not listen: $(tail -n 3 "$log")"
  port=$(sed -n 's/.* listening on 127\.0\.0\.1:\([0-9]*\) .*/\1/p' "$log" | tail -n 1)
}

listening() { [ "$(grep -c ' listening on ' "$log" 2>/dev/null)" -ge "$1" ] 2>/dev/null; }

# logged TEXT [COUNT]: the log says it (so often), now or within two minutes.
logged() { until_true 120 says "$@" || fail "no '$1' in the log: $(tail -n 8 "$log")"; }
says() { [ "$(grep -cF -- "$1" "$log")" -ge "${2:-1}" ]; }

# stop: SIGTERM ends the server with exit code 0.
stop() {
  local got=0
  kill -TERM "$server" || fail "the server is not there"
  wait "$server" || got=$?
  [ "$got" -eq 0 ] || fail "SIGTERM: exit code $got"
}

# in_spool NAME PLACE: number of objects there.
in_spool() {
  "$program" serve --status --csv --spool "$work/$1.spool" 2>/dev/null |
    awk -F, -v place="$2" '$1 == place {sum += $5} END {print sum + 0}'
}
has_objects() { [ "$(in_spool "$@")" -gt 0 ]; }
has_files() { [ "$(find "$1" -type f | wc -l)" -eq "$2" ]; }
