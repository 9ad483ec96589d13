"""Classification heads on frozen or adapted models by name; one file each.

`head_named("circuit(n=4)")` returns a head, `put_head(model, head)` replaces a model's
classification layer by it. Every head gives equal initial logits for all classes, so the initial
loss of each is the logarithm of the number of classes.
"""

from qtha_lab.adapters.heads.layer import HeadLayer as HeadLayer
from qtha_lab.adapters.heads.layer import check_readable as check_readable
from qtha_lab.adapters.heads.layer import features_of as features_of
from qtha_lab.adapters.heads.layer import head_of as head_of
from qtha_lab.adapters.heads.layer import layer_name as layer_name
from qtha_lab.adapters.heads.layer import put_head as put_head
from qtha_lab.adapters.heads.layer import read_features as read_features
from qtha_lab.adapters.heads.layer import text_in as text_in
from qtha_lab.adapters.heads.layer import written_in as written_in
from qtha_lab.adapters.heads.registry import HEADS as HEADS
from qtha_lab.adapters.heads.registry import Head as Head
from qtha_lab.adapters.heads.registry import HeadInfo as HeadInfo
from qtha_lab.adapters.heads.registry import head as head
from qtha_lab.adapters.heads.registry import head_named as head_named
