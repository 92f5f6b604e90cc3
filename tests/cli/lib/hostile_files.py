"""Files of every kind but DICOM that ask too much of a reader: hostile_files.py PROGRAM FOLDER GOOD DATA_SET
LIMITED. GOOD is a series with its annotation, DATA_SET one of `prepare`. Runs the program on each, and says of
which it is not true that it is refused by name, with an exit code that is no crash, in under two seconds and
(where LIMITED is 1) 300 MB."""
import gzip
import io
import json
import os
import pickle
import random
import resource
import struct
import sys
import zipfile

import h5py
import numpy

program, folder, good, data_set, limited = sys.argv[1:]
uid = os.path.basename(good)
weights = ["run", "-i", good, "-o", folder + "/result", "-w"]
nodules = ["run", "-i", good, "-o", folder + "/result", "-w", folder + "/w.safetensors", "-n"]
crops = ["prepare", "-o", folder + "/made.h5", "--crops"]
evaluate = ["evaluate", "-w", folder + "/w.safetensors", "-d"]
volume = ["run", "-o", folder + "/result", "-w", folder + "/w.safetensors", "-i"]
config = ["run", "-i", good, "-o", folder + "/result"]
made = []


def path_of(name):
    return os.path.join(folder, name)


def bad(command, name, data=None):
    """Remembers a file, with what it holds, and what is tried on it."""
    made.append((command, name))
    if data is not None:
        with open(path_of(name), "wb") as file:
            file.write(data)


# -- archives of torch.save ---------------------------------------------------------------------
class Storage:  # a persistent id
    def __init__(self, key, count):
        self.key, self.count = key, count


def opcodes(body):
    return b"\x80\x02" + body + b"."


def text(value):
    return b"X" + struct.pack("<I", len(value)) + value


def number(value):
    return b"\x8a\x08" + struct.pack("<q", value)


def tensor(key, offset, shape, stride, count=1 << 20):
    return (b"ctorch._utils\n_rebuild_tensor_v2\n((" + text(b"storage") + b"ctorch\nFloatStorage\n" + text(key)
            + text(b"cpu") + number(count) + b"tQ" + number(offset) + b"(" + b"".join(map(number, shape)) + b"t("
            + b"".join(map(number, stride)) + b"t\x89NtR")


def archive(name, code, storages, packed=False):
    kind = zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", kind) as file:
        file.writestr("m/data.pkl", code)
        for key, data in storages.items():
            file.writestr("m/data/" + key, data)
    bad(weights, name, out.getvalue())
    return out.getvalue()


one = {"0": bytes(4096)}
archive("calls.pth", pickle.dumps(os.system, 2)[:-1] + b"(" + text(b"touch " + path_of("ran").encode()) + b"tR.", one)
archive("packed.pth", opcodes(b"}" + text(b"w") + tensor(b"0", 0, [1024], [1]) + b"s"), {"0": bytes(200 << 20)}, True)
archive("repeats.pth", opcodes(b"}" + text(b"w") + tensor(b"0", 0, [1 << 15, 1 << 15], [0, 0]) + b"s"), one)
archive("outside.pth", opcodes(b"}" + text(b"w") + tensor(b"0", 1 << 40, [16], [1]) + b"s"), one)
archive("negative.pth", opcodes(b"}" + text(b"w") + tensor(b"0", 0, [-5], [1]) + b"s"), one)
archive("absent.pth", opcodes(b"}" + text(b"w") + tensor(b"7", 0, [4], [1]) + b"s"), one)
archive("upward.pth", opcodes(b"}" + text(b"w") + tensor(b"../../x", 0, [4], [1]) + b"s"), one)
archive("views.pth", opcodes(b"}(" + b"".join(text(b"w%d" % i) + tensor(b"0", 0, [1024], [1])
                                             for i in range(9000)) + b"u"), one)
archive("many.pth", opcodes(b"}(" + b"".join(text(b"w%d" % i) + tensor(b"0", 0, [1], [1])
                                            for i in range(11000)) + b"u"), one)
archive("doubling.pth", opcodes(b"]q\x00" + b"".join(b"(h\x00h\x00lq\x00" for _ in range(60))), one)
archive("objects.pth", opcodes(b"]" * 3000000), one)
archive("marks.pth", opcodes(b"(" * 30000000), one)
archive("memo.pth", opcodes(b"]r\xff\xff\xff\x7f"), one)
archive("long.pth", opcodes(b"X\xff\xff\xff\xff"), one)
whole = archive("short.pth", opcodes(b"}" + text(b"w") + tensor(b"0", 0, [4], [1]) + b"s"), one)
bad(weights, "short.pth", whole[:len(whole) - 30])
made.pop(-2)


