#!/usr/bin/env bash
# Peers that mean harm do not keep an honest one waiting for five seconds, learn nothing and leave nothing;
# who may call, from where and how is what the options say; what is written is its owner's alone; patients
# are named nowhere in the log; the audit trail is DICOM's.
# needs: net, phantom
# slow: 30
set -u
# shellcheck source=tests/cli/lib/common.bash
source "$(dirname "$0")/lib/common.bash"
# shellcheck source=tests/cli/lib/make.bash
source "$(dirname "$0")/lib/make.bash"
# shellcheck source=tests/cli/lib/serve.bash
source "$(dirname "$0")/lib/serve.bash"
for tool in storescu openssl; do
  command -v "$tool" >/dev/null || {
    echo "skipped: no $tool"
    exit 77
  }
done
make_inputs 1
cd "$work" || exit 1
patient=PHANTOM-11-0001 # the files' names do not say it
mv "phantom/$patient" phantom/one
mapfile -t slices < <(find phantom -name '*.dcm' | sort)
job=(--weights w.safetensors --nodules phantom --set figure.panel_pixels=64)

# Where and who: beyond this machine only with TLS or the user's word, and callers have an address.
expect 2 "--insecure" serve "${job[@]}" --spool no --listen 0.0.0.0 -p 0
expect 2 "has no address" serve "${job[@]}" --spool no --caller CT01 -p 0
expect 2 "no IPv4 address" serve "${job[@]}" --spool no --caller CT01@somewhere -p 0
expect 2 "--insecure" serve "${job[@]}" --spool no --set serve.listen=0.0.0.0 -p 0
expect 2 "--insecure" fetch A@localhost:1 -A 1 --move 0 --listen 0.0.0.0
expect 2 "has no address" fetch A@localhost:1 -A 1 --move 0 --caller CT01
[ ! -e no ] || fail "a spool although nothing was served"

serve hostile "${job[@]}" -o results --quiet 1 --timeout 20 --audit audit.xml --caller '*@127.0.0.1' \
  --caller HOSTILE@127.0.0.8/29 --caller HOSTILE@127.0.0.16/29
storescu -aet STRANGER 127.0.0.1 "$port" "${slices[0]}" || fail "a caller that may"
hostile() { # hostile WHAT: in the background until all is set up
  command python3 "$LUNGCDAM_SOURCE/tests/cli/lib/hostile_peer.py" "$port" "$1" >"$1.out" 2>&1 &
  enemy=$!
  until_true 20 grep -qs ready "$1.out" || fail "$1 is not ready: $(cat "$1.out")"
}
leaves() { { kill -9 "$enemy" && wait "$enemy"; } 2>/dev/null; }
honest() { # honest WHILE: an object is stored within five seconds
  local began
  began=$(date +%s%N)
  timeout 20 storescu -aet HONEST 127.0.0.1 "$port" "$2" || fail "not served during: $1"
  [ $((($(date +%s%N) - began) / 1000000)) -lt 5000 ] || fail "served too late during: $1"
}
hostile idle
honest "300 idle connections" "${slices[1]}"
hostile slow
honest "connections that send a byte a second" "${slices[2]}"
hostile hold
honest "eight peers that hold associations" "${slices[3]}"
leaves
hostile huge
honest "PDUs of 4 GB" "${slices[4]}"
leaves
python3 "$LUNGCDAM_SOURCE/tests/cli/lib/hostile_peer.py" "$port" uids >uids.out 2>&1 || fail "uids: $(cat uids.out)"
[ "$(wc -l <uids.out)" -eq 7 ] || fail "not all UIDs were tried: $(cat uids.out)"
[ "$(grep -c ' 0000$' uids.out)" -eq 1 ] || fail "a forged UID was stored: $(cat uids.out)"
grep -q '^1\.2\.3\.4\.5 0000$' uids.out || fail "an honest UID was not stored: $(cat uids.out)"
[ ! -e /tmp/lungcdam-hostile ] || fail "a UID became a path"
resident=$(awk '/VmRSS/ {print $2}' "/proc/$server/status")
[ "$resident" -lt 200000 ] || fail "the server takes $resident KiB"
for child in $(jobs -p); do
  [ "$child" = "$server" ] || { kill -9 "$child" && wait "$child"; } 2>/dev/null
done

# The series is worked on; nothing is there for others, and nobody is named.
storescu -aet HONEST 127.0.0.1 "$port" "${slices[@]}" || fail "the series"
logged " objects, done"
open=$(find hostile.spool results audit.xml \( -perm /077 ! -type l \))
[ -z "$open" ] || fail "others may read $(head -n 3 <<<"$open")"
# Kinds of object that nobody works on are not negotiated.
capture=$(find results -path '*captures*' -name '*.dcm' | head -n 1)
storescu -aet HONEST 127.0.0.1 "$port" "$capture" 2>/dev/null && fail "a secondary capture is taken"
command python3 -c 'import socket, sys
s = socket.create_connection(("127.0.0.1", int(sys.argv[1])), 5, ("127.0.0.99", 0))
s.sendall(b"\1\0\0\0\0\4abcd"); s.settimeout(5)
sys.exit(s.recv(10) != b"\3\0\0\0\0\4\0\1\1\3")' "$port" || fail "an address that may not call is not refused"
stop
grep -q "$patient" hostile.log audit.xml && fail "a patient is named: $(grep -h "$patient" hostile.log audit.xml | head -n 2)"

