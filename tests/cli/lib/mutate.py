"""mutate.py SEED FIRST COUNT FOLDER BASE...: writes COUNT files FOLDER/NUMBER/x.dcm, each one of the bases changed
as SEED and NUMBER say, or with FOLDER "-" changes the bases themselves."""

import os
import random
import sys

NUMBERS = [b"\x00", b"\xff", b"\x00\x00", b"\xff\xff", b"\xfe\xff", b"\xff\xff\xff\xff", b"\xfe\xff\xff\xff",
           b"\x00\x00\x00\x80", b"\xfe\xff\x00\xe0", b"\xfe\xff\xdd\xe0", b"\xe0\x7f\x10\x00", b"SQ\x00\x00", b"UN\x00\x00"]


def mutate(bytes_, draw):
    data = bytearray(bytes_)
    for _ in range(draw.choice([1, 1, 1, 2, 4, 16])):
        # Half of all changes fall on what is not pixels.
        at = draw.randrange(132, min(len(data), 1200)) if draw.random() < 0.5 and len(data) > 140 else draw.randrange(max(1, len(data)))
        kind = draw.randrange(8)
        if kind < 3:
            data[at:at + 1] = bytes([draw.randrange(256)])
        elif kind == 3:
            what = draw.choice(NUMBERS)
            data[at:at + len(what)] = what
        elif kind == 4:
            del data[at:at + draw.choice([1, 2, 8, 64, 1024])]
        elif kind == 5:
            data[at:at] = data[at:at + draw.choice([2, 8, 64, 1024])]
        elif kind == 6:
            del data[at:]
        else:
            other = draw.randrange(max(1, len(data)))
            data[at:at + 32] = data[other:other + 32]
        if not data:
            data = bytearray(b"\x00")
    return bytes(data)


def main():
    seed, first, count, folder = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
    bases = sys.argv[5:]
    for number in range(first, first + count):
        draw = random.Random(f"{seed}-{number}")
        base = bases[number - first] if folder == "-" else draw.choice(bases)
        with open(base, "rb") as file:
            data = mutate(file.read(), draw)
        path = base
        if folder != "-":
            os.makedirs(f"{folder}/{number}")
            path = f"{folder}/{number}/x.dcm"
        with open(path, "wb") as file:
            file.write(data)


main()
