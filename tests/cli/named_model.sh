#!/usr/bin/env bash
# Models by name: the one that ships is found from the source tree, from an installation that was
# moved, from any working directory, and is what every command uses without --weights; folders of
# the user go before it; what is unknown, hidden, broken or not there is logged. What a file holds is
# judged by sha256sum and stat.
# needs: net, phantom
# slow: 45
set -u
# shellcheck source=tests/cli/lib/common.bash
source "$(dirname "$0")/lib/common.bash"
# shellcheck source=tests/cli/lib/make.bash
source "$(dirname "$0")/lib/make.bash"
unset LUNGCDAM_MODELS
shipped=$(realpath "$LUNGCDAM_SOURCE/configs/models/lidc_axial.safetensors")
sha=$(sha256sum "$shipped" | cut -d ' ' -f 1)
purpose=$(head -n 1 "${shipped%.safetensors}.txt")
build=$(cd "$(dirname "$program")/.." && pwd)
make_inputs 1
mkdir "$work/here"
cd "$work/here" || exit 1

logged() { grep -qF -- "$1" "$work/err" || fail "no '$1' in: $(cat "$work/err")"; }
not_logged() { if grep -qF -- "$1" "$work/err"; then fail "'$1' in: $(cat "$work/err")"; fi; }
# shown MODEL HASH: `weights show` opens the file with that hash.
shown() {
  expect 0 "" weights show "$1"
  grep -qx "sha256 *$2" "$work/out" || fail "$1 is not the file of SHA-256 $2"
}

# The source tree, from another folder.
for name in lidc_axial lidc_axial.safetensors; do shown "$name" "$sha"; done
expect 0 "$(dirname "$shipped"):" weights list
matching_lines=$(grep -c "^lidc_axial .* ${sha:0:12}  $purpose\$" "$work/out")
[ "$matching_lines" -eq 1 ] || fail "weights list: $(cat "$work/out")"
expect 0 "" weights list --json
python3 - "$work/out" "$shipped" "$sha" "$purpose" <<'PYTHON' || fail "weights list --json"
import json, os, sys
path, sha, purpose = sys.argv[2:]
[m] = json.load(open(sys.argv[1]))
assert (m["name"], m["path"], m["folder"]) == ("lidc_axial", path, os.path.dirname(path)), m
assert (m["bytes"], m["sha256"], m["purpose"]) == (os.path.getsize(path), sha, purpose), m
assert m["default"] is True and m["trained"] is True and m["problem"] is None and m["hidden_by"] is None, m
outputs = m["outputs"].split(", ")
assert len(outputs) == 9 and outputs[0] == "malignancy" and "biomarkers.spiculation" in outputs, outputs
# The header of the file counts the parameters too.
with open(path, "rb") as f:
    header = json.loads(f.read(int.from_bytes(f.read(8), "little")))
count = 0
for key, tensor in header.items():
    if key != "__metadata__":
        n = 1
        for d in tensor["shape"]:
            n *= d
        count += n
assert m["parameters"] == count, (m, count)
PYTHON

# By default, by name and by path: the same bytes, and what they are is said.
run=(run --input "$work/phantom" --set figure.panel_pixels=128)
expect 0 "model lidc_axial (SHA-256 ${sha:0:12}" "${run[@]}" -o "$work/default"
logged "no weights given: model lidc_axial ($shipped): $purpose"
expect 0 "" "${run[@]}" -w lidc_axial -o "$work/named" --json
logged "lungcdam: model lidc_axial ($shipped): $purpose"
not_logged "no weights given"
python3 -c 'import json, sys
rows = json.load(open(sys.argv[1]))
assert rows and all(r["weights_sha256"] == sys.argv[2] for r in rows), rows' "$work/out" "$sha" ||
  fail "run --json does not say which weights"
expect 0 "" "${run[@]}" -w "$shipped" -o "$work/path"
not_logged "research use only"
for other in named path; do
  diff -r "$work/default" "$work/$other" >&2 || fail "results by default and by $other differ"
done
[ -n "$(find "$work/default" -name '*.h5' -print -quit)" ] || fail "no results"
h5dump -a weights_sha256 "$(find "$work/default" -mindepth 2 -name '*.h5')" |
  grep -q "$sha" || fail "the store names other weights"
expect 0 "" "${run[@]}" -o "$work/path" --resume
logged ": kept, made from the same input, weights and configuration"
# In a configuration, also with the empty value that stands for the default.
printf 'model:\n  weights: lidc_axial\n' >"$work/named.yaml"
for file in "$work/named.yaml" "$LUNGCDAM_SOURCE/configs/demo.yaml"; do
  expect 0 "" "${run[@]}" "$file" -o "$work/named" --resume
  logged ": kept, made from the same input, weights and configuration"
done
expect 0 'weights: "lidc_axial"' config --print --set model.weights=
# The model card: 64 pixels of 0.625 mm, one axial slice.
for line in 'edge: 64' 'spacing_mm: 0.625' 'views: ["axial"]'; do
  grep -qF "$line" "$work/out" || fail "config --print does not say $line"
done

