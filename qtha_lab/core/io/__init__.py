"""Input and output of foreign data; no other module of the package does it.

Foreign data comes from files, folders, stores, sockets, forms and environment variables. Bad data
is a `Refusal` with one sentence. `tests/package/test_architecture.py` forbids `open`, `read_text`,
`json.loads`, `yaml.load`, `pickle`, `print` and every call that writes elsewhere.
"""

from qtha_lab.core.io.arrays import load_arrays as load_arrays
from qtha_lab.core.io.arrays import load_tensors as load_tensors
from qtha_lab.core.io.arrays import open_tensors as open_tensors
from qtha_lab.core.io.arrays import tensor_shapes as tensor_shapes
from qtha_lab.core.io.files import ReadCounts as ReadCounts
from qtha_lab.core.io.files import digest as digest
from qtha_lab.core.io.files import open_file as open_file
from qtha_lab.core.io.files import read as read
from qtha_lab.core.io.files import read_bytes as read_bytes
from qtha_lab.core.io.files import read_json as read_json
from qtha_lab.core.io.files import read_mapping as read_mapping
from qtha_lab.core.io.files import read_tail as read_tail
from qtha_lab.core.io.folders import make_folder as make_folder
from qtha_lab.core.io.folders import move as move
from qtha_lab.core.io.folders import refuse_inner_links as refuse_inner_links
from qtha_lab.core.io.folders import refuse_links as refuse_links
from qtha_lab.core.io.folders import remove as remove
from qtha_lab.core.io.folders import remove_file as remove_file
from qtha_lab.core.io.folders import remove_unfinished as remove_unfinished
from qtha_lab.core.io.folders import scratch_folder as scratch_folder
from qtha_lab.core.io.folders import share as share
from qtha_lab.core.io.folders import staged as staged
from qtha_lab.core.io.folders import sync as sync
from qtha_lab.core.io.folders import sync_tree as sync_tree
from qtha_lab.core.io.json_lines import at_line as at_line
from qtha_lab.core.io.json_lines import packed_records as packed_records
from qtha_lab.core.io.json_lines import records as records
from qtha_lab.core.io.signed import keyed_digest as keyed_digest
from qtha_lab.core.io.signed import read_pickle as read_pickle
from qtha_lab.core.io.signed import secret_key as secret_key
from qtha_lab.core.io.strict_json import parse_json as parse_json
from qtha_lab.core.io.strict_yaml import parse_yaml as parse_yaml
from qtha_lab.core.io.tables import SUFFIXES as SUFFIXES
from qtha_lab.core.io.tables import table_rows as table_rows
from qtha_lab.core.io.tables import table_suffix as table_suffix
from qtha_lab.core.io.text import csv_cell as csv_cell
from qtha_lab.core.io.text import printable as printable
from qtha_lab.core.io.text import relative_name as relative_name
from qtha_lab.core.io.text import shortened as shortened
from qtha_lab.core.io.text import show as show
from qtha_lab.core.io.text import whole_number as whole_number
from qtha_lab.core.io.write import append_shared as append_shared
from qtha_lab.core.io.write import check_writable as check_writable
from qtha_lab.core.io.write import copy as copy
from qtha_lab.core.io.write import finite as finite
from qtha_lab.core.io.write import open_shared as open_shared
from qtha_lab.core.io.write import replacing as replacing
from qtha_lab.core.io.write import write_atomically as write_atomically
from qtha_lab.core.io.write import write_json as write_json
from qtha_lab.core.io.write import write_new as write_new