# -- safetensors ----------------------------------------------------------------------------------
def safetensors(name, header, body=b""):
    data = header if isinstance(header, bytes) else json.dumps(header).encode()
    bad(weights, name, struct.pack("<Q", len(data)) + data + body)


bad(weights, "header.safetensors", struct.pack("<Q", 1 << 62) + b"{}")
safetensors("nested.safetensors", b'{"w":' + b"[" * 1000000)
safetensors("large.safetensors", {"w": {"dtype": "F32", "shape": [1 << 31, 1 << 31], "data_offsets": [0, 16]}}, bytes(16))
safetensors("far.safetensors", {"w": {"dtype": "F32", "shape": [4], "data_offsets": [1 << 40, (1 << 40) + 16]}})
safetensors("names.safetensors", {"w%d" % i: {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]} for i in range(20000)})


# -- HDF5 -------------------------------------------------------------------------------------------
def crop_set(name, make):
    """A crop set of 4 crops whose HU are what make(file) says."""
    with h5py.File(path_of(name), "w") as file:
        for column in ("pixel_spacing_mm", "nodule_id", "malignancy_1_to_5"):
            file[column] = numpy.arange(1.0, 5.0)
        file["patient_id"] = numpy.array([b"a", b"b", b"c", b"d"])
        make(file)
    bad(crops, name)


def chunked(file, shape, chunk, **options):
    file.create_dataset("hu", shape, "i2", chunks=chunk, **options)


def filtered(file):
    creation = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    creation.set_chunk((1, 8, 8))
    creation.set_filter(32015, h5py.h5z.FLAG_OPTIONAL, (3,))
    h5py.h5d.create(file.id, b"hu", h5py.h5t.STD_I16LE, h5py.h5s.create_simple((4, 8, 8)), creation)


def virtual(file):
    with h5py.File(path_of("source.h5"), "w") as source:
        source["hu"] = numpy.zeros((4, 8, 8), "i2")
    layout = h5py.VirtualLayout((4, 8, 8), "i2")
    layout[:] = h5py.VirtualSource(path_of("source.h5"), "hu", (4, 8, 8))
    file.create_virtual_dataset("hu", layout)


def loop(file):
    file["hu"] = h5py.SoftLink("/there")
    file["there"] = h5py.SoftLink("/hu")


def bomb(file):
    chunked(file, (10000000, 64, 64), (4096, 64, 64), compression="gzip")
    file["hu"][:4096] = 0


with open(path_of("secret.txt"), "wb") as file:
    file.write(b"secret " * 4000)
crop_set("external_storage.h5", lambda f: f.create_dataset(
    "hu", (4, 8, 8), "i2", external=[(path_of("secret.txt"), 0, 512)]))
crop_set("external_link.h5", lambda f: f.__setitem__("hu", h5py.ExternalLink(path_of("source.h5"), "/hu")))
crop_set("virtual.h5", virtual)
crop_set("filter.h5", filtered)
crop_set("unwritten.h5", lambda f: chunked(f, (10000000, 64, 64), (1, 64, 64)))
crop_set("chunk.h5", lambda f: chunked(f, (4, 16384, 16384), (4, 16384, 16384)))
crop_set("bomb.h5", bomb)
crop_set("loop.h5", loop)
crop_set("texts.h5", lambda f: f.create_dataset("hu", (4,), h5py.string_dtype()))
crop_set("large.h5", lambda f: f.create_dataset("hu", (4, 2000, 2000), "i2", compression="gzip", data=numpy.zeros((4, 2000, 2000))))


def deep(file):
    group = file
    for _ in range(20000):
        group = group.create_group("g")


crop_set("deep.h5", deep)
bad(crops, "signature.h5", b"\x89HDF\r\n\x1a\n" + b"\xff" * 4096)
for i in range(6):  # what says where things lie, changed
    with open(data_set, "rb") as file:
        data = bytearray(file.read())
    draw = random.Random(i)
    data[8 + i * 8:16 + i * 8] = draw.randbytes(8)
    for _ in range(200):
        data[96 + draw.randrange(4096)] = draw.randrange(256)
    bad(evaluate, "changed%d.h5" % i, bytes(data))

