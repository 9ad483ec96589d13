"""TOML files that a schema checks; each fault is refused with file and line."""

import re
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import read, shortened

STRING = re.compile(r"('''|\"\"\").*?\1", re.DOTALL)


class TextModel(BaseModel):
    """Part of a text file; a key that is not declared is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


Model = TypeVar("Model", bound=TextModel)


class TomlFile:
    """A file and the lines of its tables and keys.

    Args:
        path: File in TOML.
    """

    def __init__(self, path: Path):
        self.name, self.text = path.name, read(path)

    def parsed(self, model: type[Model]) -> Model:
        """Return the content of the file.

        Raises:
            Refusal: If the file is no TOML, or violates the schema.
        """
        try:
            return model.model_validate(tomllib.loads(self.text))
        except tomllib.TOMLDecodeError as problem:
            raise Refusal(f"{self.name} must be TOML, got a fault: {problem}.") from None
        except ValidationError as problem:
            # a misspelt key is unknown and missing: name the word that is there
            fault = min(problem.errors(), key=lambda error: error["type"] == "missing")
        is_missing = fault["type"] == "missing"
        line = self.line(*(fault["loc"][:-1] if is_missing else fault["loc"]))
        key = next(part for part in reversed(fault["loc"]) if isinstance(part, str))
        value = "none" if is_missing else shortened(repr(fault["input"]), 60)
        rule = fault["msg"][0].lower() + fault["msg"][1:]
        raise Refusal(f"{self.name}, line {line}: {key} must be valid, got {value}: {rule}.")

    def line(self, *place: str | int) -> int:
        """Return the line of a table or key, such as `line("exercise", 2, "hints")`."""
        # text in multi-line strings is no key
        rows = STRING.sub(lambda text: "\n" * text[0].count("\n"), self.text).splitlines()
        at, header = 0, ""
        for part in place:
            if isinstance(part, int):
                heads = [n for n in range(at, len(rows)) if rows[n].strip() == f"[[{header}]]"]
                at = heads[part] if part < len(heads) else at
                continue
            header = f"{header}.{part}" if header else part
            own = re.compile(rf"(\[?\[{re.escape(header)}\]|\"?{re.escape(part)}\"?\s*=)")
            at = next((n for n in range(at, len(rows)) if own.match(rows[n])), at)
        return at + 1

    @contextmanager
    def at(self, *place: str | int) -> Iterator[None]:
        """Add file and line to a refusal of the block."""
        try:
            yield
        except Refusal as refused:
            if str(refused).startswith(f"{self.name}, line "):
                raise
            raise Refusal(f"{self.name}, line {self.line(*place)}: {refused}") from None
