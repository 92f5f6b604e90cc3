"""volume.py FOLDER OUT [AXES]: writes the one series of DICOM below a folder as OUT, which ends in .mha,
.mhd, .zmhd (compressed), .nii, .nii.gz or .nrrd, by the standard library alone. AXES: the order and
direction of the file's axes, such as "xyz" (as they are), "Xyz" (x runs the other way) or "zxy"."""
import array
import gzip
import pathlib
import struct
import sys
import zlib

LONG = {b"OB", b"OW", b"OF", b"OD", b"OL", b"SQ", b"UC", b"UN", b"UR", b"UT", b"OV", b"SV", b"UV"}


def element(data, at):
    """Tag, VR, start of the value and its length, of explicit little endian."""
    tag = struct.unpack_from("<HH", data, at)
    if tag[0] == 0xFFFE:
        return tag, b"", at + 8, struct.unpack_from("<I", data, at + 4)[0]
    vr = data[at + 4 : at + 6]
    if vr in LONG:
        return tag, vr, at + 12, struct.unpack_from("<I", data, at + 8)[0]
    return tag, vr, at + 8, struct.unpack_from("<H", data, at + 6)[0]


def after(data, value, length):
    """Where the value ends, through sequences of undefined length."""
    if length != 0xFFFFFFFF:
        return value + length
    at = value
    while True:
        tag, _, inner, size = element(data, at)
        if tag in ((0xFFFE, 0xE0DD), (0xFFFE, 0xE00D)):
            return inner
        at = after(data, inner, size)


def read(path):
    data = path.read_bytes()
    at, found = 132, {}
    while at < len(data):
        tag, _, value, length = element(data, at)
        if length != 0xFFFFFFFF:
            found[tag] = data[value : value + length]
        at = after(data, value, length)

    def texts(*tag):
        return found[tag].decode("latin-1").strip(" \0").split("\\")

    cells = array.array("h" if found[0x28, 0x103] == b"\1\0" else "H", found[0x7FE0, 0x10])
    slope, intercept = float(texts(0x28, 0x1053)[0]), float(texts(0x28, 0x1052)[0])
    return {
        "uid": texts(0x20, 0xE)[0],
        "position": [float(x) for x in texts(0x20, 0x32)],
        "spacing": [float(x) for x in texts(0x28, 0x30)],
        "rows": struct.unpack("<H", found[0x28, 0x10])[0],
        "columns": struct.unpack("<H", found[0x28, 0x11])[0],
        "hu": array.array("h", (max(-32768, round(slope * c + intercept)) for c in cells)),
    }


def main(folder, out, axes="xyz"):
    slices = sorted((read(p) for p in pathlib.Path(folder).rglob("*.dcm")), key=lambda s: s["position"][2])
    first, last = slices[0], slices[-1]
    n = len(slices)
    sizes = {"x": first["columns"], "y": first["rows"], "z": n}
    spacing = {"x": first["spacing"][1], "y": first["spacing"][0],
               "z": (last["position"][2] - first["position"][2]) / (n - 1)}
    size = [sizes[a.lower()] for a in axes]
    origin = list(first["position"])
    directions = []
    for a in axes:
        which = "xyz".index(a.lower())
        directions.append([(-1 if a.isupper() else 1) * (c == which) for c in range(3)])
        if a.isupper():
            origin[which] += (sizes[a.lower()] - 1) * spacing[a.lower()]
    voxels = array.array("h")
    ranges = {a.lower(): range(sizes[a.lower()])[:: -1 if a.isupper() else 1] for a in axes}
    if axes[0] == "x":
        for k in ranges[axes[2].lower()]:
            for j in ranges[axes[1].lower()]:
                z, y = (k, j) if axes[2].lower() == "z" else (j, k)
                voxels.extend(slices[z]["hu"][y * sizes["x"] : (y + 1) * sizes["x"]])
    else:
        at = {}
        for at[axes[2].lower()] in ranges[axes[2].lower()]:
            for at[axes[1].lower()] in ranges[axes[1].lower()]:
                for at[axes[0].lower()] in ranges[axes[0].lower()]:
                    voxels.append(slices[at["z"]]["hu"][at["y"] * sizes["x"] + at["x"]])
    data = voxels.tobytes()
    steps = [[spacing[a.lower()] * d for d in v] for a, v in zip(axes, directions)]
    out = pathlib.Path(out)
    words = lambda v: " ".join(repr(float(x)) for x in v)
    if out.suffix in (".mha", ".mhd", ".zmhd"):
        packed = zlib.compress(data, 1) if out.suffix == ".zmhd" else b""
        raw = out.with_suffix(".zraw" if packed else ".raw")
        head = (f"ObjectType = Image\nNDims = 3\nBinaryData = True\nBinaryDataByteOrderMSB = False\n"
                f"CompressedData = {bool(packed)}\n" + (f"CompressedDataSize = {len(packed)}\n" if packed else "")
                + f"TransformMatrix = {words(sum(directions, []))}\nOffset = {words(origin)}\n"
                f"ElementSpacing = {words(spacing[a.lower()] for a in axes)}\nDimSize = {size[0]} {size[1]} {size[2]}\n"
                f"ElementType = MET_SHORT\nElementDataFile = {'LOCAL' if out.suffix == '.mha' else raw.name}\n")
        if out.suffix == ".mha":
            out.write_bytes(head.encode() + data)
        else:
            out.with_suffix(".mhd").write_text(head)
            raw.write_bytes(packed or data)
    elif out.suffix == ".nrrd":
        vector = lambda v: "(" + ",".join(repr(float(x)) for x in v) + ")"
        head = (f"NRRD0004\ntype: short\ndimension: 3\nspace: left-posterior-superior\nsizes: {size[0]} {size[1]} {size[2]}\n"
                f"space directions: {' '.join(map(vector, steps))}\nspace origin: {vector(origin)}\n"
                "endian: little\nencoding: raw\n\n")
        out.write_bytes(head.encode() + data)
    else:
        head = bytearray(352)
        ras = [[-s[0], -s[1], s[2]] for s in steps]
        struct.pack_into("<i", head, 0, 348)
        struct.pack_into("<8h", head, 40, 3, *size, 1, 1, 1, 1)
        struct.pack_into("<hh", head, 70, 4, 16)
        struct.pack_into("<4f", head, 76, 1, *(spacing[a.lower()] for a in axes))
        struct.pack_into("<f", head, 108, 352)
        head[123] = 2
        struct.pack_into("<hh", head, 252, 0, 1)
        for row in range(3):
            place = origin[row] * (1 if row == 2 else -1)
            struct.pack_into("<4f", head, 280 + 16 * row, *(ras[a][row] for a in range(3)), place)
        head[344:348] = b"n+1\0"
        content = bytes(head) + data
        out.write_bytes(gzip.compress(content, 1) if out.suffix == ".gz" else content)
    print(first["uid"])


main(*sys.argv[1:])
