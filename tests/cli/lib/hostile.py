"""Makes DICOM files that ask too much of a reader, each in a folder of its own: hostile.py FOLDER."""
import os
import struct
import sys
import zlib

CT, ENHANCED = b"1.2.840.10008.5.1.4.1.1.2", b"1.2.840.10008.5.1.4.1.1.2.1"
EXPLICIT, DEFLATED = b"1.2.840.10008.1.2.1", b"1.2.840.10008.1.2.1.99"
RLE, HTJ2K, J2K = b"1.2.840.10008.1.2.5", b"1.2.840.10008.1.2.4.201", b"1.2.840.10008.1.2.4.90"
LONG = (b"SQ", b"UN", b"OB", b"OW")


def element(group, number, vr, value):
    value += b"" if len(value) % 2 == 0 else b"\0" if vr in (b"UI", b"OB") else b" "
    if vr in LONG:
        return struct.pack("<HH2sHI", group, number, vr, 0, len(value)) + value
    return struct.pack("<HH2sH", group, number, vr, len(value)) + value


def word(group, number, value):
    return element(group, number, b"US", struct.pack("<H", value))


def item(value):
    return struct.pack("<HHI", 0xFFFE, 0xE000, len(value)) + value


def meta(syntax):
    return b"\0" * 128 + b"DICM" + element(2, 2, b"UI", CT) + element(2, 16, b"UI", syntax)


def identity(sop_class, uid):
    return (element(8, 0x16, b"UI", sop_class) + element(8, 0x18, b"UI", uid + b".1")
            + element(8, 0x60, b"CS", b"CT") + element(0x20, 0xD, b"UI", uid + b".2")
            + element(0x20, 0xE, b"UI", uid + b".3") + element(0x20, 0x52, b"UI", uid + b".4"))


def image(side, frames=None):
    return (word(0x28, 2, 1) + element(0x28, 4, b"CS", b"MONOCHROME2")
            + (element(0x28, 8, b"IS", str(frames).encode()) if frames else b"")
            + word(0x28, 0x10, side) + word(0x28, 0x11, side)
            + (b"" if frames else element(0x28, 0x30, b"DS", b"1\\1"))
            + word(0x28, 0x100, 16) + word(0x28, 0x101, 12) + word(0x28, 0x102, 11)
            + word(0x28, 0x103, 0)
            + (b"" if frames else element(0x28, 0x1052, b"DS", b"-1024")
               + element(0x28, 0x1053, b"DS", b"1")))


def nested(group, number, depth):
    """Sequences in sequences, none of which ends."""
    start = struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF)
    inner = struct.pack("<HH2sHI", 8, 0x1140, b"SQ", 0, 0xFFFFFFFF) + start
    return struct.pack("<HH2sHI", group, number, b"SQ", 0, 0xFFFFFFFF) + start + inner * depth


def deflated(data):
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packer.compress(data) + packer.flush()


def enhanced(frames, side, turning):
    shared = (element(0x28, 0x9110, b"SQ", item(element(0x18, 0x50, b"DS", b"1")
                                                + element(0x28, 0x30, b"DS", b"1\\1")))
              + element(0x28, 0x9145, b"SQ", item(element(0x28, 0x1052, b"DS", b"-1024")
                                                  + element(0x28, 0x1053, b"DS", b"1"))))
    groups = []
    for i in range(frames):
        plane = b"1\\0\\0\\0\\1\\0"
        if turning and i % 2:
            plane = b"0\\1\\0\\1\\0\\0"
        groups.append(item(element(0x20, 0x9113, b"SQ", item(
            element(0x20, 0x32, b"DS", b"0\\0\\%d" % i)))
            + element(0x20, 0x9116, b"SQ", item(element(0x20, 0x37, b"DS", plane)))))
    return (identity(ENHANCED, b"2.25.7") + image(side, frames)
            + element(0x5200, 0x9229, b"SQ", item(shared))
            + element(0x5200, 0x9230, b"SQ", b"".join(groups)))


def frames_of(streams):
    return (struct.pack("<HH2sHI", 0x7FE0, 0x10, b"OB", 0, 0xFFFFFFFF) + item(b"")
            + b"".join(item(s + b"\0" * (len(s) % 2)) for s in streams)
            + struct.pack("<HHI", 0xFFFE, 0xE0DD, 0))


