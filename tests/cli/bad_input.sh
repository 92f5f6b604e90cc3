#!/usr/bin/env bash
# Every kind of bad input ends with its own exit code and one line that names file, thing and
# expectation, and leaves no partial output.
# needs: phantom
# slow: 30
set -u
# shellcheck source=tests/cli/lib/common.bash
source "$(dirname "$0")/lib/common.bash"
# shellcheck source=tests/cli/lib/make.bash
source "$(dirname "$0")/lib/make.bash"
make_inputs 2
w=$work/w.safetensors
one=$(dirname "$(find "$work/phantom" -name annotation.xml | sort | head -n 1)")
other=$(dirname "$(find "$work/phantom" -name annotation.xml | sort | tail -n 1)")
uid=$(basename "$one")

# refuse CODE TEXT ARGUMENT...: a run that must fail, in one line, with nothing left behind.
refuse() {
  local code=$1 text=$2
  shift 2
  expect "$code" "$text" --log-level error run --output "$work/results" "$@"
  one_line
  nothing_in "$work/results"
}

# no DICOM in the folder; no folder
mkdir "$work/empty"
echo text >"$work/empty/readme.txt"
refuse 5 "$work/empty: no DICOM image" --input "$work/empty" --weights "$w"
refuse 4 "$work/none" --input "$work/none" --weights "$w"
refuse 3 "no input: give --input" --weights "$w"
refuse 4 "the nearest is 'lidc_axial'" --input "$one" --weights lidc_axal

# several series and none chosen: they are listed
refuse 6 "$uid" --input "$work/phantom" --weights "$w"
grep -q "$(basename "$other")" "$work/err" || fail "the second series is not listed"
refuse 4 "1.2.3" --input "$work/phantom" --weights "$w" --series 1.2.3

# XML for another series: beside it, or named
refuse 10 "annotation.xml" --input "$one" --weights "$w" --nodules "$other/annotation.xml"
cp -r "$one" "$work/wrong"
cp "$other/annotation.xml" "$work/wrong/annotation.xml"
refuse 10 "expected series $uid" --input "$work/wrong" --weights "$w"
rm "$work/wrong/annotation.xml"
refuse 20 "no nodules beside series $uid" --input "$work/wrong" --weights "$w"
refuse 4 "none.xml" --input "$one" --weights "$w" --nodules "$work/none.xml"
head -c 700 "$one/annotation.xml" >"$work/wrong/annotation.xml"
refuse 8 "wrong/annotation.xml" --input "$work/wrong" --weights "$w"

# nodule outside the volume
printf 'seriesuid,coordX,coordY,coordZ,diameter_mm\n%s,0,0,99999,8\n' "$uid" >"$work/far.csv"
refuse 11 "$work/far.csv" --input "$one" --weights "$w" --nodules "$work/far.csv"
printf 'seriesuid,coordX,coordY,coordZ,diameter_mm\n%s,0,zero,0,8\n' "$uid" >"$work/word.csv"
refuse 8 "word.csv:2" --input "$one" --weights "$w" --nodules "$work/word.csv"
printf 'seriesuid,coordX,coordY,diameter_mm\n' >"$work/column.csv"
refuse 8 "coordZ" --input "$one" --weights "$w" --nodules "$work/column.csv"
printf 'seriesuid,coordX,coordY,coordZ,diameter_mm\n' >"$work/nothing.csv"
refuse 20 "nothing.csv" --input "$one" --weights "$w" --nodules "$work/nothing.csv"

# weight file: absent, not one, truncated, a tensor missing, a tensor of another shape
refuse 4 "no-such.safetensors" --input "$one" --weights "$work/no-such.safetensors"
echo "not a weight file" >"$work/text.safetensors"
refuse 8 "text.safetensors" --input "$one" --weights "$work/text.safetensors"
head -c 100000 "$w" >"$work/short.safetensors"
refuse 12 "short.safetensors" --input "$one" --weights "$work/short.safetensors"
python3 - "$w" "$work" <<'PYTHON'
import json, struct, sys
data = open(sys.argv[1], "rb").read()
n, = struct.unpack("<Q", data[:8])
header, body = json.loads(data[8:8 + n]), data[8 + n:]
def write(name, header):
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    open(f"{sys.argv[2]}/{name}.safetensors", "wb").write(struct.pack("<Q", len(text)) + text + body)
renamed = dict(header)
renamed["blocks.1.norm1.nothing"] = renamed.pop("blocks.1.norm1.weight")
write("missing", renamed)
shaped = json.loads(json.dumps(header))
shaped["blocks.1.mlp.fc1.weight"]["shape"].reverse()
write("shape", shaped)
values = bytearray(data)
start, _ = header["blocks.0.attn.proj.weight"]["data_offsets"]
values[8 + n + start:8 + n + start + 4] = struct.pack("<f", float("nan"))
open(f"{sys.argv[2]}/nan.safetensors", "wb").write(values)
PYTHON
refuse 13 "blocks.1.norm1.weight" --input "$one" --weights "$work/missing.safetensors"
refuse 13 "blocks.1.mlp.fc1.weight" --input "$one" --weights "$work/shape.safetensors"
refuse 18 "blocks.0.attn.proj.weight" --input "$one" --weights "$work/nan.safetensors"

# unwritable output
echo x >"$work/file"
expect 14 "$work/file" --log-level error run --input "$one" --weights "$w" --output "$work/file/below"
one_line
expect 14 "/proc/nothing" --log-level error run --input "$one" --weights "$w" --output /proc/nothing
one_line
if [ "$(id -u)" -ne 0 ]; then
  mkdir -m 555 "$work/readonly"
  expect 14 "readonly" --log-level error run --input "$one" --weights "$w" --output "$work/readonly"
  one_line
fi

# a file size limit is met in the middle of writing
(
  ulimit -f 40
  expect 14 "File too large" --log-level error run --input "$one" --weights "$w" -o "$work/limited"
  one_line
  [ "$failures" -eq 0 ]
) || failures=$((failures + 1))
nothing_in "$work/limited"

# output that exists
expect 0 "" --log-level error run --input "$one" --weights "$w" --output "$work/done"
before=$(find "$work/done" -type f -exec sha256sum {} + | sort)
expect 16 "exists; --overwrite" --log-level error run --input "$one" --weights "$w" -o "$work/done"
one_line
[ "$before" = "$(find "$work/done" -type f -exec sha256sum {} + | sort)" ] || fail "results changed"
expect 0 "" --log-level error run --input "$one" --weights "$w" -o "$work/done" --overwrite
expect 0 "" --log-level error run --input "$one" --weights "$w" -o "$work/done" --resume
[ "$before" = "$(find "$work/done" -type f -exec sha256sum {} + | sort)" ] || fail "results changed"
expect 2 "exclude each other" run --overwrite --resume

# a batch with one bad series: the other is complete, the exit code says partial
cp -r "$work/phantom" "$work/batch"
head -c 700 "$one/annotation.xml" >"$(find "$work/batch" -name annotation.xml | sort | head -n 1)"
expect 21 "1 of 2 series failed" --log-level error run --series all --input "$work/batch" \
  --weights "$w" -o "$work/partial"
[ -s "$work/partial/$(basename "$other")/results.h5" ] || fail "the good series is not there"
[ ! -e "$work/partial/$uid" ] || fail "the bad series left something"
finish
