"""Reading of pickles of this user, after owner, permission and digest checks.

A pickle runs code when it is loaded, so no byte of an unsigned file reaches `pickle`.
"""

import hmac
import os
import pickle
import secrets
from pathlib import Path
from typing import Any

from qtha_lab.core.errors import Refusal
from qtha_lab.core.io.files import open_file
from qtha_lab.core.io.private import OTHERS_ANY, check_folder, check_private, private_folder
from qtha_lab.core.io.write import write_new

DIGEST_BYTES = KEY_BYTES = 32


def secret_key(path: Path) -> bytes:
    """Read this user's secret key, or create a new one.

    Args:
        path: File of 32 bytes with mode 0600.

    Raises:
        OSError: If the file cannot be created.
        Refusal: If another user owns the file or its folder, or may read it.
    """
    private_folder(path.parent)
    if not os.path.lexists(path):
        part = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        write_new(part, secrets.token_bytes(KEY_BYTES))
        try:
            os.link(
                part, path
            )  # the first of several processes wins, and no process reads a partial key
        except FileExistsError:
            pass
        finally:
            part.unlink()
    with open_file(path, KEY_BYTES, links=False) as file:
        check_private(path, os.fstat(file.fileno()), OTHERS_ANY)
        key = file.read(KEY_BYTES)
    if len(key) != KEY_BYTES:
        raise Refusal(f"{path} must have {KEY_BYTES} bytes, got {len(key)}. Delete it.")
    return key


def keyed_digest(key: bytes, name: str, payload: bytes) -> bytes:
    """Compute the HMAC-SHA256 of a file's name and content.

    Args:
        key: Secret key of this user.
        name: Name of the file.
        payload: Content of the file.
    """
    return hmac.digest(key, name.encode() + b"\0" + payload, "sha256")


def read_pickle(path: Path, key: bytes) -> Any:
    """Load a pickle whose keyed digest precedes its content.

    Args:
        path: File in a folder that only this user can change.
        key: Secret key of this user.

    Raises:
        FileNotFoundError: If there is no such file.
        Refusal: If another user could have changed the file, or its digest does not match.
    """
    check_folder(path.parent)
    with open_file(path, links=False) as file:
        check_private(path, os.fstat(file.fileno()))
        content = file.read()
    digest, payload = content[:DIGEST_BYTES], content[DIGEST_BYTES:]
    if not hmac.compare_digest(digest, keyed_digest(key, path.name, payload)):
        raise Refusal(f"{path} must have the digest of this user's key, got another.")
    return pickle.loads(payload)