# Each line of the trail is an AuditMessage (PS3.15 A.5.1), read by another program's parser.
python3 - audit.xml "$(basename "$(dirname "$(dirname "${slices[0]}")")")" <<'PYTHON' || fail "the audit trail"
import re
import sys
import xml.etree.ElementTree as xml

ORDER = ["EventIdentification", "ActiveParticipant", "AuditSourceIdentification", "ParticipantObjectIdentification"]
seen, stored, made, patients = [], {}, 0, set()
for line in open(sys.argv[1], encoding="utf-8"):
    message = xml.fromstring(line)
    assert message.tag == "AuditMessage", message.tag
    places = [ORDER.index(child.tag) for child in message]
    assert places == sorted(places) and {0, 1, 2} <= set(places) and places.count(0) == places.count(2) == 1, places
    event = message[0]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", event.get("EventDateTime"))
    assert event.get("EventActionCode") in "CRUDE" and event.get("EventOutcomeIndicator") in ("0", "4", "8", "12")
    for code in message.iter():
        if code.tag.endswith(("ID", "Code")):
            assert code.get("csd-code"), code.tag
            assert code.tag == "AuditSourceTypeCode" or code.get("codeSystemName") and code.get("originalText")
    for person in message.iter("ActiveParticipant"):
        assert person.get("UserID") and person.get("UserIsRequestor") in ("true", "false")
    for thing in message.iter("ParticipantObjectIdentification"):
        assert [c.tag for c in thing][:2] == ["ParticipantObjectIDTypeCode", "ParticipantObjectName"]
        assert thing.get("ParticipantObjectID")
        if thing.get("ParticipantObjectTypeCodeRole") == "1":
            patients.add(thing.get("ParticipantObjectID"))
    kind = event.find("EventID").get("csd-code")
    types = [t.get("csd-code") for t in event.iter("EventTypeCode")]
    seen.append((kind, *types))
    study = [t.get("ParticipantObjectID") for t in message.iter("ParticipantObjectIdentification")][:1]
    if kind == "110104" and study == [sys.argv[2]]:
        roles = {r.get("csd-code") for r in message.iter("RoleIDCode")}
        assert roles == {"110152", "110153"}, roles
        for c in message.iter("SOPClass"):
            stored[c.get("UID")] = stored.get(c.get("UID"), 0) + int(c.get("NumberOfInstances"))
    made += kind == "110103" and study == [sys.argv[2]]
assert seen[0] == ("110100", "110120") and seen[-1] == ("110100", "110121"), seen
assert ("110113", "110126") in seen and made == 1, (seen, made)
assert list(stored) == ["1.2.840.10008.5.1.4.1.1.2"] and stored.popitem()[1] > 5, stored
assert all(re.fullmatch("id-[0-9a-f]{12}|unknown", p) for p in patients) and len(patients) == 2, patients
PYTHON

# What is sent on is in the trail too, here over syslog; quarantine is bounded.
archive=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
mkdir archive
storescp -od archive "$archive" &
command python3 -c 'import socket
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.bind("log.socket")
out = open("syslog", "ab", buffering=0)
while True: out.write(s.recv(65536) + b"\n")' &
until_true 20 test -S log.socket || fail "no socket"
serve sent "${job[@]}" -o sent --quiet 0.5 --audit syslog:log.socket --to "ARCHIVE@localhost:$archive" \
  --max-quarantine 1 --mode 0750
storescu -aet HONEST 127.0.0.1 "$port" "${slices[@]}" || fail "the series"
until_true 60 grep -q '"110102"' syslog || fail "nothing begins to be sent: $(tail -n 3 "$log")"
until_true 60 grep -q 'AETITLES=ARCHIVE.*NumberOfInstances' syslog || fail "nothing arrives"
head -n 1 syslog | grep -qE '^<85>1 [0-9-]+T[0-9:.]+Z [^ ]+ lungcdam [0-9]+ DICOM\+RFC3881 - .*<AuditMessage>' ||
  fail "no RFC 5424: $(head -n 1 syslog)"
[ "$(stat -c %a sent.spool)" = 750 ] || fail "--mode: $(stat -c %a sent.spool)"
for n in 1 2; do
  dcmodify -q -nb -ie -m "(0020,000e)=1.2.3.$n" -m "(0008,0018)=1.2.3.$n.1" -ea "(0028,0030)" \
    "$(cp "${slices[0]}" "bad$n.dcm" && echo "bad$n.dcm")" || fail "dcmodify"
  storescu -aet HONEST 127.0.0.1 "$port" "bad$n.dcm" || fail "bad$n"
  logged "series 1.2.3.$n: to quarantine"
done
logged "series 1.2.3.1: removed from quarantine with its 1 objects"
[ "$(in_spool sent quarantine)" -eq 1 ] || fail "quarantine is not bounded"
stop
finish
