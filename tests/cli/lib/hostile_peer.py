"""Peers that misbehave against a DICOM port on loopback: hostile_peer.py PORT WHAT [SECONDS].

WHAT: idle (300 connections that say nothing), slow (40 that send a byte a second), hold (an association from
each of eight addresses, 127.0.0.11 on, that then says nothing), huge (PDUs that claim 4 GB and that never end),
uids (objects with forged UIDs: prints the status each gets), life (an association that stays: prints after how
many seconds it was ended). The first four hold on until they are killed, and print "ready" when all is set up."""
import socket
import struct
import sys
import time

port, what = int(sys.argv[1]), sys.argv[2]
IMPLICIT, CT = b"1.2.840.10008.1.2", b"1.2.840.10008.5.1.4.1.1.2"


def connect(source="127.0.0.1"):
    return socket.create_connection(("127.0.0.1", port), 10, (source, 0))


def item(kind, value):
    return struct.pack(">BBH", kind, 0, len(value)) + value


def pdu(kind, body):
    return struct.pack(">BBL", kind, 0, len(body)) + body


def request(sop_class=CT):
    context = item(0x20, b"\1\0\0\0" + item(0x30, sop_class) + item(0x40, IMPLICIT))
    user = item(0x50, item(0x51, struct.pack(">L", 16384)) + item(0x52, b"1.2.3.4"))
    head = struct.pack(">HH", 1, 0) + b"LUNGCDAM".ljust(16) + b"HOSTILE".ljust(16) + bytes(32)
    return pdu(1, head + item(0x10, b"1.2.840.10008.3.1.1.1") + context + user)


def read_pdu(s):
    head = b""
    while len(head) < 6:
        got = s.recv(6 - len(head))
        if not got:
            return 0, b""
        head += got
    kind, _, length = struct.unpack(">BBL", head)
    body = b""
    while len(body) < length:
        got = s.recv(length - len(body))
        if not got:
            return 0, b""
        body += got
    return kind, body


def element(group, number, value):
    value += b"\0" * (len(value) % 2)
    return struct.pack("<HHL", group, number, len(value)) + value


def fragment(flags, value):
    return struct.pack(">LBB", len(value) + 2, 1, flags) + value


def store(uid):
    """The status of a C-STORE, or why there is none."""
    s = connect()
    s.settimeout(20)
    s.sendall(request())
    if read_pdu(s)[0] != 2:
        return "no association"
    words = element(0, 2, CT) + element(0, 0x100, struct.pack("<H", 1)) + element(0, 0x110, struct.pack("<H", 1))
    words += element(0, 0x700, struct.pack("<H", 0)) + element(0, 0x800, struct.pack("<H", 1)) + element(0, 0x1000, uid)
    command = element(0, 0, struct.pack("<L", len(words))) + words
    data = element(8, 0x16, CT) + element(8, 0x18, uid) + element(8, 0x60, b"CT")
    data += element(0x20, 0xD, b"1.2.3") + element(0x20, 0xE, b"1.2.3.4") + element(0x7FE0, 0x10, bytes(8))
    s.sendall(pdu(4, fragment(3, command)) + pdu(4, fragment(2, data)))
    try:
        kind, body = read_pdu(s)
    except OSError:
        kind = 0
    s.close()
    if kind != 4:
        return "ended"
    at = body.find(struct.pack("<HHL", 0, 0x900, 2))
    return "%04x" % struct.unpack_from("<H", body, at + 8)[0]


def hold_on(step=lambda: None):
    print("ready", flush=True)
    while True:
        time.sleep(1)
        step()


def try_all(sockets, data):
    for s in sockets:
        try:
            s.sendall(data)
        except OSError:
            pass


if what == "idle":
    held = [connect() for _ in range(300)]
    hold_on()
elif what == "slow":
    held, at = [connect() for _ in range(40)], [0]
    whole = request()

    def drip():
        try_all(held, whole[at[0] : at[0] + 1])
        at[0] += 1

    hold_on(drip)
elif what == "hold":
    held = []
    for n in range(8):
        held.append(connect("127.0.0.%d" % (11 + n)))
        held[-1].sendall(request())
        assert read_pdu(held[-1])[0] == 2, "no association"
    hold_on()
elif what == "huge":
    held = []
    for head in (struct.pack(">BBL", 1, 0, 0xFFFFFFFF), struct.pack(">BBL", 4, 0, 0xFFFFFFFF)):
        held.append(connect())
        held[-1].sendall(head + bytes(5000))
    held.append(connect())
    held[-1].sendall(request())
    read_pdu(held[-1])
    # A data set that never ends, before which nobody announced one, and one PDU that claims 4 GB.
    try_all(held[-1:], struct.pack(">BBL", 4, 0, 0xFFFFFFFF) + bytes(60000))
    hold_on(lambda: try_all(held, bytes(1000)))
elif what == "life":
    s, began = connect(), time.time()
    s.settimeout(60)
    s.sendall(request())
    assert read_pdu(s)[0] == 2, "no association"
    while read_pdu(s)[0] not in (0, 7):  # until it hangs up or aborts
        pass
    print(int(time.time() - began))
elif what == "uids":
    for uid in (b"../../../x", b"/tmp/lungcdam-hostile", b"1" * 65, b"", b"1.2/../3", b"%s%n", b"1.2.3.4.5"):
        print(uid.decode(), store(uid))