def slices(folder, syntax, stream):
    """A series of 8 slices of 16 x 16 whose pixels are this stream."""
    for i in range(8):
        place = (element(0x20, 0x13, b"IS", str(i + 1).encode())
                 + element(0x20, 0x32, b"DS", b"0\\0\\%d" % i)
                 + element(0x20, 0x37, b"DS", b"1\\0\\0\\0\\1\\0"))
        names = identity(CT, b"2.25.8").replace(b"2.25.8.1", b"2.25.8.%d" % (10 + i))
        head, tail = names.split(element(0x20, 0x52, b"UI", b"2.25.8.4"))
        data = head + place + element(0x20, 0x52, b"UI", b"2.25.8.4") + tail + image(16)
        write(folder, "%02d.dcm" % i, meta(syntax) + data + frames_of([stream]))


def codestream(step=1, tile=16, levels=5, block=4):
    """The main header of a JPEG 2000 code stream of 16 x 16, and the start of a tile."""
    size = struct.pack(">HHIIIIIIIIHBBB", 41, 0, 16, 16, 0, 0, tile, tile, 0, 0, 1, 11, step, 1)
    style = struct.pack(">HBBHBBBBBB", 12, 0, 2, 1, 0, levels, block, block, 0, 1)
    steps = struct.pack(">HB", 4 + 3 * 5, 0x20) + bytes(16)
    return (b"\xff\x4f\xff\x51" + size + b"\xff\x52" + style + b"\xff\x5c" + steps
            + b"\xff\x90" + struct.pack(">HHIBB", 10, 0, 0, 0, 1) + b"\xff\x93" + b"\0" * 40)


def write(folder, name, data):
    folder = os.path.join(sys.argv[1], folder)
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, name), "wb") as file:
        file.write(data)


plain = identity(CT, b"2.25.9")
write("nested_pixels", "bad.dcm", meta(EXPLICIT) + plain + nested(0x7FE0, 9, 100000))
write("nested_deflated", "bad.dcm", meta(DEFLATED) + deflated(plain + nested(0x7FE0, 9, 100000)))
write("nested_early", "bad.dcm", meta(EXPLICIT) + plain + nested(0x20, 0x9221, 100000))
write("nested_meta", "bad.dcm", meta(EXPLICIT) + nested(2, 0x100, 100000))
write("bomb", "bad.dcm", meta(DEFLATED) + deflated(plain + bytes(300 << 20)))
many = enhanced(65536, 2, True)
write("frames_turning", "bad.dcm", meta(EXPLICIT) + many + element(0x7FE0, 0x10, b"OW", bytes(65536 * 8)))
write("frames_rle", "bad.dcm", meta(RLE) + enhanced(4000, 32, False) + frames_of([bytes(64)] * 4000))
write("un_implicit", "bad.dcm", meta(EXPLICIT) + plain + struct.pack("<HH2sHI", 0x29, 0x1010, b"UN", 0, 0xFFFFFFFF)
      + (struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF) + struct.pack("<HHI", 8, 0x1140, 0xFFFFFFFF)) * 100000)
write("promises", "bad.dcm", meta(EXPLICIT) + struct.pack("<HH2sHI", 8, 5, b"OB", 0, 0x53490000) + b"ISO_IR 100")
write("promises_pixels", "bad.dcm", meta(EXPLICIT) + plain + image(8)
      + struct.pack("<HH2sHI", 0x7FE0, 0x10, b"OW", 0, 0xFFFFFFFE) + bytes(128))
write("huge_image", "bad.dcm", meta(EXPLICIT) + plain + image(65535) + element(0x7FE0, 0x10, b"OW", bytes(128)))
write("unknown_syntax", "bad.dcm", meta(b"1.2.3.4") + plain + image(8) + element(0x7FE0, 0x10, b"OW", bytes(128)))
write("two_syntaxes", "bad.dcm", meta(EXPLICIT) + element(2, 16, b"UI", DEFLATED) + plain + image(8)
      + element(0x7FE0, 0x10, b"OW", bytes(128)))
write("not_deflated", "bad.dcm", meta(DEFLATED) + plain + image(8))
slices("htj2k_step", HTJ2K, codestream(step=2))
slices("htj2k_levels", HTJ2K, codestream(levels=37))
slices("htj2k_blocks", HTJ2K, codestream(block=200))
slices("j2k_tiles", J2K, codestream(tile=1))
