#!/usr/bin/env bash
# DICOM over TLS: a good certificate works, a bad one is reported, and nothing is lost.
# needs: net, phantom
set -u
# shellcheck source=tests/cli/lib/common.bash
source "$(dirname "$0")/lib/common.bash"
# shellcheck source=tests/cli/lib/peers.bash
source "$(dirname "$0")/lib/peers.bash"
need_tool storescp openssl

# certificate NAME SAN: signed by ca.
certificate() {
  openssl req -newkey rsa:2048 -nodes -keyout "$1.key" -out "$1.csr" -subj "/CN=$1"
  printf 'subjectAltName=%s' "$2" >"$1.ext"
  openssl x509 -req -in "$1.csr" -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 \
    -extfile "$1.ext" -out "$1.pem"
}
cd "$work" || exit 1
{
  openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -days 2 -subj "/CN=CA"
  openssl req -x509 -newkey rsa:2048 -nodes -keyout self.key -out self.pem -days 2 \
    -subj "/CN=localhost" -addext "subjectAltName=DNS:localhost"
  certificate good "DNS:localhost,IP:127.0.0.1"
  certificate elsewhere "DNS:elsewhere.example"
} 2>/dev/null
"$program" --log-level error phantom -o whole --seed 6 --patients 1 --matrix 64 \
  --slice-spacing 10 >/dev/null || fail "phantom"
mkdir sent
find whole -name '*.dcm' | sort | head -n 3 | xargs -I{} cp {} sent
tls=(--set tls.on=true --set "tls.ca_file=ca.pem" --set timeout.association_s=5)

# with NAME OPTION...: storescp that shows that certificate.
with() {
  local name=$1
  shift
  port=$(free_port)
  start_storescp "$port" "received-$name" +tls "$name.key" "$name.pem" "$@"
}
with good -ic
good=$port
expect 0 "" send -b outbox "${tls[@]}" --to "PACS@localhost:$port" sent
same_objects sent received-good
expect 0 "answers" send --echo "${tls[@]}" --to "PACS@127.0.0.1:$port"
expect 22 "association" send --echo --to "PACS@localhost:$port" --set timeout.association_s=3
for name in elsewhere self; do
  with "$name" -ic
  expect 22 "TLS failed: TLS error: certificate verify failed" send -b "outbox-$name" "${tls[@]}" \
    --to "PACS@localhost:$port" sent
  [ "$(count "outbox-$name" queued)" -eq 3 ] || fail "$name: lost"
  nothing_in "received-$name"
  # Who knows what he does may say so.
  expect 0 "" send -b "outbox-$name" --retry --set tls.verify=false
  same_objects sent "received-$name"
done
# An archive that wants a certificate of ours.
with good +cf ca.pem
expect 22 "perhaps it wants a TLS certificate of ours" send --echo "${tls[@]}" --to "PACS@localhost:$port"
expect 0 "answers" send --echo "${tls[@]}" --to "PACS@localhost:$port" \
  --set tls.certificate=good.pem --set tls.key=good.key
expect 3 "does not belong to the certificate" send --echo "${tls[@]}" --to "PACS@localhost:$port" \
  --set tls.certificate=good.pem --set tls.key=elsewhere.key
expect 3 "given together" send --echo "${tls[@]}" --to "PACS@localhost:$good" --set tls.key=good.key
expect 3 "nowhere.pem cannot be read" send --echo --to "PACS@localhost:$good" --set tls.on=true \
  --set tls.ca_file=nowhere.pem
# TLS where none is spoken.
port=$(free_port)
start_storescp "$port" received-plain
expect 22 "TLS failed" send --echo "${tls[@]}" --to "PACS@localhost:$port"
finish
