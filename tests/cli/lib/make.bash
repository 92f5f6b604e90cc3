# Small inputs made by the program itself: a phantom patient and untrained weights of a small network
# ($work/small.yaml), whose cells of 2 mm need no shifted images.
# shellcheck shell=bash
# shellcheck disable=SC2154
make_inputs() {
  "$program" --log-level error phantom -o "$work/phantom" --seed 11 --patients "${1:-1}" \
    --matrix 96 --slice-spacing 5 >"$work/made" || fail "phantom"
  cat >"$work/small.yaml" <<'YAML'
base: vit_tiny_patch8
name: small
image_height: 128
image_width: 128
embed_dim: 64
depth: 3
num_heads: 2
YAML
  "$program" weights init "$work/small.yaml" -o "$work/w.safetensors" --seed 1 >/dev/null ||
    fail "weights init"
}
