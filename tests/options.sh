#!/usr/bin/env bash
# options.sh FOLDER [none]: the program builds with each of its parts left out and with all of them, says of a
# command that is not there why, and what is left still passes its tests. With "none", only all left out at
# once, not optimised and without the tests. One build folder serves all, so that little is compiled again.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
build=$1
parts=(NET PHANTOM PLOT PTH)
program=$build/pipeline/lungcdam

fail() { printf 'options: %s\n' "$*" >&2 && exit 1; }

# configure ON|OFF... in the order of parts
configure() {
  local part arguments=() i=0
  for part in "${parts[@]}"; do arguments+=("-DLUNGCDAM_WITH_$part=${*:i+1:1}") && i=$((i + 1)); done
  mkdir -p "$build"
  cmake -S . -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=$type -DLUNGCDAM_WERROR=ON "-DLUNGCDAM_TESTS=$tests" \
    "${arguments[@]}" >"$build/configure.log" 2>&1 || { cat "$build/configure.log" >&2 && fail "configuring ${arguments[*]}"; }
  cmake --build "$build" -- --quiet >&2 || fail "building ${arguments[*]}"
}

# refuses OPTION ARGUMENT...: exit code 9, and the option's name in the message.
refuses() {
  local option=$1 status=0 said
  shift
  said=$("$program" "$@" 2>&1) || status=$?
  [[ $status == 9 && $said == *"$option"* ]] || fail "lungcdam $*: exit code $status, said: $said"
}

check() { # check ON|OFF...: the parts in order
  "$program" --version >/dev/null || fail "--version"
  if [[ $1 == OFF ]]; then
    refuses LUNGCDAM_WITH_NET send
    refuses LUNGCDAM_WITH_NET fetch --help
    refuses LUNGCDAM_WITH_NET serve
  else
    "$program" serve --help >/dev/null || fail "serve --help"
  fi
  if [[ $2 == OFF ]]; then refuses LUNGCDAM_WITH_PHANTOM phantom; else "$program" phantom --help >/dev/null; fi
  if [[ $4 == OFF ]]; then
    refuses LUNGCDAM_WITH_PTH weights show tests/reference/torch_small.pth
  else
    "$program" weights show tests/reference/torch_small.pth >/dev/null || fail "weights show"
  fi
}

tests=OFF type=Release
[[ ${2:-} != none ]] || type=Debug
for ((left_out = 0; left_out < ${#parts[@]}; left_out++)); do
  [[ ${2:-} != none ]] || break
  states=(ON ON ON ON)
  states[left_out]=OFF
  printf 'options: without %s\n' "${parts[left_out]}"
  configure "${states[@]}"
  check "${states[@]}"
done
printf 'options: without all of them\n'
[[ $type == Debug ]] || tests=ON
configure OFF OFF OFF OFF
check OFF OFF OFF OFF
[[ $tests == OFF ]] || ctest --test-dir "$build" --output-on-failure --no-tests=error -j "$(nproc)" -LE slow
