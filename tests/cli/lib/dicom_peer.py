"""A DICOM storage provider that misbehaves on purpose, on a free loopback port (PS3.7, PS3.8).

dicom_peer.py PORT_FILE LOG [OPTION=VALUE...]

  store=A700,B000,0000   what the C-STOREs are answered, in turn; the last goes on for ever. Besides
                         statuses: hang (never answers), abort (A-ABORT), close (hangs up)
  associate=accept       or: hang, close, busy (rejected for the moment)
  syntaxes=UID,...       the only transfer syntaxes accepted (default: any)
  commit=all             the result of a storage commitment, on the same association: all, none (the
                         event says 0112, no such object, the first time and all the next), silent
The port goes to PORT_FILE; LOG gets a line for each thing that happens ("store UID", "commit N").
"""

import os
import socket
import struct
import sys
import threading

options = dict(word.split("=", 1) for word in sys.argv[3:])
answers = options.get("store", "0000").split(",")
syntaxes = options.get("syntaxes", "").split(",") if options.get("syntaxes") else None
lock = threading.Lock()
log = open(sys.argv[2], "a", buffering=1)
commitments = 0


def next_answer():
    with lock:
        return answers.pop(0) if len(answers) > 1 else answers[0]


class Gone(Exception):
    pass


def receive(connection, count):
    data = b""
    while len(data) < count:
        part = connection.recv(count - len(data))
        if not part:
            raise Gone
        data += part
    return data


def read_pdu(connection):
    kind, length = struct.unpack(">BxL", receive(connection, 6))
    return kind, receive(connection, length)


def items(data):
    at = 0
    while at + 4 <= len(data):
        kind, length = struct.unpack(">BxH", data[at : at + 4])
        yield kind, data[at + 4 : at + 4 + length]
        at += 4 + length


def item(kind, data):
    return struct.pack(">BxH", kind, len(data)) + data


def accept(request):
    """The A-ASSOCIATE-AC for a request, and the abstract syntax of each context."""
    contexts, reply = {}, item(0x10, b"1.2.840.10008.3.1.1.1")
    for kind, data in items(request[68:]):
        if kind != 0x20:
            continue
        number, offered, abstract = data[0], [], ""
        for sub, value in items(data[4:]):
            text = value.decode("ascii").rstrip("\0")
            if sub == 0x30:
                abstract = text
            elif sub == 0x40:
                offered.append(text)
        chosen = [s for s in offered if syntaxes is None or s in syntaxes]
        contexts[number] = abstract
        body = struct.pack(">BxBx", number, 0 if chosen else 4)
        reply += item(0x21, body + item(0x40, (chosen or offered)[0].encode("ascii")))
    user = item(0x51, struct.pack(">L", 16384)) + item(0x52, b"2.25.1")
    body = request[:68] + reply + item(0x50, user)
    return struct.pack(">BxL", 2, len(body)) + body, contexts


def element(tag, data):
    return struct.pack("<HHL", tag >> 16, tag & 0xFFFF, len(data)) + data


def uid(text):
    data = text.encode("ascii")
    return data + b"\0" * (len(data) % 2)


def us(value):
    return struct.pack("<H", value)


def command(*elements):
    body = b"".join(element(tag, data) for tag, data in elements)
    return element(0x00000000, struct.pack("<L", len(body))) + body


def elements(data):
    """Implicit VR Little Endian with defined lengths."""
    at = 0
    while at + 8 <= len(data):
        group, number, length = struct.unpack("<HHL", data[at : at + 8])
        yield group << 16 | number, data[at + 8 : at + 8 + length]
        at += 8 + length


def send(connection, context, flags, data):
    pdv = struct.pack(">LBB", len(data) + 2, context, flags) + data
    connection.sendall(struct.pack(">BxL", 4, len(pdv)) + pdv)


def event_report(request, found):
    """N-EVENT-REPORT for what an N-ACTION asked; explicit or implicit follows from the bytes."""
    implicit = request[4:6] != b"UI"
    at = request.find(struct.pack("<HH", 0x0008, 0x1199))
    transaction = request[:at]
    sequence = request[at:] if found else b""
    if not found:
        # The same items as failed ones, each with its reason.
        sequence = struct.pack("<HH", 0x0008, 0x1198) + request[at + 4 :]
        vr = b"" if implicit else b"US"
        reason = struct.pack("<HH", 0x0008, 0x1197) + (
            struct.pack("<LH", 2, 0x0112) if implicit else vr + struct.pack("<HH", 2, 0x0112)
        )
        sequence = add_to_items(sequence, reason, implicit)
    return command(
        (0x00000002, uid("1.2.840.10008.1.20.1")),
        (0x00000100, us(0x0100)),
        (0x00000110, us(77)),
        (0x00000800, us(0x0001)),
        (0x00001000, uid("1.2.840.10008.1.20.1.1")),
        (0x00001002, us(1 if found else 2)),
    ), transaction + sequence


