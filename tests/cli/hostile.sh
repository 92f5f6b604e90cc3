#!/usr/bin/env bash
# Files that ask too much of a reader: each is refused by name, in under two seconds and 300 MB, with
# an exit code that is no crash, and a good series beside it is done all the same.
# needs: phantom
# slow: 30
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

# Each alone. Headers that are in order are shown as such, and refused where their pixels are looked
# at, which a list of points in them asks for.
for folder in "$work"/bad/*; do
  name=$(basename "$folder")
  case $name in
  frames_rle | enhanced_4000_frames | htj2k_* | j2k_*)
    bad_uid=$(dcmdump -q +P 0020,000e "$(find "$folder" -name '*.dcm' | head -n 1)" |
      sed 's/.*\[\(.*\)\].*/\1/')
    printf 'seriesuid,coordX,coordY,coordZ,diameter_mm\n%s,8,8,4,4\n' "$bad_uid" >"$work/points.csv"
    endured "$bad_uid" series "$folder"
    points=(--nodules "$work/points.csv")
    ;;
  unknown_syntax)
    endured "transfer syntax 1.2.3.4" series "$folder"
    points=()
    ;;
  *)
    endured "$name/bad.dcm: " series "$folder"
    points=()
    ;;
  esac
  endured "$name(/.*dcm)?: " run -i "$folder" "${points[@]}" -w "$work/w.safetensors" \
    -o "$work/result" -S figure.write=false
  [ "$code" -ne 0 ] || fail "$name: pixels that are none were taken for some"
  rm -rf "$work/result"
done

# All of them beside a good series, which is done.
cp -r "$good" "$work/bad/good"
limited=
name="all together"
endured "$uid" series "$work/bad"
for bad in "$work"/bad/nested_* "$work"/bad/bomb "$work"/bad/frames_turning; do
  grep -q "$bad/bad.dcm: " "$work/err" || fail "$bad is not named"
done
endured "nodule" nodules "$work/bad"
endured "" prepare "$work/bad" -o "$work/set.h5"
[ -s "$work/set.h5" ] || fail "no data set: $(tail -n 3 "$work/err")"
endured "" run -i "$work/bad" --series all -w "$work/w.safetensors" -o "$work/result" \
  -S figure.write=false
[ -s "$work/result/$uid/results.h5" ] || fail "no result: $(tail -n 3 "$work/err")"

# In the folder of the good series, too.
cp "$work/bad/nested_pixels/bad.dcm" "$good/zz.dcm"
name="beside the slices"
rm -rf "$work/result"
endured "zz.dcm: sequences nested too deeply" run -i "$good" -w "$work/w.safetensors" \
  -o "$work/result" -S figure.write=false
[ -s "$work/result/$uid/results.h5" ] || fail "no result beside zz.dcm: $(tail -n 3 "$work/err")"

# Without helpers nothing crashes either, and the log says so.
export LUNGCDAM_READER=none
name="in one process"
endured "files are parsed in this process: LUNGCDAM_READER says so" --log-level debug series "$work/bad"
finish
