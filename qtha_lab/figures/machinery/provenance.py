"""Provenance of a figure: runs, commit and versions, as text and as metadata of pictures.

Holds no time, so that the same figure written twice is the same file.
"""

import importlib.metadata
import logging
import os
import platform
import re
import struct
import subprocess
import time
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from html import escape

from qtha_lab.core import paths
from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import whole_number

log = logging.getLogger(__name__)
LAST_SECOND = 253_402_300_799  # of the year 9999, in seconds since 1970

DOTS_PER_INCH = 300
OLD_TITLE = re.compile(rb"/Title\s*(\((?:\\.|[^\\)])*\)|<[0-9A-Fa-f\s]*>)")
NO_DATE = b"D:19700101000000+00'00'"
PACKAGES = ("qtha-lab", "plotly", "kaleido")


def versions() -> dict[str, str]:
    """Return the versions of the drawing libraries by name."""
    numbers = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            numbers[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return numbers


@dataclass(frozen=True)
class Provenance:
    """Runs behind a figure, their commits, and the versions that drew the figure.

    Example:
        >>> origin = Provenance(runs=["r1", "r2"], commits=["abc"], versions={"plotly": "7.1.0"})
        >>> origin.words()
        {'runs': 'r1, r2', 'commit': 'abc', 'versions': 'plotly 7.1.0'}
    """

    runs: Iterable[str] = ()
    commits: Iterable[str] = ()
    versions: dict[str, str] = field(default_factory=versions)

    def words(self) -> dict[str, str]:
        """Return the known provenance as text by name."""
        texts = {
            "runs": ", ".join(self.runs),
            "commit": ", ".join(dict.fromkeys(self.commits)),
            "versions": ", ".join(f"{name} {version}" for name, version in self.versions.items()),
        }
        return {name: text for name, text in texts.items() if text}


def this_checkout() -> list[str]:
    """Return the commit of the drawing code, if it is in a git checkout."""
    if not (paths.CHECKOUT / ".git").exists():
        return []
    words = ["git", "-C", str(paths.CHECKOUT), "rev-parse", "HEAD"]
    try:
        answer = subprocess.run(words, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired) as reason:
        log.debug("the figure names no commit: %s", reason)
        return []
    return [answer.stdout.strip()] if answer.returncode == 0 else []


def build_date(form: str) -> str | None:
    """Return the UTC time of `SOURCE_DATE_EPOCH`; None where it is not set.

    Source:
        https://reproducible-builds.org/specs/source-date-epoch/
    """
    epoch = whole_number(os.environ.get("SOURCE_DATE_EPOCH", ""), LAST_SECOND)
    return None if epoch is None else time.strftime(form, time.gmtime(epoch))


def into_pdf(data: bytes, words: dict[str, str]) -> bytes:
    """Append a document information dictionary to a PDF (an incremental update).

    The dates are those of `SOURCE_DATE_EPOCH`, or absent.

    Source:
        ISO 32000-1:2008, 7.5.6 (incremental updates) and 14.3.3 (document information).
    """
    data = re.sub(rb"D:\d{14}\+00'00'", NO_DATE, data)
    data = OLD_TITLE.sub(
        lambda title: b" " * len(title[0]), data
    )  # the browser's page; offsets stay
    ends = list(re.finditer(rb"trailer\s*<<(.*?)>>\s*startxref\s*(\d+)\s*%%EOF", data, re.DOTALL))
    if not ends:
        raise Refusal("The PDF has no classic trailer. No metadata can be added to it.")
    size = re.search(rb"/Size (\d+)", ends[-1][1])
    root = re.search(rb"/Root (\d+ \d+ R)", ends[-1][1])
    if not size or not root:
        raise Refusal("The trailer of the PDF has no size or root. No metadata can be added to it.")
    number = int(size[1])
    data = data.rstrip(b"\r\n") + b"\n"
    entries = b"\n".join(b"/%s %s" % entry for entry in _information(words))
    xref = len(data) + len(info := b"%d 0 obj\n<<%s>>\nendobj\n" % (number, entries))
    table = b"xref\n0 1\n0000000000 65535 f \n%d 1\n%010d 00000 n \n" % (number, len(data))
    trailer = b"trailer\n<</Size %d\n/Root %s\n/Info %d 0 R\n/Prev %s>>\nstartxref\n%d\n%%%%EOF\n"
    return data + info + table + trailer % (number + 1, root[1], number, ends[-1][2], xref)


def _information(words: dict[str, str]) -> list[tuple[bytes, bytes]]:
    names = {"title": b"Title", "description": b"Subject", "runs": b"Keywords"}
    entries = [
        (names.get(name, b"QthaLab" + name.capitalize().encode()), text)
        for name, text in words.items()
    ]
    entries.append((b"Creator", "qtha-lab"))
    if date := build_date("D:%Y%m%d%H%M%S+00'00'"):
        entries += [(b"CreationDate", date), (b"ModDate", date)]
    return [(name, _pdf_text(text)) for name, text in entries]


def _pdf_text(text: str) -> bytes:
    if re.fullmatch(r"[ -~]*", text):
        return b"(" + re.sub(r"([\\()])", r"\\\1", text).encode() + b")"
    return b"<FEFF" + text.encode("utf-16-be").hex().upper().encode() + b">"


def into_svg(data: bytes, words: dict[str, str]) -> bytes:
    """Add a title, description and metadata to an SVG, and fix its random identifiers."""
    text = data.decode()
    if random_id := re.search(r'\bid="defs-([0-9a-f]{6})"', text):
        pattern = rf'((?:\b(?:id|class)="|#)[^"#()]*?){random_id[1]}'
        text = re.sub(pattern, r"\1qtha", text)
    text = text.replace(' style=""', "", 1)  # its position varies around the viewBox
    title, description = (escape(words.get(name, "")) for name in ("title", "description"))
    rest = "; ".join(f"{k}: {v}" for k, v in words.items() if k not in ("title", "description"))
    inside = (
        f'<title id="qtha-title">{title}</title><desc id="qtha-desc">{description}</desc>'
        f"<metadata>{escape(rest)}</metadata>"
    )
    open_tag, _, body = text.partition(">")
    spoken = ' role="img" aria-labelledby="qtha-title qtha-desc">'
    return f"{open_tag}{spoken}{inside}{body}".encode()


def into_png(data: bytes, words: dict[str, str]) -> bytes:
    """Add text chunks and the resolution to a PNG, right after its header.

    Source:
        PNG specification, third edition, 11.3.3.4 (iTXt) and 11.3.4.3 (pHYs).
    """
    dots = round(DOTS_PER_INCH / 0.0254)
    names = {"title": "Title", "description": "Description"}
    chunks = [_chunk(b"pHYs", struct.pack(">IIB", dots, dots, 1))]
    for name, text in {**words, "Software": "qtha-lab"}.items():
        key = names.get(name, name if name == "Software" else f"qtha-lab {name}")
        chunks.append(_chunk(b"iTXt", key.encode("latin-1") + b"\0\0\0\0\0" + text.encode()))
    header = 8 + 25  # the signature, then IHDR with its length, name and checksum
    return data[:header] + b"".join(chunks) + data[header:]


def _chunk(kind: bytes, content: bytes) -> bytes:
    checksum = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)
