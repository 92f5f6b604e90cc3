"""A STOW-RS server that answers as its arguments say, on a free loopback port (PS3.18 section 10.5).

web_peer.py PORT_FILE LOG ANSWER...

ANSWERs are used in turn, the last for ever: stored (200, names each object), empty (200, nothing), nothing
(200, an empty object), partial (202, the first stored, the others A900), warning (202, all B000), a number
(that HTTP status), bad:UID (400 as long as that object is in the request, else stored), hang.
LOG gets a line a request: how many objects, the Authorization header, the answer.
"""

import http.server
import json
import os
import re
import sys
import threading

answers = sys.argv[3:]
log = open(sys.argv[2], "a", buffering=1)
lock = threading.Lock()


def items(uids, tag=None, code=None):
    extra = {tag: {"vr": "US", "Value": [code]}} if tag else {}
    return {
        "vr": "SQ",
        "Value": [{"00081155": {"vr": "UI", "Value": [u]}, **extra} for u in uids],
    }


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.reply(200 if answers[0] != "401" else 401, b"[]")

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        kind = self.headers["Content-Type"]
        boundary = re.search("boundary=([^;]+)", kind).group(1).encode()
        parts = body.split(b"--" + boundary)[1:-1]
        # Media Storage SOP Instance UID of each part.
        uids = [
            re.search(rb"\x02\x00\x03\x00UI..([0-9.]+)", part, re.S).group(1).decode()
            for part in parts
        ]
        with lock:
            answer = answers.pop(0) if len(answers) > 1 else answers[0]
        right = (
            kind.startswith('multipart/related; type="application/dicom"')
            and all(p.startswith(b"\r\nContent-Type: application/dicom\r\n\r\n") for p in parts)
            and body.endswith(b"\r\n--" + boundary + b"--\r\n")
            and self.headers["Accept"] == "application/dicom+json"
            and self.path == "/root/studies"
        )
        print(len(uids), self.headers.get("Authorization", "-"), answer, file=log)
        if not right:
            return self.reply(500, b"")
        if answer == "hang":
            threading.Event().wait(600)
        if answer == "empty":
            return self.reply(200, b"")
        if answer == "nothing":
            return self.reply(200, b"{}")
        if answer == "partial":
            reply = {"00081199": items(uids[:1]), "00081198": items(uids[1:], "00081197", 0xA900)}
            return self.reply(202, json.dumps(reply).encode())
        if answer == "warning":
            reply = {"00081199": items(uids, "00081196", 0xB000)}
            return self.reply(202, json.dumps(reply).encode())
        if answer.startswith("bad:") and answer[4:] in uids:
            return self.reply(400, b"malformed")
        if answer.isdigit():
            return self.reply(int(answer), b"")
        self.reply(200, json.dumps({"00081199": items(uids)}).encode())

    def reply(self, status, body):
        self.send_response(status)
        if status == 302:
            self.send_header("Location", "/elsewhere")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
server.daemon_threads = True
with open(sys.argv[1] + ".new", "w") as out:
    print(server.server_address[1], file=out)
os.rename(sys.argv[1] + ".new", sys.argv[1])
server.serve_forever()
