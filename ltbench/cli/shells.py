"""What shells do differently from what click's completion expects of them."""

from __future__ import annotations

from click.shell_completion import BashComplete, CompletionItem, ZshComplete, add_completion_class

BREAKS = ("=", ":")
"""Where bash breaks words."""
_END = "    return 0\n"
_ADDED = "        compadd -U -V unsorted -a completions\n"


class Bash(BashComplete):
    """Bash breaks words at `=` and `:`, also within a technique, and ends what it completes with a space."""

    name = "bash"
    source_template = BashComplete.source_template.replace(
        _END, "    if [[ ${COMPREPLY[0]-} == *= ]]; then compopt -o nospace; fi\n" + _END
    )

    def get_completion_args(self) -> tuple[list[str], str]:
        args, incomplete = super().get_completion_args()
        words = joined([*args, incomplete])
        value = words[-1].partition("=")[2] if words[-1].startswith("-") else words[-1]
        last = "" if incomplete in BREAKS else incomplete
        self._before = value.removesuffix(last)
        return words[:-1], words[-1]

    def get_completions(self, args: list[str], incomplete: str) -> list[CompletionItem]:
        """Return what may stand in the place of the last piece of a word."""
        found = super().get_completions(args, incomplete)
        return [CompletionItem(str(one.value).removeprefix(self._before), one.type, one.help) for one in found]


class Zsh(ZshComplete):
    """Zsh ends what it completes with a space, too."""

    name = "zsh"
    source_template = ZshComplete.source_template.replace(
        _ADDED,
        """\
        local -a ending; if [[ "${completions[1]}" == *= ]]; then ending=(-S ""); fi
        compadd "${ending[@]}" -U -V unsorted -a completions
""",
    )


def joined(words: list[str]) -> list[str]:
    """Return words as they were typed, from the pieces into which bash breaks them.

    >>> joined(["run", "--plugins", "mixup[alpha", "=", "1,pe"]), joined(["--models", "=", "con"]), joined(["--set", "lr", "="])
    (['run', '--plugins', 'mixup[alpha=1,pe'], ['--models=con'], ['--set', 'lr='])
    """
    found: list[str] = []
    is_open = False
    for word in words:
        is_break = word in BREAKS
        if found and (is_break or is_open):
            found[-1] += word
        else:
            found.append(word)
        is_open = is_break
    return found


def register() -> None:
    """Have click use these."""
    add_completion_class(Bash)
    add_completion_class(Zsh)
