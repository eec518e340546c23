"""Bash. A function's result is what it prints and its exit status."""

from smallcoder.sandbox.languages import Apart, Language, Plan

_APART = rb"""
trap '' PIPE
apart_take() {  # count of bytes, name of a variable
  local LC_ALL=C
  printf -v "$2" ''
  (($1 == 0)) || IFS= read -r -N "$1" "$2" <&3
}
apart_lost() { echo 'the program ended, or does not keep to the protocol' >&2; kill -KILL $$; exit 1; }
apart_ask() {
  local LC_ALL=C word
  printf '%d\n' $# || return
  for word; do printf '%d\n%s' ${#word} "$word" || return; done
}
remote() {
  local status size said
  apart_ask "$@" >&4 2> /dev/null || apart_lost
  IFS=' ' read -r status size <&3 && [[ $status =~ ^[0-9]{1,3}$ && $size =~ ^(0|[1-9][0-9]{0,6})$ ]] || apart_lost
  apart_take "$size" said || apart_lost
  printf %s "$said"
  return $((10#$status))
}
apart_reply() { local LC_ALL=C; printf '%d %d\n%s' "$1" ${#2} "$2"; }
apart_serve() {
  while IFS= read -r apart_count <&3; do
    apart_words=()
    for ((apart_at = 0; apart_at < apart_count; apart_at++)); do
      IFS= read -r apart_size <&3
      apart_take "$apart_size" apart_word
      apart_words+=("$apart_word")
    done
    apart_said=$( ("${apart_words[@]}"); printf '.%d' $?)
    apart_reply "${apart_said##*.}" "${apart_said%.*}" >&4
  done
}
"""
LANGUAGE = Language(
    "bash",
    (".sh", ".bash"),
    {"bash": "bash"},
    lambda code: Plan("main.sh", ("bash", "main.sh")),
    apart=Apart(
        ("bash", "main.sh"),
        {"apart.sh": _APART},
        (". ./apart.sh\n", "\napart_serve\n"),
        (". ./apart.sh\n", '\nprintf %s "$MARK"\n'),
    ),
)