# The other commands that need a model.
expect 0 "model lidc_axial" explain --input "$work/phantom" --maps-out "$work/maps.safetensors"
logged "no weights given: model lidc_axial ($shipped)"
python3 - "$work/maps.safetensors" "$sha" <<'PYTHON' || fail "explain used other weights"
import json, sys
with open(sys.argv[1], "rb") as f:
    header = json.loads(f.read(int.from_bytes(f.read(8), "little")))
assert header["__metadata__"]["weights_sha256"] == sys.argv[2], header["__metadata__"]
PYTHON
# ... of which the configuration may name another.
printf 'model:\n  weights: %s\n' "$work/w.safetensors" >"$work/other.yaml"
expect 0 "model w; UNTRAINED" explain "$work/other.yaml" --input "$work/phantom" \
  --maps-out "$work/other.safetensors"
not_logged "no weights given"
result=$(dirname "$(find "$work/default" -mindepth 2 -name configuration.yaml | head -n 1)")
expect 0 "" explain --result "$result" -w "$work/w.safetensors" --count 1 --set preprocess.height=224 \
  --set preprocess.width=224 --maps-out "$work/result.safetensors"
logged "was made with weights ${sha:0:12}"
expect 0 "" phantom -o "$work/cohort" --seed 5 --patients 5 --matrix 96 --slice-spacing 5
expect 0 "" prepare "$work/cohort" -o "$work/nodules.h5"
crops=(--crops "$work/nodules.h5" --set data.split=stored-patient)
expect 0 "" evaluate "${crops[@]}" --set test.bootstrap=10 --json
logged "no weights given: model lidc_axial ($shipped)"
python3 -c 'import json, sys
assert json.load(open(sys.argv[1]))["weights_sha256"] == sys.argv[2]' "$work/out" "$sha" ||
  fail "evaluate --json does not say which weights"
expect 0 "model lidc_axial" concept create --name small "${crops[@]}" --where 'diameter<100' \
  -o "$work/concept.safetensors"
logged "no weights given: model lidc_axial ($shipped)"
grep -q "$sha" "$work/concept.safetensors" || fail "the concept was made with other weights"
expect 4 "no nodule is in split" judge --crops "$work/nodules.h5" --set data.split=none -o "$work/judged"
logged "no weights given: model lidc_axial ($shipped)"
expect 22 "cannot be listened on" serve --listen 192.0.2.1 --insecure --spool "$work/spool" -o "$work/served"
logged "no weights given: model lidc_axial ($shipped)"
expect 0 "" train "$LUNGCDAM_SOURCE/configs/recipes/lidc_axial.yaml" "${crops[@]}" -o "$work/trained" \
  --set model.weights=lidc_axial --set train.epochs=1 --set train.batch=2 --set test.bootstrap=10 \
  --set schedule.warmup_epochs=0 --set test.pictures=none
logged "lungcdam: model lidc_axial ($shipped)"
grep -q 'weights: "lidc_axial"' "$work/trained/recipe.yaml" || fail "the recipe holds another text"

# An installation that was moved finds its own, through a link to the program too.
cmake --install "$build" --prefix "$work/prefix" >/dev/null || fail "cmake --install"
mv "$work/prefix" "$work/moved"
ln -s "$work/moved/bin/lungcdam" "$work/link"
own=$work/moved/share/lungcdam/configs/models/lidc_axial.safetensors
there=$program
for program in "$work/moved/bin/lungcdam" "$work/link"; do
  shown lidc_axial "$sha"
  expect 0 "\"path\": \"$own\"" weights list --json
  expect 0 "" run "$work/moved/share/lungcdam/configs/demo.yaml" --input "$work/phantom" \
    --set figure.panel_pixels=128 -o "$work/installed" --overwrite
  logged "lungcdam: model lidc_axial ($own)"
  diff -r "$work/default" "$work/installed" >&2 || fail "the installed program gives other bytes"
done

# A build folder elsewhere.
cmake -S "$LUNGCDAM_SOURCE" -B "$work/build" -DLUNGCDAM_TESTS=OFF >/dev/null || fail "cmake"
cp "$there" "$work/build/pipeline/lungcdam"
program=$work/build/pipeline/lungcdam
expect 0 "\"path\": \"$shipped\"" weights list --json

# The program alone says how to get the model; a configuration can still be checked.
mkdir "$work/alone"
cp "$there" "$work/alone/lungcdam"
program=$work/alone/lungcdam
missing="no weights were given, and lidc_axial, the model that ships, is not beside this program"
for command in "run --input $work/phantom" "explain --input $work/phantom --maps-out $work/no" \
  "evaluate ${crops[*]}" "judge --crops $work/nodules.h5" "serve --spool $work/spool -p 0" \
  "concept create --name x --where malignancy>3 -o $work/no ${crops[*]}"; do
  # shellcheck disable=SC2086
  expect 4 "$missing" $command
  logged "./run install"
  logged "LUNGCDAM_MODELS"
