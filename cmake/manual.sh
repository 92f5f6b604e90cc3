#!/usr/bin/env bash
# manual.sh PROGRAM FOLDER: writes lungcdam.1 and one lungcdam-COMMAND.1 a command from --help.
set -euo pipefail
program=$1 folder=$2
mkdir -p "$folder"
wrappers=$(mktemp -d)
trap 'rm -rf "$wrappers"' EXIT
version=$("$program" --version | awk 'NR == 1 {print $2}')

page() { # page NAME TITLE [COMMAND]: the page NAME.1 of "lungcdam COMMAND"
  printf '#!/bin/sh\nexec "%s" %s "$@"\n' "$program" "${3:-}" >"$wrappers/$1"
  chmod +x "$wrappers/$1"
  help2man --no-info --no-discard-stderr --section=1 --name="$2" --version-string="$version" \
    --output="$folder/$1.1" "$wrappers/$1"
}

page lungcdam 'lung CT from DICOM to an explained prediction (research use only)'
"$program" --help | sed -n '/^Commands:/,/^$/s/^  \([a-z]\)/\1/p' |
  while read -r command summary; do page "lungcdam-$command" "$summary" "$command"; done
