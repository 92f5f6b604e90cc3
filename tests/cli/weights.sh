#!/usr/bin/env bash
# `lungcdam weights`: seeded files, and what a file holds.
# needs: pth, phantom
set -u
# shellcheck source=tests/cli/lib/common.bash
source "$(dirname "$0")/lib/common.bash"

expect 0 "untrained" weights init vit_tiny_patch16 -o "$work/a.safetensors" --seed 7
expect 16 "a.safetensors: exists" weights init vit_tiny_patch16 -o "$work/a.safetensors"
expect 0 "" weights init vit_tiny_patch16 -o "$work/b.safetensors" --seed 7
cmp -s "$work/a.safetensors" "$work/b.safetensors" || fail "the same seed gives other bytes"
expect 0 "" weights init vit_tiny_patch16 -o "$work/b.safetensors" --seed 8 --overwrite
cmp -s "$work/a.safetensors" "$work/b.safetensors" && fail "another seed gives the same bytes"
expect 4 "vit_small_patch8" weights init vit_smal_patch8 -o "$work/c.safetensors"
expect 2 "outputs=N" weights init vit_tiny_patch16 -o "$work/c.safetensors" --head "a:output=3"
expect 2 "init needs --output" weights init vit_tiny_patch16
expect 2 "expected 'list', 'show MODEL', 'convert FILE' or 'init ARCH'" weights make vit_tiny_patch16
expect 2 "show of what" weights show
expect 14 "no-folder" weights init vit_tiny_patch16 -o "$work/no-folder/w.safetensors"
[ ! -e "$work/c.safetensors" ] || fail "a refused file was written"

expect 0 "UNTRAINED WEIGHTS" weights show "$work/a.safetensors"
sum=$(sha256sum "$work/a.safetensors" | cut -d ' ' -f 1)
grep -q "sha256 *$sum" "$work/out" || fail "the hash is not that of the file"
grep -qE "^blocks\.11\.mlp\.fc2\.weight +F32 +192 x 768$" "$work/out" || fail "no tensor table"

cat >"$work/model.yaml" <<'YAML'
base: vit_tiny_patch8
name: small-lung
image_height: 48
image_width: 32
depth: 2
heads: [malignancy, "biomarkers:outputs=8:hidden=16:regression"]
YAML
expect 0 "small-lung" weights init "$work/model.yaml" -o "$work/m.safetensors"
expect 0 "" weights show --json "$work/m.safetensors"
python3 - "$work/out" <<'PYTHON' || fail "JSON is not as expected"
import json, sys
shown = json.load(open(sys.argv[1]))
arch = shown["architecture"]
assert (arch["name"], arch["grid_height"], arch["grid_width"], arch["depth"]) == ("small-lung", 6, 4, 2), arch
assert [(h["name"], h["outputs"], h["hidden"], h["sigmoid"]) for h in arch["heads"]] == [
    ("malignancy", 1, 0, True), ("biomarkers", 8, 16, False)], arch["heads"]
assert shown["trained"] is False
names = {t["name"]: t["shape"] for t in shown["tensors"]}
assert names["pos_embed"] == [1, 25, 192], names["pos_embed"]
PYTHON
printf 'dept: 3\n' >"$work/bad.yaml"
expect 3 "bad.yaml:1: unknown key 'dept', the nearest valid key is 'depth'" \
  weights init "$work/bad.yaml" -o "$work/c.safetensors"

