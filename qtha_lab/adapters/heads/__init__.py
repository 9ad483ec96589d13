"""Heads: what reads a frozen or adapted model where a task has classes; one file each, by name.

`head_named("circuit(n=4)")` gives a head, `put_head(model, head)` puts it in the place of a model's
classification layer. A head starts with the same logit for every class, so all of them start at the
same loss, the logarithm of the number of classes.
"""

from qtha_lab.adapters.heads.features import check_readable, features_of, read_features
from qtha_lab.adapters.heads.layer import (
    HeadLayer,
    head_of,
    layer_name,
    put_head,
    text_in,
    written_in,
)
from qtha_lab.adapters.heads.registry import HEADS, Head, HeadInfo, head, head_named

__all__ = [
    "HEADS",
    "Head",
    "HeadInfo",
    "HeadLayer",
    "check_readable",
    "features_of",
    "head",
    "head_named",
    "head_of",
    "layer_name",
    "put_head",
    "read_features",
    "text_in",
    "written_in",
]
