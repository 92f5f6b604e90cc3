#!/usr/bin/env bash
# The optimised program and library are hardened: position-independent, relocations read-only before
# main, no executable stack, stack protector, checked library calls, and branch targets marked where the
# compiler can (x86). Judged by binutils.
set -u
# shellcheck source=tests/cli/lib/common.bash
source "$(dirname "$0")/lib/common.bash"

build=$(cd "$(dirname "$program")/.." && pwd)
if ! grep -q '^CMAKE_BUILD_TYPE:.*=Release$' "$build/CMakeCache.txt" ||
  ! grep -q '^LUNGCDAM_SANITIZE:[A-Z]*=\(OFF\)\?$' "$build/CMakeCache.txt"; then
  echo "skipped: not an optimised build without sanitizers"
  exit 77
fi
library=$build/liblungcdam.so
reader=$build/libexec/lungcdam/lungcdam-reader
[[ -e $library ]] || fail "no $library"
[[ -x $reader ]] || fail "no $reader"

for file in "$program" "$reader"; do
  name=$(basename "$file")
  readelf -hW "$file" | grep -q 'Type: *DYN' || fail "$name is not position-independent"
  readelf -dW "$file" | grep -q 'FLAGS_1.*PIE' || fail "$name is not marked as position-independent"
done
for file in "$program" "$library" "$reader"; do
  name=$(basename "$file")
  readelf -lW "$file" | grep -q GNU_RELRO || fail "$name: no RELRO"
  readelf -dW "$file" | grep -Eq 'BIND_NOW|FLAGS_1.*NOW' || fail "$name: bound lazily, so RELRO is partial"
  readelf -lW "$file" | grep -E 'GNU_STACK.* RW ' -q || fail "$name: the stack is executable"
  ! readelf -dW "$file" | grep -q TEXTREL || fail "$name: relocations in code"
  readelf -sW "$file" | grep -q '__stack_chk_fail' || fail "$name: no stack protector"
  readelf -sW "$file" | grep -q '__v\?snprintf_chk' || fail "$name: no checked library calls"
done
if [[ $(uname -m) == x86_64 ]] && echo 'int main(void) { return 0; }' |
  "${CC:-cc}" -fcf-protection -x c - -c -o "$work/cet.o" 2>/dev/null && objdump -d "$work/cet.o" | grep -q endbr64; then
  objdump -d --no-show-raw-insn --disassemble=main "$program" | grep -q endbr64 || fail "branch targets are not marked"
fi
finish