def add_to_items(sequence, extra, implicit):
    head = 8 if implicit else 12
    length = struct.unpack("<L", sequence[head - 4 : head])[0]
    body, rest, out = sequence[head:], b"", b""
    if length != 0xFFFFFFFF:
        body, rest = body[:length], body[length:]
    while body[:4] == b"\xfe\xff\x00\xe0":
        size = struct.unpack("<L", body[4:8])[0]
        if size == 0xFFFFFFFF:
            size = body.find(b"\xfe\xff\x0d\xe0") - 8
            content, body = body[8 : 8 + size], body[16 + size :]
        else:
            content, body = body[8 : 8 + size], body[8 + size :]
        content += extra
        out += b"\xfe\xff\x00\xe0" + struct.pack("<L", len(content)) + content
    return sequence[: head - 4] + struct.pack("<L", len(out)) + out + rest


def answer_command(connection, context, fields, data):
    global commitments
    kind = struct.unpack("<H", fields[0x00000100])[0]
    number = fields[0x00000110]
    text = lambda tag: fields.get(tag, b"").decode("ascii").rstrip("\0 ")
    if kind == 0x0030:
        reply, status = 0x8030, 0
    elif kind == 0x0001:
        answer = next_answer()
        print("store", text(0x00001000), answer, file=log)
        if answer == "hang":
            threading.Event().wait(600)
        if answer == "close":
            raise Gone
        if answer == "abort":
            connection.sendall(bytes((7, 0, 0, 0, 0, 4, 0, 0, 0, 0)))
            raise Gone
        reply, status = 0x8001, int(answer, 16)
    elif kind == 0x0130:
        reply, status = 0x8130, 0
    elif kind == 0x8100:  # the answer to our event
        return
    else:
        raise Gone
    classes = fields.get(0x00000002) or fields.get(0x00000003)
    instance = fields.get(0x00001000) or fields.get(0x00001001)
    send(
        connection,
        context,
        3,
        command(
            (0x00000002, classes),
            (0x00000100, us(reply)),
            (0x00000120, number),
            (0x00000800, us(0x0101)),
            (0x00000900, us(status)),
            *([(0x00001000, instance)] if instance else []),
        ),
    )
    mode = options.get("commit", "all")
    if kind == 0x0130 and mode != "silent":
        commitments += 1
        report, dataset = event_report(data, mode == "all" or commitments > 1)
        print("commit", data.count(struct.pack("<HH", 0x0008, 0x1155)), file=log)
        send(connection, context, 3, report)
        send(connection, context, 2, dataset)


def converse(connection):
    parts, waiting = {0: b"", 1: b""}, None
    while True:
        kind, data = read_pdu(connection)
        if kind == 5:
            connection.sendall(bytes((6, 0, 0, 0, 0, 4, 0, 0, 0, 0)))
            return
        if kind != 4:
            return
        at = 0
        while at < len(data):
            length, context, flags = struct.unpack(">LBB", data[at : at + 6])
            parts[flags & 1] += data[at + 6 : at + 4 + length]
            at += 4 + length
            if not flags & 2:
                continue
            if flags & 1:
                waiting = dict(elements(parts[1]))
                parts[1] = b""
                if waiting[0x00000800] != us(0x0101):
                    continue
            answer_command(connection, context, waiting, parts[0])
            parts[0] = b""


def serve(connection):
    try:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        how = options.get("associate", "accept")
        if how == "hang":
            threading.Event().wait(600)
        kind, request = read_pdu(connection)
        if how == "close" or kind != 1:
            return
        if how == "busy":
            connection.sendall(bytes((3, 0, 0, 0, 0, 4, 0, 2, 3, 2)))
            receive(connection, 1)
        print("associate", file=log)
        reply, _ = accept(request)
        connection.sendall(reply)
        converse(connection)
    except (Gone, OSError):
        pass
    finally:
        connection.close()


listener = socket.socket()
listener.bind(("127.0.0.1", 0))
listener.listen(16)
with open(sys.argv[1] + ".new", "w") as out:
    print(listener.getsockname()[1], file=out)
os.rename(sys.argv[1] + ".new", sys.argv[1])
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
