# Writes each example of docs/extending.md, an indented block of code that begins with a comment, to a file of
# its own: example1.c, example2.c, ... in the folder `out`.
/^    / || (file && /^$/) {
  if (!file) file = sprintf("%s/example%d.c", out, ++n)
  print substr($0, 5) > file
  next
}
file { close(file); file = "" }
