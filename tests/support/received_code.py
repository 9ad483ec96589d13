"""Poisoned modules in a received folder, and an import hook that lists imports below it."""

from importlib.abc import MetaPathFinder

NAME = "received"


class Hook(MetaPathFinder):
    """First import finder, which lists the imports below a received folder."""

    def __init__(self):
        self.imports = []

    def find_spec(self, fullname, path=None, target=None):
        if fullname.startswith(("runs.", f"{NAME}.")):
            self.imports.append(fullname)


def poison(folder, marks):
    """Fill a folder with modules that leave a mark: packages, and one beside its description."""
    (folder / "poison").mkdir()
    for name in ("__init__.py", "poison/__init__.py", "poison/inner.py", "bare.py"):
        mark = str(marks / name.replace("/", "-"))
        (folder / name).write_text(f"open({mark!r}, 'w').close()\n")
