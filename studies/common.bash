# What the studies share. Sourced by studies/NAME/run.sh.
# shellcheck shell=bash disable=SC2034
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
program=${LUNGCDAM:-$root/build/release/pipeline/lungcdam}

say() { printf '%s\n' "$*" >&2; }

stop() {
  say "$(basename "$0"): $*"
  exit 2
}

need_program() {
  [[ -x $program ]] || stop "no program at $program; run ./run build, or name one in LUNGCDAM"
}

# whole FILE COMMAND...: the command's output as a file that is there whole or not at all.
whole() {
  local file=$1
  shift
  "$@" >"$file.partial"
  mv "$file.partial" "$file"
}

# table SUMMARY.csv MEASURE...: means with intervals in Markdown, a row an estimator and a column a
# measure with its number of nodules; the best value of a column and those that tie with it are
# bold. What fewer nodules define has their number behind it, and is bold only when it is half of them.
table() {
  awk -F, -v wanted="${*:2}" '
    BEGIN { n = split(wanted, names, " ") }
    function shown(who, name,  text) {
      text = cell[who, name]
      if (text == "") return "-"
      if (first[who, name] && 2 * defined[who, name] >= items[name]) text = "**" text "**"
      if (defined[who, name] < items[name]) text = text " (" defined[who, name] ")"
      return text
    }
    NR == 1 { for (i = 1; i <= NF; i++) column[$i] = i; next }
    {
      name = $column["measure"]; who = $column["estimator"]
      if (!(who in seen)) { seen[who] = 1; order[++count] = who }
      if ($column["items"] > items[name] + 0) items[name] = $column["items"]
      if ($column["mean"] == "") next
      text = sprintf("%.2f", $column["mean"])
      if ($column["low"] != "") text = text sprintf(" [%.2f, %.2f]", $column["low"], $column["high"])
      cell[who, name] = text
      first[who, name] = $column["rank"] == 1
      defined[who, name] = $column["items"]
    }
    END {
      line = "| estimator |"; rule = "|---|"
      for (m = 1; m <= n; m++)
        if (names[m] in items) {
          line = line " " names[m] " (" items[names[m]] ") |"
          rule = rule "---|"
        }
      print line; print rule
      for (c = 1; c <= count; c++) {
        line = "| " order[c] " |"
        for (m = 1; m <= n; m++)
          if (names[m] in items) line = line " " shown(order[c], names[m]) " |"
        print line
      }
    }' "$1"
}

# tables FOLDER: what the three benchmarks found, and, for phantoms, the truth.
tables() {
  local summary=$1/summary.csv
  printf 'Correctness\n\n'
  table "$summary" gap_share ablation box_2 sensitivity_20 faithfulness_estimate
  printf '\nCompactness\n\n'
  table "$summary" share_signed share_absolute gini entropy
  printf '\nClass sensitivity\n\n'
  table "$summary" class_pearson class_cosine pair_share pair_against pair_order
  printf '\nLocalisation\n\n'
  table "$summary" mass rank pointing auroc
  grep -q '^cause_mass,' "$summary" || return 0
  printf '\nWhat made it malignant\n\n'
  table "$summary" cause_mass cause_above cause_rank cause_auroc cause_within
  printf '\nSpicules\n\n'
  table "$summary" spicules_mass spicules_above spicules_rank spicules_auroc spicules_within
  printf '\nOther features\n\n'
  table "$summary" lobes_auroc lobes_within core_auroc core_within calcium_auroc calcium_within
  printf '\nA spiculated and a calcified nodule in one image\n\n'
  table "$summary" truth_pair_share truth_pair_against truth_pair_order
}
