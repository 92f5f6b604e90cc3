#!/usr/bin/env bash
# A server with TLS and storage commitment: only callers with a certificate are heard, and the request for
# commitment is the end of a series.
# needs: net, phantom
set -u
# shellcheck source=tests/cli/lib/common.bash
source "$(dirname "$0")/lib/common.bash"
# shellcheck source=tests/cli/lib/make.bash
source "$(dirname "$0")/lib/make.bash"
# shellcheck source=tests/cli/lib/serve.bash
source "$(dirname "$0")/lib/serve.bash"
for tool in openssl echoscu; do
  command -v "$tool" >/dev/null || {
    echo "skipped: no $tool"
    exit 77
  }
done
make_inputs 1
cd "$work" || exit 1
signed() { # signed NAME: key and certificate for localhost by our authority
  openssl req -newkey rsa:2048 -nodes -keyout "$1.key" -out "$1.csr" -subj "/CN=$1" &&
    openssl x509 -req -in "$1.csr" -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 \
      -extfile <(echo "subjectAltName=DNS:localhost,IP:127.0.0.1") -out "$1.pem"
}
{
  openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -days 2 -subj "/CN=CA"
  openssl req -x509 -newkey rsa:2048 -nodes -keyout self.key -out self.pem -days 2 -subj "/CN=self"
  signed server && signed caller
} >openssl.log 2>&1 || fail "openssl: $(tail -n 3 openssl.log)"

serve tls --weights w.safetensors --nodules phantom -o results --set figure.panel_pixels=128 \
  --quiet 3600 --commitment --tls-cert server.pem --tls-key server.key --tls-ca ca.pem
to=(--to "LUNGCDAM@localhost:$port" --set tls.on=true --set tls.ca_file=ca.pem)
known=("${to[@]}" --set tls.certificate=caller.pem --set tls.key=caller.key)
expect 0 "answers" send --echo "${known[@]}"
expect 22 "" send --echo "${to[@]}"
expect 22 "" send --echo "${to[@]}" --set tls.certificate=self.pem --set tls.key=self.key
# TLS 1.2 and 1.3 with the certificate of a caller, nothing older, and no authority but ours.
openssl req -x509 -newkey rsa:2048 -nodes -keyout other-ca.key -out other-ca.pem -days 2 \
  -subj "/CN=other" >>openssl.log 2>&1
shakes() { # shakes OPTION...: the handshake is completed, and the server does not hang up
  (sleep 1) | timeout 20 openssl s_client -connect "127.0.0.1:$port" -CAfile ca.pem -quiet \
    -verify_return_error "$@" >s_client.log 2>&1
  ! grep -qiE 'alert|error|no protocols' s_client.log
}
shakes -tls1_2 -cert caller.pem -key caller.key || fail "TLS 1.2: $(tail -n 2 s_client.log)"
shakes -tls1_3 -cert caller.pem -key caller.key || fail "TLS 1.3: $(tail -n 2 s_client.log)"
for old in -tls1 -tls1_1; do
  shakes "$old" -cipher 'ALL:@SECLEVEL=0' -cert caller.pem -key caller.key && fail "TLS below 1.2: $old"
done
shakes -tls1_2 && fail "no certificate"
shakes -tls1_2 -cert self.pem -key self.key && fail "a certificate of nobody"
shakes -tls1_2 -cert other-ca.pem -key other-ca.key && fail "a certificate of another authority"
timeout 60 echoscu 127.0.0.1 "$port" 2>/dev/null && fail "an association without TLS"
logged "TLS"

# All is committed, and the series processed, although the quiet time is an hour.
uid=$(basename "$(dirname "$(find phantom -name '*.dcm' | head -n 1)")")
objects=$(find phantom -name '*.dcm' | wc -l)
expect 0 "" send -b out.box "${known[@]}" --set commitment.mode=same_association \
  --set commitment.wait_s=60 --wait 100 phantom
expect 0 "\"confirmed\": $objects" send -b out.box --status --json
logged "series $uid: $objects objects, done"
expect 0 "" send --echo "${known[@]}"
stop

expect 3 "those of the system do not count" serve --weights w.safetensors -o results --tls-cert server.pem \
  --tls-key server.key -p 0
expect 3 "TLS" serve --weights w.safetensors -o results --tls-cert server.pem --tls-key caller.key -p 0
expect 3 "certificate and its key" serve --weights w.safetensors -o results --tls-cert server.pem -p 0
finish
