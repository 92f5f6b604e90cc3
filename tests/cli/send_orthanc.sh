#!/usr/bin/env bash
# Orthanc as the archive: by C-STORE and by STOW-RS over HTTPS with basic credentials what comes back
# equals what was sent; it promises to keep what it has; bad certificates and passwords are reported.
# needs: net, phantom
set -u
# shellcheck source=tests/cli/lib/common.bash
source "$(dirname "$0")/lib/common.bash"
# shellcheck source=tests/cli/lib/peers.bash
source "$(dirname "$0")/lib/peers.bash"
need_tool Orthanc openssl dcmdump curl
PATH=$PATH:/usr/sbin
plugin=$(find /usr/share/orthanc/plugins /usr/lib/orthanc /usr/lib/*/orthanc -name 'libOrthancDicomWeb.so*' 2>/dev/null | head -n 1)
[ -n "$plugin" ] || {
  echo "skipped: orthanc-dicomweb is not installed"
  exit 77
}

# -- certificates: one for this machine, one for another
(
  cd "$work" || exit 1
  openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -days 2 -subj "/CN=CA"
  openssl req -x509 -newkey rsa:2048 -nodes -keyout other.key -out other.pem -days 2 -subj "/CN=O"
  openssl req -newkey rsa:2048 -nodes -keyout server.key -out server.csr -subj "/CN=localhost"
  printf 'subjectAltName=DNS:localhost' >extensions
  openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 \
    -extfile extensions -out server.pem
) 2>/dev/null || fail "certificates"

http=$(free_port) dicom=$(free_port) listen=$(free_port)
mkdir "$work/database"
cat >"$work/orthanc.json" <<JSON
{
  "Name": "test", "StorageDirectory": "$work/database", "IndexDirectory": "$work/database",
  "Plugins": ["$plugin"], "HttpPort": $http, "DicomPort": $dicom, "DicomAet": "ORTHANC",
  "DicomCheckCalledAet": true,
  "AuthenticationEnabled": true, "RegisteredUsers": {"ada": "s3cret word"},
  "DicomModalities": {"us": {"AET": "LUNGCDAM", "Host": "127.0.0.1", "Port": $listen}},
  "DicomWeb": {"Enable": true, "Root": "/dicom-web/"}
}
JSON
ask() { curl -s --fail -u 'ada:s3cret word' "$@"; }
start Orthanc "$work/orthanc.json"
wait_for 60 ask "http://localhost:$http/system" || {
  cat "$work/peers.log" >&2
  fail "Orthanc does not start"
}

start_tls_proxy "$work/server.pem" "$work/server.key" "$http"
https=$peer_port

# everything FOLDER: what Orthanc holds, as files.
everything() {
  local instance
  mkdir -p "$1"
  for instance in $(ask "http://localhost:$http/instances" | grep -o '[0-9a-f-]\{44\}'); do
    ask "http://localhost:$http/instances/$instance/file" -o "$1/$instance.dcm"
  done
}
forget() {
  local patient
  for patient in $(ask "http://localhost:$http/patients" | grep -o '[0-9a-f-]\{44\}'); do
    ask -X DELETE "http://localhost:$http/patients/$patient" >/dev/null
  done
}

"$program" --log-level error phantom -o "$work/whole" --seed 6 --patients 1 --matrix 64 \
  --slice-spacing 10 >/dev/null || fail "phantom"
mkdir "$work/sent"
find "$work/whole" -name '*.dcm' | sort | head -n 12 | xargs -I{} cp {} "$work/sent"
printf 'ada:s3cret word\n' >"$work/password"
printf 'ada:wrong\n' >"$work/wrong-password"
chmod 600 "$work/password" "$work/wrong-password"
cat >"$work/destinations.yaml" <<YAML
archive:
  host: localhost
  port: $dicom
  called_ae: ORTHANC
  commitment: {mode: listen, port: $listen, wait_s: 60}
web:
  url: https://localhost:$https/dicom-web
  tls: {ca_file: $work/ca.pem}
  credentials: {kind: basic, file: $work/password}
stranger:
  url: https://localhost:$https/dicom-web
  tls: {ca_file: $work/ca.pem}
  credentials: {kind: basic, file: $work/wrong-password}
untrusted:
  url: https://localhost:$https/dicom-web
  tls: {ca_file: $work/other.pem}
  credentials: {kind: basic, file: $work/password}
wrong_title:
  host: localhost
  port: $dicom
  called_ae: SOMEBODY
YAML
with=(-d "$work/destinations.yaml")

expect 0 "web: answers" send --echo "${with[@]}" --to web --to archive
expect 22 "HTTP 401: the credentials are missing or not sufficient" send --echo "${with[@]}" --to stranger
expect 22 "TLS failed" send --echo "${with[@]}" --to untrusted
expect 22 "called AE title not recognised" send --echo "${with[@]}" --to wrong_title
grep -rq "s3cret" "$work/out" "$work/err" && fail "a password was printed"

# -- C-STORE, with storage commitment reported to our port
expect 0 "" send -b "$work/outbox" "${with[@]}" --to archive "$work/sent"
[ "$(count outbox confirmed)" -eq 12 ] || fail "not confirmed: $(cat "$work/out" "$work/err")"
everything "$work/by-c-store"
same_objects "$work/sent" "$work/by-c-store"

# -- STOW-RS
forget
expect 0 "" send -b "$work/outbox" "${with[@]}" --set batch=5 --to web "$work/sent"
[ "$(count outbox sent)" -eq 12 ] || fail "not sent: $(cat "$work/out" "$work/err")"
everything "$work/by-stow"
same_objects "$work/sent" "$work/by-stow"
nothing_in "$work/outbox/objects"
grep -rq "s3cret" "$work/outbox" && fail "a password is in the outbox"

# Without TLS to this machine itself.
forget
expect 0 "" send -b "$work/outbox5" "${with[@]}" --set "url=http://localhost:$http/dicom-web" --to web "$work/sent"
everything "$work/by-http"
same_objects "$work/sent" "$work/by-http"

# -- credentials from the environment; wrong ones, unknown authorities and wrong titles lose nothing
forget
token="ada:s3cret word" expect 0 "" send -b "$work/outbox2" -d "$work/destinations.yaml" \
  --set credentials.file= --set credentials.variable=token --to web "$work/sent/000001.dcm"
for name in stranger untrusted wrong_title; do
  expect 22 "1 objects wait" send -b "$work/outbox-$name" "${with[@]}" --to "$name" "$work/sent/000001.dcm"
  [ "$(count "outbox-$name" queued)" -eq 1 ] || fail "$name: lost"
done
token="" expect 22 "no credentials in the environment variable token" send -b "$work/outbox3" \
  "${with[@]}" --set credentials.file= --set credentials.variable=token --to web "$work/sent/000001.dcm"
expect 22 "no STOW-RS service at this url" send -b "$work/outbox4" "${with[@]}" --to web \
  --set "url=https://localhost:$https/nowhere" "$work/sent/000001.dcm"
finish
