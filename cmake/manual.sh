#!/usr/bin/env bash
# manual.sh PROGRAM FOLDER: writes lungcdam.1 and one lungcdam-COMMAND.1 a command from --help.
set -euo pipefail
program=$1 folder=$2
mkdir -p "$folder"
version=$("$program" --version | awk 'NR == 1 {print $2}')
page() { # page TITLE OUTPUT COMMAND...
  local wrapper
  wrapper=$(mktemp)
  printf '#!/bin/sh\nexec "%s" %s "$@"\n' "$program" "${*:3}" >"$wrapper"
  chmod +x "$wrapper"
  help2man --no-info --no-discard-stderr --section=1 --name="$1" --version-string="$version" \
    --output="$2" "$wrapper"
  sed -i "s/$(basename "$wrapper" | sed 's/\./\\./g')/lungcdam${3:+ $3}/g" "$2"
  rm -f "$wrapper"
}
page 'lung CT from DICOM to an explained prediction (research use only)' "$folder/lungcdam.1"
"$program" --help | sed -n '/^Commands:/,/^$/p' | awk '/^  [a-z]/ {print $1}' |
  while read -r command; do
    page "the $command command" "$folder/lungcdam-$command.1" "$command"
  done