done
expect 4 "lidc_axial, the model that ships, is not beside this program" run -w lidc_axial
expect 0 "the configuration is valid" config
logged "no weights are given and none are at hand"
expect 0 "" weights list
logged "the model that ships, is not at hand"
[ ! -s "$work/out" ] || fail "weights list has found: $(cat "$work/out")"
expect 0 "[]" weights list --json
export LUNGCDAM_MODELS=$LUNGCDAM_SOURCE/configs/models
shown lidc_axial "$sha"

# Folders of the user go before the one that ships, in their order.
program=$there
mkdir "$work/mine" "$work/yours"
cp "$work/w.safetensors" "$work/mine/lung w.safetensors"
cp "$work/w.safetensors" "$work/yours/lidc_axial.safetensors"
cp "$shipped" "$work/yours/lung w.safetensors"
printf 'seeded, for tests\nmore\n' >"$work/mine/lung w.txt"
echo text >"$work/mine/broken.safetensors"
head -c 5000 "$shipped" >"$work/mine/short.safetensors"
cp "$shipped" "$work/mine/.hidden.safetensors"
ln -s nowhere "$work/mine/dangling.safetensors"
mkdir "$work/mine/folder.safetensors"
other=$(sha256sum "$work/w.safetensors" | cut -d ' ' -f 1)
export LUNGCDAM_MODELS=":$work/mine:$work/absent::$work/yours:$work/mine/:"
shown "lung w" "$other"
logged "LUNGCDAM_MODELS: $work/absent is no folder"
logged "it hides $work/yours/lung w.safetensors"
shown lidc_axial "$other"
logged "it hides $shipped"
expect 0 "" config
logged "LUNGCDAM_MODELS: $work/absent is no folder"
expect 0 "" weights list --json
logged "$work/absent: is no folder"
python3 - "$work" "$shipped" "$other" "$sha" <<'PYTHON' || fail "weights list --json of four folders"
import json, sys
work, shipped, other, sha = sys.argv[1:]
rows = json.load(open(f"{work}/out"))
paths = [f"{work}/mine/{n}.safetensors" for n in ("broken", "dangling", "folder", "lung w", "short")]
paths += [f"{work}/yours/{n}.safetensors" for n in ("lidc_axial", "lung w")] + [shipped]
assert [r["path"] for r in rows] == paths, [r["path"] for r in rows]
by = {r["path"]: r for r in rows}
for name in ("broken", "dangling", "folder", "short"):
    row = by[f"{work}/mine/{name}.safetensors"]
    assert row["problem"] and row["sha256"] is None and row["outputs"] is None, row
mine = by[f"{work}/mine/lung w.safetensors"]
assert (mine["purpose"], mine["sha256"], mine["trained"]) == ("seeded, for tests", other, False), mine
assert mine["hidden_by"] is None and by[paths[6]]["hidden_by"] == paths[3], by[paths[6]]
assert by[paths[5]]["default"] is True and by[shipped]["default"] is False, rows
assert by[shipped]["hidden_by"] == paths[5] and by[shipped]["sha256"] == sha, by[shipped]
PYTHON
expect 0 "$work/mine:" weights list
[ "$(grep -c 'cannot be used: ' "$work/out")" -eq 4 ] || fail "broken files: $(cat "$work/out")"
expect 12 "short.safetensors" weights show short
chmod 000 "$work/mine"
if [ ! -x "$work/mine" ]; then # not for root
  expect 4 "$work/mine/lidc_axial.safetensors: cannot be looked at" config
  expect 0 "$work/yours:" weights list
  logged "$work/mine: cannot be read"
fi
chmod 755 "$work/mine"

# A file in the working directory is a path, and goes before a model of the same name, with a word.
unset LUNGCDAM_MODELS
cp "$work/w.safetensors" lidc_axial.safetensors
mkdir lidc_axial
shown lidc_axial.safetensors "$other"
logged "lidc_axial.safetensors: the file of that name in the working directory, not the model $shipped"
shown ./lidc_axial.safetensors "$other"
not_logged "working directory"
shown lidc_axial "$sha"
not_logged "working directory"
expect 0 "" explain --input "$work/phantom" --maps-out "$work/maps2.safetensors"
cmp -s "$work/maps.safetensors" "$work/maps2.safetensors" || fail "a file here became the default"
cp "$work/w.safetensors" plain.safetensors
shown plain.safetensors "$other"
not_logged "working directory"

# Names that nobody knows.
for command in "run --input $work/phantom" config evaluate "weights show" "judge --crops $work/nodules.h5" \
  "explain --input $work/phantom --maps-out $work/no" "serve --spool $work/spool -p 0"; do
  option=-w
  [ "$command" != "weights show" ] || option=
  # shellcheck disable=SC2086
  expect 4 "lidc_axal: neither a file here nor a model at hand, the nearest is 'lidc_axial'" $command \
    $option lidc_axal
  logged "models at hand: lidc_axial; searched: $(dirname "$shipped");"
done
expect 4 "plain: neither a file here" config -w plain
expect 4 ".hidden: neither a file here" config -w .hidden
expect 4 "none.safetensors" run --input "$work/phantom" -w ./none.safetensors -o "$work/none"
expect 2 "expected 'list', 'show MODEL'" weights lst
expect 2 "list takes no argument" weights list lidc_axial
nothing_in "$work/none"
finish
