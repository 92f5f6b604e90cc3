#!/usr/bin/env bash
# The configuration as a user meets it: printed, checked, refused.
set -u
# shellcheck source=tests/cli/lib/common.bash
source "$(dirname "$0")/lib/common.bash"

expect 0 "the configuration is valid" config "$LUNGCDAM_SOURCE/configs/run.yaml"
for file in "$LUNGCDAM_SOURCE"/configs/*.yaml; do expect 0 "" config "$file"; done

"$program" config --print > "$work/default.yaml" || fail "config --print"
"$program" config --print "$work/default.yaml" > "$work/again.yaml" || fail "printed text is refused"
cmp -s "$work/default.yaml" "$work/again.yaml" || fail "printed text does not read back as itself"
# docs/model_card.md says it of the model that ships
grep -q '^  edge: 64$' "$work/default.yaml" || fail "no cube.edge of the model in the printed text"

printf 'figure:\n  opcity: 1\n' > "$work/typo.yaml"
expect 3 "typo.yaml:2: unknown key 'figure.opcity', the nearest valid key is 'figure.opacity'" \
  config "$work/typo.yaml"
printf 'cube:\n\n  edge: big\n' > "$work/type.yaml"
expect 3 "type.yaml:3: cube.edge is big, expected a whole number" config "$work/type.yaml"
expect 3 "expected a number from 0.01 to 1" config --set figure.opacity=2
expect 2 "expected key=value" config --set figure.opacity
expect 4 "none.yaml: cannot be read" config "$work/none.yaml"

# the command line itself
expect 2 "unknown command 'confg', the nearest is 'config'" confg
expect 2 "unrecognized option '--nope'" config --nope
expect 2 "expected debug, info, warning, error or silent" --log-level=loud config
expect 2 "expected a whole number from 0 to 4096" --threads=-1 config
expect 2 "more than one configuration file" config a b
expect 2 "Usage" # no command
expect 0 "research use only" --version
expect 0 "research use only" --help
expect 0 "Examples:" config --help
got=0
"$program" config --print >/dev/full 2>"$work/err" || got=$?
[ "$got" -eq 15 ] || fail "a full standard output ends with $got"
grep -q "disk is full" "$work/err" || fail "a full standard output is not reported"
finish
