#!/usr/bin/env bash
# Weight files, HDF5, XML, CSV, YAML and volume files that ask too much of a reader, and what is no file:
# lib/hostile_files.py makes each, and says which is not refused by name in bounded time and memory. The
# good series that some of them are for is done all the same.
# needs: phantom, pth
# slow: 15
set -u
# shellcheck source=tests/cli/lib/common.bash
source "$(dirname "$0")/lib/common.bash"
# shellcheck source=tests/cli/lib/make.bash
source "$(dirname "$0")/lib/make.bash"
python3 -c "import h5py, numpy" 2>/dev/null || {
  echo "skipped: needs python3-h5py"
  exit 77
}
make_inputs 1
good=$(dirname "$(find "$work/phantom" -name annotation.xml)")
"$program" --log-level error prepare "$work/phantom" -o "$work/set.h5" || fail "prepare"
limited=1
[ -n "${LUNGCDAM_FAULT:-}" ] || limited=0 # sanitizers take their own time and memory
python3 "$LUNGCDAM_SOURCE/tests/cli/lib/hostile_files.py" "$program" "$work" "$good" "$work/set.h5" $limited ||
  fail "not all are refused"
[ ! -e "$work/result" ] || nothing_in "$work/result"
[ ! -e "$work/made.h5" ] || fail "a data set was made"
# Pickles and HDF5 are looked at by a helper.
expect 0 "files are parsed by " --log-level debug weights show "$LUNGCDAM_SOURCE/tests/reference/torch_small.pth" \
  --arch vit_tiny_patch16
# Beside the good series they cost only themselves.
mkdir "$work/phantom/others"
for bad in huge.nii bomb.nii.gz huge.mha elsewhere.mha huge.nrrd deep.xml pipe.xml device.nii; do
  mv "$work/$bad" "$work/phantom/others"
done
"$program" run -i "$work/phantom" -s all -w "$work/w.safetensors" -o "$work/result" -S figure.write=false \
  >"$work/out" 2>"$work/err"
got=$?
[ "$got" -lt 128 ] || fail "beside bad files: exit code $got: $(tail -n 3 "$work/err")"
[ -s "$work/result/$(basename "$good")/results.h5" ] || fail "no result beside bad files"
finish
