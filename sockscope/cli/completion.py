"""Shell completion, made from the parser and the tables of fields and columns: it cannot name what does not exist."""

from __future__ import annotations

from sockscope.analysis.query import COMPLETIONS
from sockscope.analysis.query_terms import PROTOCOLS
from sockscope.analysis.query_values import STATES
from sockscope.analysis.sorting import SORT_KEYS
from sockscope.cli.parser import COLOURS, SHELLS, SOURCES, make_parser, options_of
from sockscope.present.columns import column_names

_STATES = tuple(state.lower().replace("_", "-") for state in STATES)
VALUES: dict[str, tuple[str, ...]] = {
    "--sort": tuple(SORT_KEYS), "--columns": ("help", *column_names()), "--state": _STATES, "--protocol": PROTOCOLS,
    "--color": COLOURS, "--source": SOURCES, "--completion": SHELLS, "--interval": ("500ms", "1s", "2s", "5s"),
    "--for": ("5s", "10s", "30s"),
}


def completion(shell: str) -> str:
    """Return the script for bash, zsh or fish."""
    return {"bash": _bash, "zsh": _zsh, "fish": _fish}[shell]()


def query_words() -> list[str]:
    """Return fields with each value worth offering, and bare fields: `move:app`, `process:`."""
    return [field + value for field, values in COMPLETIONS.items() for value in values or ("",)]


def _names() -> list[str]:
    return [name for action in options_of(make_parser()) for name in action.option_strings if name.startswith("--")]


def _bash() -> str:
    cases = "".join(
        f'    {option}) COMPREPLY=($(compgen -W "{" ".join(values)}" -- "$current")); return ;;\n'
        for option, values in VALUES.items()
    )
    return f"""# bash completion for sockscope: source <(sockscope --completion bash)
_sockscope() {{
  local current="${{COMP_WORDS[COMP_CWORD]}}" previous="${{COMP_WORDS[COMP_CWORD-1]}}"
  COMPREPLY=()
  case "$previous" in
{cases}    -p|--pid) COMPREPLY=($(compgen -W "$(cd /proc 2>/dev/null && echo [0-9]*)" -- "$current")); return ;;
    --user) COMPREPLY=($(compgen -u -- "$current")); return ;;
  esac
  if [[ $current == -* ]]; then
    COMPREPLY=($(compgen -W "{" ".join(_names())}" -- "$current"))
  else
    COMPREPLY=($(compgen -W "lab doctor {" ".join(query_words())}" -- "$current"))
  fi
  # A colon splits words in bash: hand back what follows the last one.
  if [[ $current == *:* && $COMP_WORDBREAKS == *:* ]]; then
    local head="${{current%"${{current##*:}}"}}"
    COMPREPLY=("${{COMPREPLY[@]#"$head"}}")
  fi
}}
complete -o nosort -F _sockscope sockscope
"""


def _zsh() -> str:
    lines = []
    for action in options_of(make_parser()):
        for name in action.option_strings:
            note = (action.help or "").replace("'", "'\\''").replace("[", "(").replace("]", ")").replace(":", "\\:")
            values = VALUES.get(action.option_strings[-1])
            value = "" if action.nargs == 0 else f":{action.metavar}:" + (f"({' '.join(values)})" if values else "")
            lines.append(f"    '{name}[{note}]{value}'")
    options = " \\\n".join(lines)
    words = " ".join(word.replace(":", "\\:") for word in query_words())
    return f"""#compdef sockscope
# zsh completion for sockscope: sockscope --completion zsh > "${{fpath[1]}}/_sockscope"
_arguments -s \\
{options} \\
    '*:query:(lab doctor {words})'
"""


def _fish() -> str:
    lines = ["# fish completion for sockscope: sockscope --completion fish | source", "complete -c sockscope -f"]
    for action in options_of(make_parser()):
        parts = ["complete -c sockscope"]
        parts += [f"-l {name[2:]}" if name.startswith("--") else f"-s {name[1:]}" for name in action.option_strings]
        if action.nargs != 0:
            values = VALUES.get(action.option_strings[-1])
            parts.append("-x" + (f" -a '{' '.join(values)}'" if values else ""))
        note = (action.help or "").replace("\\", "\\\\").replace("'", "\\'")
        lines.append(" ".join([*parts, f"-d '{note}'"]))
    lines.append(f"complete -c sockscope -a 'lab doctor {' '.join(query_words())}'")
    return "\n".join(lines) + "\n"
