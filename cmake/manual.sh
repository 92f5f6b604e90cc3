#!/usr/bin/env bash
# manual.sh PROGRAM FOLDER: writes lungcdam.1.gz and one lungcdam-COMMAND.1.gz a command from --help.
set -euo pipefail
folder=$2
mkdir -p "$folder"
rm -f "$folder"/*.1 "$folder"/*.1.gz
wrappers=$(mktemp -d)
trap 'rm -rf "$wrappers"' EXIT

# Help names the folder where its program finds the documentation. A copy that lies by none names the
# folder in words that hold for every installation.
program=$wrappers/program
cp "$1" "$program"
version=$("$program" --version | awk 'NR == 1 {print $2}')

page() { # page NAME TITLE [COMMAND]: the page NAME.1.gz of "lungcdam COMMAND"
  printf '#!/bin/sh\nexec "%s" %s "$@"\n' "$program" "${3:-}" >"$wrappers/$1"
  chmod +x "$wrappers/$1"
  LC_ALL=C.UTF-8 help2man --no-info --no-discard-stderr --section=1 --name="$2" \
    --version-string="$version" --output="$folder/$1.1" "$wrappers/$1"
  gzip -9n "$folder/$1.1"
}

page lungcdam 'lung CT from DICOM to an explained prediction (research use only)'
ARGP_HELP_FMT=rmargin=200 "$program" --help | sed -n '/^Commands:/,/^$/s/^  \([a-z]\)/\1/p' |
  while read -r command summary; do page "lungcdam-$command" "$summary" "$command"; done
