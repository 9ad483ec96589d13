"""Input and output of foreign data; no other module of the package does it.

Foreign data comes from files, folders, stores, sockets, forms and environment variables. Bad data
is a `Refusal` with one sentence. `tests/package/test_architecture.py` forbids `open`, `read_text`,
`json.loads`, `yaml.load`, `pickle` and `print` elsewhere.
"""

from qtha_lab.core.io.arrays import load_arrays
from qtha_lab.core.io.files import (
    digest,
    open_file,
    read,
    read_bytes,
    read_json,
    read_mapping,
    read_tail,
)
from qtha_lab.core.io.json_lines import at_line, packed_records, records
from qtha_lab.core.io.names import relative_name
from qtha_lab.core.io.signed import keyed_digest, read_pickle, secret_key, write_new
from qtha_lab.core.io.strict_json import parse_json
from qtha_lab.core.io.strict_yaml import parse_yaml
from qtha_lab.core.io.tables import SUFFIXES, table_rows, table_suffix
from qtha_lab.core.io.tensors import load_tensors, open_tensors, tensor_shapes
from qtha_lab.core.io.text import csv_cell, printable, shortened, show

__all__ = [
    "SUFFIXES",
    "at_line",
    "csv_cell",
    "digest",
    "keyed_digest",
    "load_arrays",
    "load_tensors",
    "open_file",
    "open_tensors",
    "packed_records",
    "parse_json",
    "parse_yaml",
    "printable",
    "read",
    "read_bytes",
    "read_json",
    "read_mapping",
    "read_pickle",
    "read_tail",
    "records",
    "relative_name",
    "secret_key",
    "shortened",
    "show",
    "table_rows",
    "table_suffix",
    "tensor_shapes",
    "write_new",
]
