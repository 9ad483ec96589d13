"""Folders and their entries, changed through a folder's descriptor.

No link is followed below the folder `below`, which a user chose and may itself be a link. Systems
without descriptors of folders, such as Windows, check every level first.
"""

import contextlib
import errno
import logging
import os
import re
import secrets
import shutil
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from qtha_lab.core.errors import Refusal
from qtha_lab.core.io.text import shortened

HAS_DESCRIPTORS = os.open in os.supports_dir_fd
NO_LINK = getattr(os, "O_NOFOLLOW", 0)
CLOSED = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NONBLOCK", 0)  # a FIFO would wait
AS_FOLDER = CLOSED | getattr(os, "O_DIRECTORY", 0)
UNFINISHED = re.compile(r"\..+\.[0-9a-f]{8}\.new")
log = logging.getLogger(__name__)


class OpenFolder(NamedTuple):
    """Open folder: its path and its descriptor; None on systems without one."""

    path: Path
    fd: int | None

    def at(self, name: str) -> str:
        """Return the address of an entry, relative to the descriptor."""
        return name if self.fd is not None else str(self.path / name)

    def sync(self) -> None:
        """Wait until the entries of the folder are on the disk."""
        if self.fd is None:
            return
        try:
            os.fsync(self.fd)
        except OSError as reason:  # EBADF: the folder can be entered, but not read
            if reason.errno not in (errno.EBADF, errno.EINVAL):
                raise


@contextlib.contextmanager
def open_folder(folder: Path, below: Path | None = None) -> Iterator[OpenFolder]:
    """Open a folder; no level below another folder may be a link.

    Raises:
        FileNotFoundError: If a level is missing.
        Refusal: If a level below is a link or a file.
    """
    root = folder if below is None else below
    levels = folder.relative_to(root).parts
    if not HAS_DESCRIPTORS:
        refuse_links(folder, root)
        yield OpenFolder(folder, None)
        return
    fd = _opened(root, None, AS_FOLDER)
    try:
        for number, level in enumerate(levels, 1):
            try:
                inner = _opened(level, fd, AS_FOLDER | NO_LINK)
            except OSError as reason:
                if reason.errno in (errno.ENOTDIR, errno.ELOOP):
                    raise _no_folder(root.joinpath(*levels[:number])) from None
                reason.filename = str(root.joinpath(*levels[:number]))
                raise
            os.close(fd)
            fd = inner
        yield OpenFolder(folder, fd)
    finally:
        os.close(fd)


def _opened(path: Path | str, fd: int | None, flags: int) -> int:
    try:
        return os.open(path, os.O_RDONLY | flags, dir_fd=fd)
    except PermissionError as reason:  # a drop box, which can be entered but not read
        log.debug("%s is opened as a path: %s", path, reason)
        return os.open(path, getattr(os, "O_PATH", os.O_RDONLY) | flags, dir_fd=fd)


def _no_folder(path: Path) -> Refusal:
    if path.is_symlink():
        return _link(path)
    return Refusal(f"{shortened(path, 180)} must be a folder, got a file. Move the file away.")


def _link(path: Path) -> Refusal:
    return Refusal(f"{shortened(path, 180)} must be no symbolic link, got one. Move the link away.")


def refuse_links(path: Path, below: Path) -> None:
    """Refuse a path with a link at any level below a folder.

    Raises:
        Refusal: With the link.
    """
    level = below
    for name in path.relative_to(below).parts:
        level /= name
        if level.is_symlink():
            raise _link(level)


def refuse_inner_links(folder: Path, depth: int = 1) -> None:
    """Refuse a folder with a link among its entries, before it is resumed.

    Args:
        folder: Folder of a run, comparison, sweep or federation.
        depth: Levels to look at; 1 is the entries of the folder itself.

    Raises:
        Refusal: With the link.
    """
    if not folder.is_dir():
        return
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_symlink():
                raise _link(folder / entry.name)
            if depth > 1 and entry.is_dir(follow_symlinks=False):
                refuse_inner_links(folder / entry.name, depth - 1)


def make_folder(path: Path, below: Path | None = None, *, exist_ok: bool = True) -> None:
    """Create a folder and missing parents with the group permissions of the parent folder.

    Args:
        path: Folder to create.
        below: Folder above, below which no level may be a link.
        exist_ok: Accept a folder that exists.

    Raises:
        FileExistsError: If the path is a file, or exists and may not.
        Refusal: If a level below `below` is a link or a file.
    """
    inside = below if below is not None and path != below else None
    if not path.parent.is_dir():
        make_folder(path.parent, inside)
    with open_folder(path.parent, inside) as folder:
        try:
            os.mkdir(folder.at(path.name or "."), dir_fd=folder.fd)  # "." and "/" have no name
            folder.sync()
        except FileExistsError as reason:
            if not exist_ok or (inside is None and not path.is_dir()):
                reason.filename = str(path)
                raise
    if inside is not None:
        with open_folder(path, inside):
            pass
    share(path, path.parent)


