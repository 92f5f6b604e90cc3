#!/usr/bin/env bash
# Every command explains itself with examples, and starts fast because it starts little.
# needs: net, phantom
set -u
# shellcheck source=tests/cli/lib/common.bash
source "$(dirname "$0")/lib/common.bash"

"$program" --help >"$work/help" || fail "--help"
commands=$(sed -n '/^Commands:/,/^$/s/^  \([a-z]*\) .*/\1/p' "$work/help")
for needed in series run config phantom weights; do
  grep -qx "$needed" <<<"$commands" || fail "no command $needed in --help"
done
for command in $commands; do
  expect 0 "Examples:" "$command" --help
  folder=$(sed -n '/^Documentation:$/{n;s/^ *//p;}' "$work/out")
  grep -q '^Documentation:' "$work/out" || fail "$command --help: nothing on documentation"
  [[ -z $folder || -s $folder/exit-codes.md ]] || fail "$command --help: no documentation in $folder"
  expect 0 "Usage: lungcdam $command" "$command" --usage
  expect 2 "unrecognized option '--no-such-option'" "$command" --no-such-option
  awk 'length > 100 && !/^ *\// { exit 1 }' "$work/out" || fail "$command: a help line is wider than 100"
done
# One version, wherever it stands.
version=$("$program" --version | awk '{print $2}')
grep -qx "version: $version" "$LUNGCDAM_SOURCE/CITATION.cff" || fail "CITATION.cff has another version than $version"
grep -q "^## $version" "$LUNGCDAM_SOURCE/CHANGELOG.md" || fail "CHANGELOG.md says nothing of $version"
# One version, wherever it stands.
version=$("$program" --version | awk '{print $2}')
grep -qx "version: $version" "$LUNGCDAM_SOURCE/CITATION.cff" || fail "CITATION.cff has another version than $version"
grep -q "^## $version" "$LUNGCDAM_SOURCE/CHANGELOG.md" || fail "CHANGELOG.md says nothing of $version"
finish