# -- XML, CSV, YAML -----------------------------------------------------------------------------------
entities = "".join('<!ENTITY e%d "%s">' % (i, "&e%d;" % (i - 1) * 10 if i else "lol" * 10) for i in range(10))
bad(nodules, "laughs.xml", ("<!DOCTYPE x [%s]><LidcReadMessage>&e9;</LidcReadMessage>" % entities).encode())
bad(nodules, "foreign.xml", b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><LidcReadMessage>&e;</LidcReadMessage>')
bad(nodules, "deep.xml", b"<LidcReadMessage>" + b"<a>" * 2000000)
bad(nodules, "attribute.xml", b'<LidcReadMessage uid="' + b"1" * (30 << 20))
bad(nodules, "numbers.xml", b"<LidcReadMessage><readingSession><unblindedReadNodule><roi><imageZposition>" + b"9" * 400
    + b"</imageZposition></roi></unblindedReadNodule></readingSession></LidcReadMessage>")
columns = b"seriesuid,coordX,coordY,coordZ,diameter_mm\n" + uid.encode()
bad(nodules, "infinite.csv", columns + b",inf,0,0,5\n")
bad(nodules, "huge.csv", columns + b",1e308,1e308,1e308,1e308\n")
bad(nodules, "line.csv", b"a" * (40 << 20))
bad(nodules, "quote.csv", columns + b',"' + b"x\n" * (10 << 20))
bad(nodules, "zeros.csv", columns + b"\0" * 100000)
aliases = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    "a%d: &a%d [%s]\n" % (i, i, ", ".join(["*a%d" % (i - 1)] * 9)) for i in range(1, 10))
bad(config, "aliases.yaml", aliases.encode())
bad(config, "deep.yaml", b"input: " + b"[" * 500000)
bad(config, "deep_block.yaml", b"".join(b" " * i + b"a:\n" for i in range(3000)))
bad(config, "scalar.yaml", b"input: {paths: [" + b"x" * (30 << 20) + b"]}")

# -- volume files ---------------------------------------------------------------------------------------
nifti = bytearray(352)
nifti[0:4] = struct.pack("<i", 348)
nifti[40:56] = struct.pack("<8h", 3, 32767, 32767, 32767, 1, 1, 1, 1)
nifti[70:74] = struct.pack("<2h", 4, 16)
nifti[76:92] = struct.pack("<4f", 1, 1, 1, 1)
nifti[108:112] = struct.pack("<f", 352)
nifti[252:256] = struct.pack("<2h", 1, 1)
nifti[344:348] = b"n+1\0"
bad(volume, "huge.nii", bytes(nifti))
bad(volume, "bomb.nii.gz", gzip.compress(bytes(nifti) + bytes(200 << 20), 6))
bad(volume, "huge.mha", b"ObjectType = Image\nNDims = 3\nDimSize = 60000 60000 60000\nElementType = MET_SHORT\n"
    b"ElementSpacing = 1 1 1\nElementDataFile = LOCAL\n\0\0")
bad(volume, "elsewhere.mha", b"ObjectType = Image\nNDims = 3\nDimSize = 8 8 8\nElementType = MET_SHORT\n"
    b"ElementSpacing = 1 1 1\nElementDataFile = /etc/passwd\n")
bad(volume, "huge.nrrd", b"NRRD0004\ntype: short\ndimension: 3\nspace: left-posterior-superior\nsizes: 99999 99999 99999\n"
    b"space directions: (1,0,0) (0,1,0) (0,0,1)\nencoding: raw\nendian: little\n\n")

# -- what is no file --------------------------------------------------------------------------------------
for name, command in (("pipe.pth", weights), ("pipe.h5", crops), ("pipe.xml", nodules), ("pipe.yaml", config)):
    os.mkfifo(path_of(name))
    bad(command, name)
for name, command in (("device.safetensors", weights), ("device.csv", nodules), ("device.nii", volume)):
    os.symlink("/dev/zero", path_of(name))
    bad(command, name)

failures, slowest, largest = 0, 0, 0
for command, name in made:
    line = [program, "--log-level", "error", *command, path_of(name)]
    child = os.posix_spawn(program, line, os.environ, file_actions=[
        (os.POSIX_SPAWN_OPEN, 1, path_of("out"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600),
        (os.POSIX_SPAWN_OPEN, 2, path_of("err"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)])
    _, status, used = os.wait4(child, 0)
    with open(path_of("err"), errors="replace") as file:
        said = file.read()
    code = os.waitstatus_to_exitcode(status)
    seconds, megabytes = used.ru_utime + used.ru_stime, used.ru_maxrss / 1000
    slowest, largest = max(slowest, seconds), max(largest, megabytes)
    wrong = []
    if code <= 0 or code >= 128:
        wrong.append("exit code %d" % code)
    if name.split(".")[0] not in said:
        wrong.append("is not named")
    if limited == "1" and megabytes >= 300:
        wrong.append("%d MB" % megabytes)
    if limited == "1" and seconds >= 2:
        wrong.append("%.1f s" % seconds)
    if wrong:
        failures += 1
        print("%s: %s: %s" % (name, ", ".join(wrong), said[-300:]), file=sys.stderr)
if os.path.exists(path_of("ran")):
    failures += 1
    print("a pickle's call was made", file=sys.stderr)
print("%d files, the slowest took %.1f s of processor time, the largest %d MB" % (len(made), slowest, largest))
sys.exit(failures > 0)
