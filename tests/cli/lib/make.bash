# Small inputs made by the program itself: a phantom patient and untrained weights.
# shellcheck shell=bash
# shellcheck disable=SC2154
make_inputs() {
  "$program" --log-level error phantom -o "$work/phantom" --seed 11 --patients "${1:-1}" \
    --matrix 96 --slice-spacing 5 >"$work/made" || fail "phantom"
  "$program" weights init vit_tiny_patch16 -o "$work/w.safetensors" --seed 1 >/dev/null ||
    fail "weights init"
}
