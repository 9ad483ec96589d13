"""Classification heads on frozen or adapted models by name; one file each.

`head_named("circuit(n=4)")` returns a head, `put_head(model, head)` replaces a model's
classification layer by it. Every head gives equal initial logits for all classes, so the initial
loss of each is the logarithm of the number of classes.
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
