"""Statements of a lesson's page: its model, and findings checked in this run.

    page = page_model("smollm2-135m")   shows which model the page uses; `page.name` is it
    what_to_see((f"Rank {rank}.", rank <= 8), …)   sentences about numbers, each with its condition

A false sentence is marked as such. Tests run every page on each of its models, and all sentences
must hold there.
"""

from dataclasses import dataclass

from qtha_lab.lessons.predictions import is_open
from qtha_lab.models import KNOWN, is_available

TOY = "tiny"


@dataclass(frozen=True)
class PageModel:
    """Model that a page uses, and its target, the model it was written for."""

    name: str
    target: str

    def __repr__(self) -> str:
        return self._repr_markdown_().replace("**", "")

    def _repr_markdown_(self) -> str:
        return f"**This page uses `{self.name}`**, {_about(self.name)}. {self._other()}"

    def _other(self) -> str:
        computed = "Every *What to see* is computed from what this page ran."
        if self.name == self.target:
            return computed
        return (
            f"It runs on `{self.target}` too ({_about(self.target)}), which is not on this machine:"
            f" `qtha-lab fetch {self.target}` in a terminal brings it"
            f" ({KNOWN[self.target].download_mb} MB, about a minute); then restart the kernel."
            f" {computed}"
        )


def _about(name: str) -> str:
    return KNOWN[name].summary if name in KNOWN else "a model of your own"


def page_model(target: str) -> PageModel:
    """Return the model of this page: the target if available, else the bundled toy model.

    The target is available if it is on this machine.

    Example:
        >>> page_model("tiny").name
        'tiny'
    """
    return PageModel(target if is_available(target) else TOY, target)


@dataclass(frozen=True)
class Claims:
    """Statements about the results of this run, each with its truth value.

    Attributes:
        claims: Sentences, each with its truth value.
        after: Prediction that the sentences answer; on a page they are folded until it is made.
    """

    claims: tuple[tuple[str, bool], ...]
    after: str = ""

    def __repr__(self) -> str:
        return "\n".join(f"{'✓' if holds else '✗'} {text}" for text, holds in self.claims)

    def _repr_markdown_(self) -> str:
        lines = [text if holds else f"*Not in this run:* ~~{text}~~" for text, holds in self.claims]
        page = "**What to see.**\n\n" + "\n".join(f"* {line}" for line in lines)
        if self.after and is_open(self.after):
            title = f"What to see: predict {self.after} first, or unfold"
            return f"<details><summary>{title}</summary>\n\n{page}\n\n</details>"
        return page


def what_to_see(*claims: tuple[str, bool], after: str = "") -> Claims:
    """Show sentences with the numbers of this run, each with its condition.

    Args:
        claims: Sentences, each with its truth value.
        after: Prediction that they answer, such as "1.a"; on a page they are folded until then.

    Example:
        >>> what_to_see(("1 is less than 2.", 1 < 2))
        ✓ 1 is less than 2.
    """
    return Claims(tuple((text, bool(holds)) for text, holds in claims), after)
