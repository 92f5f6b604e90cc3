"""Reading LIDC-IDRI-0001 beside pydicom and SciPy: headers, and one nodule's cube.

    ct_peers.py PROGRAM [FOLDER]

FOLDER: a LIDC-IDRI patient, ../shared/data/LIDC-IDRI by default. One thread on both sides, the files
in the page cache. The peer loads the whole series and resamples it to 1 mm before it crops, which is
the usual recipe. Prints one line a measure; leaves with 77 when pydicom or SciPy is not there.
"""

import os
import resource
import subprocess
import sys
import tempfile
import time

REPEATS = 5
INDEX_TIMES = 10  # the folder is scanned this many times over, for a count worth timing


def child_peak_mib(command):
    """Wall seconds and peak memory of a child process."""
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if os.waitstatus_to_exitcode(status) != 0:
        sys.exit(f"failed: {' '.join(command)}")
    return time.perf_counter() - start, usage.ru_maxrss / 1024


def slices_of(folder):
    return [
        os.path.join(root, name)
        for root, _, names in os.walk(folder)
        for name in names
        if name.endswith(".dcm")
    ]


def peer_headers(paths):
    import pydicom

    start = time.perf_counter()
    for path in paths:
        pydicom.dcmread(path, stop_before_pixels=True)
    return time.perf_counter() - start


def peer_cube(paths, centre_mm, edge=32):
    """Whole series, resampled to 1 mm, cropped: as nodule pipelines in Python do it."""
    import numpy
    import pydicom
    from scipy import ndimage

    start = time.perf_counter()
    slices = sorted((pydicom.dcmread(p) for p in paths), key=lambda s: s.ImagePositionPatient[2])
    volume = numpy.stack(
        [s.pixel_array * float(s.RescaleSlope) + float(s.RescaleIntercept) for s in slices]
    ).astype(numpy.float32)
    z = [float(s.ImagePositionPatient[2]) for s in slices]
    spacing = numpy.array([z[1] - z[0], *map(float, slices[0].PixelSpacing)])
    resampled = ndimage.zoom(volume, spacing, order=1)
    origin = numpy.array([float(v) for v in slices[0].ImagePositionPatient])[::-1]
    first = numpy.round(numpy.array(centre_mm)[::-1] - origin - edge / 2).astype(int)
    cube = resampled[tuple(slice(a, a + edge) for a in first)]
    return time.perf_counter() - start, cube


def main():
    program = sys.argv[1]
    here = os.path.dirname(os.path.abspath(__file__))
    folder = sys.argv[2] if len(sys.argv) > 2 else f"{here}/../../../shared/data/LIDC-IDRI"
    paths = slices_of(folder)
    if not paths:
        print("skipped: no LIDC-IDRI series at", folder)
        return 77
    own = [program, "--threads", "1", "--log-level", "error"]
    for path in paths:  # into the page cache
        with open(path, "rb") as file:
            file.read()

    count = len(paths) * INDEX_TIMES
    seconds, mib = min(
        child_peak_mib([*own, "series", *[folder] * INDEX_TIMES]) for _ in range(REPEATS)
    )
    print(f"headers: {count} files in {seconds:.3f} s, {count / seconds:.0f} files/s, {mib:.0f} MiB")
    with tempfile.TemporaryDirectory() as work:
        made = [
            child_peak_mib([*own, "prepare", folder, "-o", f"{work}/{i}.h5"])
            for i in range(REPEATS)
        ]
    prepare_s, prepare_mib = min(made)
    print(f"prepare: one series in {prepare_s:.3f} s, {prepare_mib:.0f} MiB")
    try:
        import pydicom  # noqa: F401
        import scipy  # noqa: F401
    except ImportError as missing:
        print(f"skipped the comparison: {missing}")
        return 77
    peer_s = min(peer_headers(paths) for _ in range(REPEATS)) / len(paths)
    print(f"headers with pydicom: {1 / peer_s:.0f} files/s; ratio {peer_s / (seconds / count):.1f}")
    cube_s, cube = min((peer_cube(paths, (57.9, 85.3, -115.0)) for _ in range(2)), key=lambda r: r[0])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"cube with pydicom and SciPy (imports not counted): {cube_s:.3f} s, {peak:.0f} MiB, "
        f"mean {cube.mean():.0f} HU; ratio {cube_s / prepare_s:.1f}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
