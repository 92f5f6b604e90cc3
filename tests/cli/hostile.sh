#!/usr/bin/env bash
# Files that ask too much of a reader: each is refused by name, in under two seconds and 300 MB, with
# an exit code that is no crash, and a good series beside it is done all the same.
# needs: phantom
# slow: 60
set -u
# shellcheck source=tests/cli/lib/common.bash
source "$(dirname "$0")/lib/common.bash"
# shellcheck source=tests/cli/lib/make.bash
source "$(dirname "$0")/lib/make.bash"
make_inputs 1
good=$(dirname "$(find "$work/phantom" -name annotation.xml)")
uid=$(basename "$good")
python3 "$LUNGCDAM_SOURCE/tests/cli/lib/hostile.py" "$work/bad" || fail "hostile.py"
for file in deflated un_implicit_min enhanced_4000_frames; do
  [ ! -r "$data/hostile_inputs/$file.dcm" ] || {
    mkdir "$work/bad/$file"
    cp "$data/hostile_inputs/$file.dcm" "$work/bad/$file/bad.dcm"
  }
done
[ ! -d "$data/hostile_inputs/htj2k_subsampled" ] ||
  cp -r "$data/hostile_inputs/htj2k_subsampled" "$work/bad"
chmod -R u+w "$work/bad"

# measured ARGUMENT...: runs the program; its exit code, processor time in hundredths of a second and
# memory in MB, those of the processes that it waited for included, in $code, $time and $memory.
measured() {
  read -r code time memory < <(python3 - "$work" "$program" "$@" <<'PYTHON'
import resource, subprocess, sys
with open(sys.argv[1] + "/out", "wb") as out, open(sys.argv[1] + "/err", "wb") as err:
    code = subprocess.run(sys.argv[2:], stdout=out, stderr=err).returncode
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(code if code >= 0 else 128 - code, int(100 * (used.ru_utime + used.ru_stime)), used.ru_maxrss // 1000)
PYTHON
  )
}
# Sanitizers, valgrind and the like take their own time and memory.
limited=1
[ -n "${LUNGCDAM_FAULT:-}" ] || limited=

# endured WORDS ARGUMENT...: ends in an exit code of its own, within the limits, and says the words.
endured() {
  local words=$1
  shift
  measured "$@"
  [ "$code" -lt 128 ] || fail "$name: lungcdam $*: crashed with $code: $(tail -n 3 "$work/err")"
  [ -z "$limited" ] || [ "$time" -lt 200 ] || fail "$name: lungcdam $1 took ${time}0 ms"
  [ -z "$limited" ] || [ "$memory" -lt 300 ] || fail "$name: lungcdam $1 took $memory MB"
  grep -qE -- "$words" "$work/out" "$work/err" ||
    fail "$name: lungcdam $1 does not say '$words': $(tail -n 3 "$work/err")"
}

for folder in "$work"/bad/*; do
  name=$(basename "$folder")
  both=$work/both
  rm -rf "$both" "$work/result" "$work/set.h5"
  mkdir "$both"
  cp -r "$good" "$both/good"
  cp -r "$folder" "$both/bad"
  # Headers that are in order are shown as such, and refused where their pixels are looked at.
  endured "$uid" series "$both"
  case $name in
  frames_rle | enhanced_4000_frames | htj2k_* | j2k_*) bad_series=1 ;;
  *)
    bad_series=
    endured "bad/bad.dcm: " series "$both"
    ;;
  esac
  endured "nodule" nodules "$both"
  endured "" prepare "$both" -o "$work/set.h5"
  [ -s "$work/set.h5" ] || fail "$name: no data set: $(tail -n 3 "$work/err")"
  endured "" run -i "$both" --series all -w "$work/w.safetensors" -o "$work/result" -S figure.write=false
  [ -s "$work/result/$uid/results.h5" ] || fail "$name: no result: $(tail -n 3 "$work/err")"
  if [ -n "$bad_series" ]; then
    # Its pixels are asked for by a list of points in it.
    bad_uid=$(dcmdump -q +P 0020,000e "$(find "$folder" -name '*.dcm' | head -n 1)" | sed 's/.*\[\(.*\)\].*/\1/')
    printf 'seriesuid,coordX,coordY,coordZ,diameter_mm\n%s,8,8,4,4\n' "$bad_uid" >"$work/points.csv"
    rm -rf "$work/result"
    endured "bad/.*dcm: " run -i "$both" --series "$bad_uid" --nodules "$work/points.csv" \
      -w "$work/w.safetensors" -o "$work/result" -S figure.write=false
    [ "$code" -ne 0 ] || fail "$name: pixels that are none were taken for some"
  fi
done

# In the folder of the good series, too.
cp "$work/bad/nested_pixels/bad.dcm" "$good/zz.dcm"
name="beside the slices"
rm -rf "$work/result"
endured "zz.dcm: sequences nested too deeply" run -i "$good" -w "$work/w.safetensors" \
  -o "$work/result" -S figure.write=false
[ -s "$work/result/$uid/results.h5" ] || fail "no result beside zz.dcm: $(tail -n 3 "$work/err")"

# Without helpers nothing crashes either, and the log says so.
export LUNGCDAM_READER=none
for folder in "$work"/bad/*; do
  name="$(basename "$folder") in one process"
  measured --log-level debug series "$folder"
  [ "$code" -lt 128 ] || fail "$name: crashed with $code"
  grep -q "files are parsed in this process: LUNGCDAM_READER says so" "$work/err" ||
    fail "$name: the log does not say it"
done
finish
