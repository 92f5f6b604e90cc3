# complete.zsh FOLDER LINE: prints the words that zsh offers at the end of LINE when _lungcdam lies in
# FOLDER and lungcdam in the PATH, one a line. A zsh in a pseudo-terminal is given the line and a tab.
zmodload zsh/zpty || exit 1
work=$(mktemp -d) # no trap: the child of zpty would run it too
setup=$work/setup
offered=$work/offered
: >$offered

cat >$setup <<END
fpath=($1 \$fpath)
autoload -Uz compinit
compinit -u -D
zstyle ':completion:*' insert-tab false
bindkey '^I' complete-word
compadd() {
  # What only asks which words match stays as it is; what adds them is written down.
  if [[ \${@[1,(i)(-|--)]} == *-[OAD]\ * ]]; then builtin compadd "\$@"; return; fi
  local -a hits
  builtin compadd -A hits "\$@"
  (( \$#hits )) && print -rl -- \${(Q)hits} >>$offered
  builtin compadd "\$@"
}
finished() { print -r -- '<end>' >>$offered; exit }
comppostfuncs=(finished)
END
zpty shell zsh -f -i
zpty -w shell "source $setup"
zpty -w -n shell "$2"$'\t'
for ((i = 0; i < 300; i++)); do
  [[ $(<$offered) == *'<end>'* ]] && break
  zpty -r -t shell ignored
  sleep 0.1
done
zpty -d shell
grep -v '^<end>$' $offered | sort -u
rm -rf $work
