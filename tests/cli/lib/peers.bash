# Peers on free loopback ports for the tests of sending. Sourced after common.bash. Every process
# that is started here is killed at the end.
# shellcheck shell=bash disable=SC2154,SC2034
started=()
# No peer lies behind a proxy.
export no_proxy=localhost,127.0.0.1
# DCMTK's programs answer in several small writes; without this each waits for an acknowledgement.
export TCP_NODELAY=1

stop_all() {
  local process
  for process in "${started[@]}"; do kill -9 "$process" 2>/dev/null; done
  wait 2>/dev/null
  rm -rf "$work"
}
trap stop_all EXIT

need_tool() {
  local tool
  for tool in "$@"; do
    command -v "$tool" >/dev/null || [ -x "/usr/sbin/$tool" ] || {
      echo "skipped: $tool is not installed"
      exit 77
    }
  done
}

free_port() {
  command python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# wait_for SECONDS COMMAND...: until the command succeeds.
wait_for() {
  local end=$((SECONDS + $1))
  shift
  until "$@" >/dev/null 2>&1; do
    [ "$SECONDS" -lt "$end" ] || return 1
    sleep 0.05
  done
}

is_open() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# start COMMAND...: in the background; its number is in $started_process.
start() {
  command "$@" >>"$work/peers.log" 2>&1 &
  started_process=$!
  started+=("$started_process")
}

stop() {
  kill -9 "$1" 2>/dev/null
  wait "$1" 2>/dev/null
}

# start_storescp PORT FOLDER [OPTION...]
start_storescp() {
  local port=$1 folder=$2
  shift 2
  mkdir -p "$folder"
  start storescp -od "$folder" --accept-all "$@" "$port"
  wait_for 20 is_open "$port" || fail "storescp does not listen on $port"
}

# start_peer NAME [OPTION=VALUE...]: dicom_peer.py; its port is in $peer_port, its log in
# $work/NAME.log.
start_peer() {
  local name=$1
  shift
  rm -f "$work/$name.port"
  start python3 "$LUNGCDAM_SOURCE/tests/cli/lib/dicom_peer.py" "$work/$name.port" \
    "$work/$name.log" "$@"
  wait_for 20 test -s "$work/$name.port" || fail "dicom_peer.py does not start"
  peer_port=$(cat "$work/$name.port")
}

# start_web NAME ANSWER...: web_peer.py; its port is in $peer_port, its log in $work/NAME.log.
start_web() {
  local name=$1
  shift
  rm -f "$work/$name.port"
  start python3 "$LUNGCDAM_SOURCE/tests/cli/lib/web_peer.py" "$work/$name.port" \
    "$work/$name.log" "$@"
  wait_for 20 test -s "$work/$name.port" || fail "web_peer.py does not start"
  peer_port=$(cat "$work/$name.port")
}

# start_tls_proxy CERTIFICATE KEY TARGET: its port is in $peer_port.
start_tls_proxy() {
  rm -f "$work/proxy.port"
  start python3 "$LUNGCDAM_SOURCE/tests/cli/lib/tls_proxy.py" "$work/proxy.port" "$1" "$2" "$3"
  wait_for 20 test -s "$work/proxy.port" || fail "tls_proxy.py does not start"
  peer_port=$(cat "$work/proxy.port")
}

# count NAME STATE: how many objects of the outbox NAME are in that state.
count() {
  "$program" send -b "$work/$1" --list --json | grep -c "\"state\": \"$2\""
}

# same_objects SENT RECEIVED: each object of one folder lies in the other once, with an equal data
# set. Both are folders of DICOM files with any names.
same_objects() {
  command python3 - "$1" "$2" <<'PYTHON' || fail "$2 does not hold what was sent"
import os, subprocess, sys, collections

def data_sets(folder):
    """SOP Instance UID -> dump of the data set without its meta header."""
    found = collections.defaultdict(list)
    paths = []
    for where, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(where, name)
            with open(path, "rb") as file:
                if file.read(132)[128:] == b"DICM":
                    paths.append(path)
    for path in paths:
        text = subprocess.run(["dcmdump", "-q", "+L", path], capture_output=True).stdout
        lines = [l for l in text.splitlines() if l.startswith((b"(", b" ")) and not l.startswith(b"(0002,")]
        uid = [l for l in lines if l.startswith(b"(0008,0018)")][0].split(b"[")[1].split(b"]")[0]
        found[uid].append(b"\n".join(lines))
    return found

sent, received = data_sets(sys.argv[1]), data_sets(sys.argv[2])
bad = 0
for uid, dumps in sent.items():
    got = received.get(uid, [])
    if len(got) != 1 or got[0] != dumps[0]:
        bad += 1
        if bad < 4:
            print(uid.decode(), "arrived", len(got), "times", file=sys.stderr)
            if got:
                a, b = dumps[0].splitlines(), got[0].splitlines()
                print([x for x in zip(a, b) if x[0] != x[1]][:3], len(a), len(b), file=sys.stderr)
if set(received) - set(sent):
    print(len(set(received) - set(sent)), "strangers", file=sys.stderr)
sys.exit(bad > 0 or set(received) != set(sent) or not sent)
PYTHON
}

# make_objects N FOLDER: small CT slices, each with a SOP Instance UID of its own.
make_objects() {
  "$program" --log-level error phantom -o "$work/seed-patient" --seed 5 --patients 1 --matrix 64 \
    --slice-spacing 10 >/dev/null || fail "phantom"
  mkdir -p "$2"
  command python3 - "$(find "$work/seed-patient" -name '*.dcm' | sort | head -n 1)" "$1" "$2" <<'PYTHON'
import re, sys
data = open(sys.argv[1], "rb").read()
# Media Storage SOP Instance UID (0002,0003) of the meta header; the data set repeats it.
uid = re.search(rb"\x02\x00\x03\x00UI..([0-9.]+)", data, re.S).group(1)
for i in range(int(sys.argv[2])):
    with open("%s/%05d.dcm" % (sys.argv[3], i), "wb") as out:
        out.write(data.replace(uid, uid[:-5] + b"%05d" % i))
PYTHON
}
