#!/usr/bin/env bash
# mutants.sh BUILD [REGEX]: breaks the lines of tests/mutants.tsv one at a time and says which breaks no
# test notices. Each line there: file, text that occurs once in it, what it becomes, and an extended regular
# expression of the tests that should notice, separated by tabs. Works on a copy of the sources in BUILD;
# REGEX limits it to mutants whose file matches. Ends with 1 when a mutant survives or does not compile.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
list=$root/tests/mutants.tsv
build=${1:?mutants: expected a folder to build in}
chosen=${2:-.}
limit_s=120
mkdir -p "$build/source"
build=$(cd "$build" && pwd)

fail() { printf 'mutants: %s\n' "$*" >&2 && exit 2; }

# Only what differs is written, so that the build of an earlier run serves again; a line that an
# interrupted run left broken differs too.
copy_sources() {
  local file
  git -C "$root" ls-files --cached --others --exclude-standard | sort >"$build/files"
  (cd "$build/source" && find . -type f | sed 's,^\./,,' | sort) | comm -13 "$build/files" - |
    while read -r file; do rm "$build/source/$file"; done
  while read -r file; do
    [[ -f $root/$file ]] || continue
    cmp -s "$root/$file" "$build/source/$file" && continue
    mkdir -p "$(dirname "$build/source/$file")"
    cp "$root/$file" "$build/source/$file"
  done <"$build/files"
  [[ ! -d $root/../shared ]] || ln -sfn "$(cd "$root/../shared" && pwd)" "$build/shared"
}

configure() {
  local launcher=()
  ! command -v ccache >/dev/null || launcher=(-DCMAKE_C_COMPILER_LAUNCHER=ccache -DCMAKE_CXX_COMPILER_LAUNCHER=ccache)
  cmake -S "$build/source" -B "$build/build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DLUNGCDAM_TESTS=ON \
    -DLUNGCDAM_TEST_SECONDS=$limit_s "${launcher[@]}" >"$build/configure.log" 2>&1 ||
    { cat "$build/configure.log" >&2 && fail "configuring failed"; }
}

# names REGEX: the tests that it matches, one a line.
names() { ctest --test-dir "$build/build" -N -R "$1" | sed -n 's/^ *Test *#[0-9]*: //p'; }

# compile REGEX LOG: what its tests need.
compile() {
  local name targets=()
  while read -r name; do
    case $name in
    cli/*) targets+=(lungcdam) ;;
    *) targets+=("test_${name/\//_}") ;;
    esac
  done < <(names "$1")
  cmake --build "$build/build" --target "${targets[@]}" -- --quiet >"$2" 2>&1
}

# passes REGEX LOG: its tests do, one after the other until one does not.
passes() { ctest --test-dir "$build/build" -R "$1" --no-tests=error --stop-on-failure --output-on-failure >"$2" 2>&1; }

files=() olds=() becomes=() noticing=() lines=()

# One line of the list, checked: a mutant that cannot be made is found before anything is built.
take() { # take LINE FIELD...
  local line=$1 file=${2:-} old=${3:-} new=${4:-} regex=${5:-} text rest
  (($# == 5)) || fail "tests/mutants.tsv:$line: $(($# - 1)) fields, expected 4"
  [[ $file =~ $chosen ]] || return 0
  [[ -f $build/source/$file ]] || fail "tests/mutants.tsv:$line: no file $file"
  text=$(<"$build/source/$file")
  rest=${text#*"$old"}
  [[ -n $old && $rest != "$text" ]] || fail "tests/mutants.tsv:$line: not in $file: $old"
  [[ $rest != *"$old"* ]] || fail "tests/mutants.tsv:$line: more than once in $file: $old"
  [[ $old != "$new" ]] || fail "tests/mutants.tsv:$line: changes nothing"
  [[ -n $(names "$regex") ]] || fail "tests/mutants.tsv:$line: no test is named $regex"
  lines+=("$line") files+=("$file") olds+=("$old") becomes+=("$new") noticing+=("$regex")
}

read_list() {
  local line fields n=0
  while IFS= read -r line; do
    n=$((n + 1))
    [[ -n $line && $line != '#'* ]] || continue
    mapfile -t -d $'\t' fields < <(printf '%s' "$line")
    take "$n" "${fields[@]}"
  done <"$list"
  ((${#files[@]} > 0)) || fail "no mutant's file matches $chosen"
}

# The mutated file is put back however this ends.
mutated=
put_back() {
  [[ -z $mutated ]] || cp "$build/original" "$mutated"
  mutated=
}
trap put_back EXIT

mutate() { # mutate INDEX
  local text
  mutated=$build/source/${files[$1]}
  cp "$mutated" "$build/original"
  text=$(<"$mutated")
  printf '%s\n' "${text%%"${olds[$1]}"*}${becomes[$1]}${text#*"${olds[$1]}"}" >"$mutated"
}

# try INDEX: sets said to what became of the mutant.
try() {
  local log=$build/logs/${lines[$1]}
  mutate "$1"
  if ! compile "${noticing[$1]}" "$log.build"; then
    said="does not compile ($log.build)"
  elif passes "${noticing[$1]}" "$log.test"; then
    said="SURVIVED ${noticing[$1]}: ${olds[$1]} -> ${becomes[$1]}"
  else
    said="killed by $(sed -nE 's/^ *[0-9]+\/[0-9]+ Test +#[0-9]+: ([^ ]+) .*\*\*\*(Failed|Timeout|Exception).*/\1 (\2)/p' "$log.test" | head -n 1)"
  fi
  put_back
}

mkdir -p "$build/logs"
copy_sources
configure
read_list
all=$(printf '|%s' "${noticing[@]}")
all=${all:1}
printf 'mutants: building and running the tests without a mutant\n'
compile "$all" "$build/logs/build" || { cat "$build/logs/build" >&2 && fail "the program does not build"; }
passes "$all" "$build/logs/test" || { cat "$build/logs/test" >&2 && fail "a test fails without a mutant"; }
sed -n 's/^ *[0-9]*\/[0-9]* Test *#[0-9]*: \([^ ]*\) .*\*\*\*Skipped.*/mutants: skipped, notices nothing: \1/p' "$build/logs/test"

killed=0 survived=0 broken=0 began=$SECONDS
for i in "${!files[@]}"; do
  try "$i"
  case $said in
  killed*) killed=$((killed + 1)) ;;
  SURVIVED*) survived=$((survived + 1)) ;;
  *) broken=$((broken + 1)) ;;
  esac
  printf '%d/%d %s (line %d): %s\n' $((i + 1)) ${#files[@]} "${files[i]}" "${lines[i]}" "$said"
done
printf 'mutants: %d killed, %d survived, %d do not compile, %d s\n' $killed $survived $broken $((SECONDS - began))
((survived + broken == 0))
