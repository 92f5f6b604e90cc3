# Reads the --help of lungcdam or of one of its commands, unwrapped, and prints what shells complete,
# one thing a line, fields parted by tabs:
#
#   command  NAME  SUMMARY
#   verb     NAME  PLACEHOLDER             first word after the command, and what follows it
#   option   NAMES PLACEHOLDER TEXT VALUES NAMES as "-o --output"; VALUES parted by spaces, often none
#   values   WORD  VALUES                  of a placeholder (ARCH) or of an option that takes a list
#
# The completions of bash and zsh hold this text between quotes: no single quote in it.

# The words of "a (default), b or c: more", or nothing where the text is another.
function alternatives(text) {
  gsub(/ *\([^)]*\)/, "", text)
  sub(/[;:.].*/, "", text)
  gsub(/,? or /, ", ", text)
  if (text !~ /^[a-z0-9_-]+(, [a-z0-9_-]+)+$/) return ""
  gsub(/, /, " ", text)
  return text
}

/^Examples:/ { exit }

/^(Usage:|  or:)/ {
  sub(/.*\[OPTION\.\.\.\] */, "")
  if ($1 ~ /^[a-z]+$/) print "verb\t" $1 "\t" $2
}
/^Commands:/ { commands = 1; next }
/^$/ { commands = 0 }
commands && /^  [a-z]/ { name = $1; sub(/^ *[a-z]+ */, ""); print "command\t" name "\t" $0 }

/^  +-/ {
  text = $0
  sub(/^ */, "", text)
  names = text
  sub(/   .*/, "", names)
  sub(/.*   /, "", text)
  placeholder = ""
  if (match(names, /=.*/)) { placeholder = substr(names, RSTART + 1); sub(/=.*/, "", names) }
  gsub(/,/, "", names)
  values = alternatives(text)
  if (placeholder == "KINDS" && match(text, /: [a-z, ]+$/))
    values = alternatives(substr(text, RSTART + 2)) (text ~ /, or all/ ? " all" : "")
  if (placeholder == "") values = ""
  print "option\t" names "\t" placeholder "\t" text "\t" values
}

# "Estimators: a, b." lists what --estimators takes; "ARCH is ... one of: a, b." what ARCH may be.
/^[A-Z][a-z]+: [a-z0-9_]+, / {
  word = tolower($1)
  sub(/:$/, "", word)
  sub(/^[^:]*: /, "")
  print "values\t--" word "\t" alternatives($0) " all"
}
/^[A-Z]+ is .* one of: / {
  word = $1
  sub(/.* one of: /, "")
  print "values\t" word "\t" alternatives($0)
}