def share(file: int | Path, folder: Path) -> None:
    """Apply the group and group permissions of the parent folder to a file or folder.

    Only the user's own files are changed. A folder such as /tmp, in which users may delete only
    their own files, shares nothing.
    """
    if sys.platform == "win32":
        return
    status, around = os.stat(file), os.stat(folder)
    if status.st_uid != os.geteuid() or around.st_mode & stat.S_ISVTX:
        return
    group = around.st_mode & (0o2070 if stat.S_ISDIR(status.st_mode) else 0o060)
    mode = stat.S_IMODE(status.st_mode) | group
    if mode == stat.S_IMODE(status.st_mode) and around.st_gid == status.st_gid:
        return
    try:
        if around.st_gid != status.st_gid and around.st_mode & 0o020:
            os.chown(file, -1, around.st_gid)
        elif around.st_gid != status.st_gid:
            return
        os.chmod(file, mode)
    except PermissionError as reason:  # this user is not a member of the group
        log.debug("%s is not shared: %s", file, reason)


def remove(path: Path, below: Path | None = None, *, ignore_errors: bool = False) -> None:
    """Delete a file, or a folder with its content; of a link, only the link.

    Args:
        path: Path to delete; a missing one is ignored.
        below: Folder above, below which no level may be a link.
        ignore_errors: Leave what cannot be deleted.
    """
    try:
        with open_folder(path.parent, below) as folder:
            name = folder.at(path.name)
            if stat.S_ISDIR(os.lstat(name, dir_fd=folder.fd).st_mode):
                shutil.rmtree(name, ignore_errors, dir_fd=folder.fd)
            else:
                os.unlink(name, dir_fd=folder.fd)
    except OSError as reason:
        if not ignore_errors and not isinstance(reason, FileNotFoundError):
            raise
        log.debug("%s is not deleted: %s", path, reason)


def remove_file(path: Path) -> None:
    """Delete a file, a link or a FIFO; a missing one is ignored.

    Raises:
        Refusal: If a folder is in its place.
    """
    if path.is_dir() and not path.is_symlink():
        raise Refusal(f"{path.name} must be a file, got a folder. Delete {shortened(path, 160)}.")
    remove(path)


def move(source: Path, target: Path, below: Path | None = None) -> None:
    """Rename a file or folder, and write both parent folders to the disk.

    Args:
        source: Present path.
        target: New path, which no folder may have.
        below: Folder above both, below which no level may be a link.
    """
    with open_folder(source.parent, below) as old, open_folder(target.parent, below) as new:
        try:
            os.rename(
                old.at(source.name), new.at(target.name), src_dir_fd=old.fd, dst_dir_fd=new.fd
            )
        except OSError as reason:
            reason.filename, reason.filename2 = str(source), str(target)
            raise
        new.sync()
        old.sync()


def temporary_name(name: str) -> str:
    """Return a hidden random name for a file or folder that becomes `name`."""
    return f".{name[:40]}.{secrets.token_hex(4)}.new"


@contextlib.contextmanager
def staged(path: Path, below: Path | None = None) -> Iterator[Path]:
    """Yield a path in a private folder; afterwards its file or folder replaces `path`.

    For libraries with writers of their own. The content is on the disk before it is moved.

    Args:
        path: Final path of the file or folder.
        below: Folder above, below which no level may be a link.
    """
    with open_folder(path.parent, below) as folder:
        private = temporary_name(path.name)
        os.mkdir(folder.at(private), 0o700, dir_fd=folder.fd)
        try:
            new = path.parent / private / path.name
            yield new
            sync_tree(new, path.parent)
            remove(path, below)
            source = folder.at(f"{private}/{path.name}")
            os.rename(source, folder.at(path.name), src_dir_fd=folder.fd, dst_dir_fd=folder.fd)
            folder.sync()
        finally:
            shutil.rmtree(folder.at(private), ignore_errors=True, dir_fd=folder.fd)


def remove_unfinished(folder: Path, below: Path | None = None) -> None:
    """Delete files and folders that a killed process has not moved to their place."""
    for path in folder.iterdir() if folder.is_dir() else ():
        if UNFINISHED.fullmatch(path.name):
            remove(path, below, ignore_errors=True)


def scratch_folder(
    beside: Path | None = None, *, prefix: str = "qtha-lab-", ignore_cleanup_errors: bool = False
) -> "TemporaryDirectory[str]":
    """Create a private folder that is deleted at the end of its `with` block.

    Args:
        beside: Folder that holds the new one; None is the system's folder of temporary files.
        prefix: Beginning of the name.
        ignore_cleanup_errors: Leave what cannot be deleted.
    """
    return TemporaryDirectory(
        prefix=prefix, dir=beside, ignore_cleanup_errors=ignore_cleanup_errors
    )


def sync(path: Path) -> None:
    """Wait until a file, or the entries of a folder, are on the disk."""
    if path.is_dir():
        with open_folder(path) as folder:
            return folder.sync()
    fd = os.open(path, os.O_RDONLY | CLOSED | NO_LINK)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def sync_tree(tree: Path, around: Path | None = None) -> None:
    """Write a file or folder to the disk, shared as the folder around.

    Args:
        tree: File or folder.
        around: Folder whose group and group permissions apply; None is the parent folder.
    """
    share(tree, around or tree.parent)
    for path in tree.rglob("*") if tree.is_dir() else ():  # a folder comes before its content
        if not path.is_symlink():
            share(path, path.parent)
            sync(path)
    sync(tree)
