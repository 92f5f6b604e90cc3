#!/usr/bin/env bash
# What bash and zsh offer at the end of a line. zsh is asked where it is installed.
# needs: net, phantom
set -u
# shellcheck source=tests/cli/lib/common.bash
source "$(dirname "$0")/lib/common.bash"
tests=$(cd "$(dirname "$0")" && pwd)
completion=$(cd "$(dirname "$program")/.." && pwd)/completion

mkdir -p "$work/bin" "$work/here/folder"
ln -s "$program" "$work/bin/lungcdam"
PATH=$work/bin:$PATH
cd "$work/here" || exit 1
touch weights.safetensors 'with space.yaml'

# shellcheck source=/dev/null
source "$completion/lungcdam"
in_bash() { # as bash calls it: words are parted at spaces and at '='
  # shellcheck disable=SC2317 # called by the completion
  compopt() { :; }           # readline is not at work here
  local COMP_WORDS COMP_CWORD COMPREPLY
  read -r -a COMP_WORDS <<<"${1//=/ = }"
  [[ $1 != *' ' ]] || COMP_WORDS+=('')
  COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
  _lungcdam "${COMP_WORDS[0]}" "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
  printf '%s\n' "${COMPREPLY[@]}"
}
in_zsh() {
  timeout 120 zsh -f "$tests/lib/complete.zsh" "$completion" "$1"
}

# offers SHELL WANTED LINE: the words, parted by spaces and sorted, that are offered at the end of LINE.
offers() {
  local got
  case $1 in
  bash) got=$(in_bash "$3") ;;
  zsh) got=$(in_zsh "$3") ;;
  esac
  got=$(sort <<<"$got" | tr '\n' ' ')
  [[ $got == "$2 " ]] || fail "$1 at '$3': offered '$got', expected '$2'"
}

shells=(bash)
if command -v zsh >/dev/null; then
  shells+=(zsh)
else
  echo 'zsh is not installed: its completion is not tested'
fi
for shell in "${shells[@]}"; do
  offers "$shell" 'explain export' 'lungcdam ex'
  offers "$shell" '--threads' 'lungcdam --th'
  offers "$shell" 'run' 'lungcdam --threads 2 ru'
  offers "$shell" 'convert init list show' 'lungcdam weights '
  offers "$shell" 'vit_tiny_patch16 vit_tiny_patch8' 'lungcdam weights init vit_t'
  offers "$shell" 'weights.safetensors' 'lungcdam weights show we'
  offers "$shell" '--output --overwrite' 'lungcdam run --o'
  offers "$shell" 'weights.safetensors' 'lungcdam run -w we'
  offers "$shell" 'lidc_axial' 'lungcdam run -w li'
  offers "$shell" 'folder' 'lungcdam run --output '
  offers "$shell" 'with space.yaml' 'lungcdam run wi'
  offers "$shell" 'none pdf png svg' 'lungcdam explain --figures='
  offers "$shell" 'warning' 'lungcdam --log-level w'
done
# A list goes on after its comma; a key waits for its value.
offers bash 'cdam,smooth_cdam cdam,smoothgrad' 'lungcdam explain -e cdam,smooth'
offers bash 'model.batch=' 'lungcdam run --set model.b'
if command -v zsh >/dev/null; then
  offers zsh 'smooth_cdam smoothgrad' 'lungcdam explain -e cdam,smooth'
  offers zsh 'model.batch' 'lungcdam run --set model.b'
fi
finish
