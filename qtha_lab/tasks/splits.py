"""Which rows are for training and which for evaluation: decided by a hash of the answer, not by the seed.

Holds the two hash rules alone; it reads no data. The pools are fixed for ever, so a model pretrained
without the evaluation pool stays honest for every seed; the seed only chooses and shuffles inside a pool.
"""

import hashlib
import random
import re
from collections.abc import Callable, Iterable

EVALUATION_FRACTION = 0.2
PRETRAINING_FRACTION = 0.7


def normalised(text: str) -> str:
    """Lower-case letters and digits only, so that case and punctuation cannot hide a repeated answer.

    Example:
        >>> normalised("It's  42!")
        'its42'
    """
    return re.sub(r"[\W_]+", "", text.lower())


def fraction_of(key: str, salt: str) -> float:
    """A number in [0, 1) that depends on nothing but the key and the salt."""
    digest = hashlib.sha256(f"{salt}:{normalised(key)}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def in_evaluation_pool(key: str) -> bool:
    """Whether rows with this key (an answer, a headword, a thread) are only ever evaluated on."""
    return fraction_of(key, "evaluation") < EVALUATION_FRACTION


def in_pretraining_pool(key: str) -> bool:
    """Whether text with this key may be read by `data/pretrain_tiny.py`; such text is not shipped as a task."""
    return fraction_of(key, "pretraining") < PRETRAINING_FRACTION


def split(rows: Iterable[dict], key: Callable[[dict], str], seed: int) -> tuple[list, list]:
    """Training and evaluation rows, each shuffled by the seed.

    Args:
        rows: Rows of a task, in the order of their file.
        key: What may not stand on both sides: the answer, the headword, the thread.
        seed: Order within each pool; never which pool.

    Returns:
        Training rows, evaluation rows.
    """
    rows = list(rows)
    held_out = {k: in_evaluation_pool(k) for k in {key(row) for row in rows}}
    train = [row for row in rows if not held_out[key(row)]]
    evaluation = [row for row in rows if held_out[key(row)]]
    random.Random(seed).shuffle(train)
    random.Random(seed).shuffle(evaluation)
    return train, evaluation