# files of the reference models, which other programs wrote
for file in "$LUNGCDAM_SOURCE"/tests/reference/*.weights.safetensors; do
  expect 0 "model " weights show "$file"
done
# PyTorch's own file becomes safetensors with canonical names; what it is not is refused
torch=$LUNGCDAM_SOURCE/tests/reference/torch_small.pth
cat >"$work/torch.yaml" <<'YAML'
image_height: 8
image_width: 8
patch_size: 4
embed_dim: 16
mlp_dim: 24
depth: 1
num_heads: 2
YAML
expect 13 "the number of attention heads is in no tensor" weights convert "$torch" -o "$work/converted.safetensors"
grep -q -- "--arch" "$work/err" || fail "the refusal does not say how to give the heads"
expect 0 "left out: student.module" weights convert "$torch" --arch "$work/torch.yaml" -o "$work/converted.safetensors"
expect 0 "of 2 networks the one below teacher" weights show "$work/converted.safetensors"
expect 0 "only what is below student" weights show "$torch" --arch "$work/torch.yaml" --which student
expect 4 'no tensor is below "master"' weights convert "$torch" --arch "$work/torch.yaml" --which master -o "$work/o.safetensors"
expect 0 "blocks.0.attn.qkv.weight" weights show "$work/converted.safetensors"
expect 16 "--overwrite" weights convert "$torch" -o "$work/converted.safetensors"
expect 13 "" weights convert "$torch" --arch vit_tiny_patch16 -o "$work/other.safetensors"
expect 8 "README.md" weights convert "$LUNGCDAM_SOURCE/README.md" -o "$work/other.safetensors"
[[ ! -e $work/other.safetensors ]] || fail "a failed conversion left a file"
head -c 5000 "$work/a.safetensors" >"$work/short.safetensors"
expect 12 "short.safetensors" weights show "$work/short.safetensors"

# A tensor that the forward pass does not compute is refused by every command that loads weights, and
# left out for the brave, who find it in the results.
python3 - "$LUNGCDAM_SOURCE/configs/models/lidc_axial.safetensors" "$work/norms.safetensors" <<'PYTHON' || fail "no file"
import json, struct, sys
raw = open(sys.argv[1], "rb").read()
n = struct.unpack("<Q", raw[:8])[0]
header = json.loads(raw[8:8 + n])
end = max(v["data_offsets"][1] for k, v in header.items() if k != "__metadata__")
header["blocks.2.attn.q_norm.weight"] = {"dtype": "F32", "shape": [32], "data_offsets": [end, end + 128]}
text = json.dumps(header).encode()
text += b" " * (-len(text) % 8)
open(sys.argv[2], "wb").write(struct.pack("<Q", len(text)) + text + raw[8 + n:] + b"\0" * 128)
PYTHON
unused='tensor "blocks.2.attn.q_norm.weight" is not used'
norms=$work/norms.safetensors
expect 0 "$unused" weights show "$norms"
expect 13 "$unused" weights convert "$norms" -o "$work/o.safetensors"
"$program" phantom -o "$work/in" --seed 5 --nodules 1 --matrix 256 --slice-spacing 2 >"$work/out" 2>&1 || fail "phantom"
expect 13 "$unused" run -i "$work/in" -w "$norms" -o "$work/o"
expect 13 "$unused" explain --tensor "$LUNGCDAM_SOURCE/tests/reference/vit_p8_d32_l3.expected.safetensors" -w "$norms" -o "$work/o"
expect 13 "$unused" evaluate -d "$work/none.h5" -w "$norms"
expect 13 "$unused" concept create -d "$work/none.h5" -w "$norms" --name n --where 'malignancy>3' -o "$work/o"
expect 13 "$unused" judge -d "$work/none.h5" -w "$norms" -o "$work/o"
expect 0 'assumed     1 tensors "*q_norm*" ignored' weights show "$norms" --ignore '*q_norm*'
expect 0 "" run -i "$work/in" -w "$norms" --ignore '*q_norm*' -o "$work/brave" --csv --set figure.write=false
cut -d, -f1-10 "$work/out" >"$work/brave.csv"
h5dump -a /architecture "$work"/brave/*/results.h5 | grep -q 'ignored' || fail "the result does not say what was ignored"
expect 0 "" run -i "$work/in" -o "$work/plain" --csv --set figure.write=false
cmp -s <(cut -d, -f1-10 "$work/out") "$work/brave.csv" || fail "a tensor that is ignored changes results"
expect 4 'no tensor is called "*k_norm*"' weights convert "$norms" --ignore '*k_norm*' -o "$work/o.safetensors"
finish
