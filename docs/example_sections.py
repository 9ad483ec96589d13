"""Extension of griffe that shows the examples of docstrings as code.

Docstrings head them `Example:`, which griffe would show as an admonition.
"""

import re

import griffe

HEADING = re.compile(r"^( *)Example:$", re.MULTILINE)


class ExampleSections(griffe.Extension):
    """Rename `Example:` to `Examples:`, which opens a section."""

    def on_object(self, *, obj: griffe.Object, **_) -> None:
        """Change the docstring of one module, class, function or attribute."""
        if obj.docstring:
            obj.docstring.value = HEADING.sub(r"\1Examples:", obj.docstring.value)
