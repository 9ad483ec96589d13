"""Public API for plugins: the classes and decorators that a plugin imports.

    from qtha_lab.plugins import AdapterConfig, Change, TensorSpec, method, setting

A plugin is a Python file or an importable module whose decorated members register themselves. An
experiment (`plugins: [mine.py]`) or `--plugin` names it. Entry points of installed packages are
discovered automatically (`qtha_lab.methods`, `qtha_lab.circuits.ansatze`, `qtha_lab.tasks`,
`qtha_lab.figures`, `qtha_lab.engines`, `qtha_lab.gates`, `qtha_lab.bits`,
`qtha_lab.adapters.heads`, `qtha_lab.adapters.initialisation.angles`, `qtha_lab.reproductions`). A
plugin is code and runs with your rights: use only plugins that you trust.
"""

from typing import TYPE_CHECKING

from qtha_lab.core.lazy_names import lazy_names

if TYPE_CHECKING:  # the declaration of the public names, read by `lazy_names`
    from qtha_lab.adapters.change import Change as Change
    from qtha_lab.adapters.change import Layer as Layer
    from qtha_lab.adapters.change import TensorSpec as TensorSpec
    from qtha_lab.adapters.heads import Head as Head
    from qtha_lab.adapters.heads import head as head
    from qtha_lab.adapters.initialisation.angles import AngleInitialisation as AngleInitialisation
    from qtha_lab.adapters.initialisation.angles import angle_initialisation as angle_initialisation
    from qtha_lab.adapters.method import Control as Control
    from qtha_lab.adapters.peft import AdapterConfig as AdapterConfig
    from qtha_lab.adapters.peft import RankConfig as RankConfig
    from qtha_lab.adapters.peft import method as method
    from qtha_lab.circuits import Angle as Angle
    from qtha_lab.circuits import Circuit as Circuit
    from qtha_lab.circuits import Gate as Gate
    from qtha_lab.circuits import GateKind as GateKind
    from qtha_lab.circuits import Readout as Readout
    from qtha_lab.circuits import gate_kind as gate_kind
    from qtha_lab.circuits.ansatze.encoding import encoded as encoded
    from qtha_lab.circuits.ansatze.registry import ansatz as ansatz
    from qtha_lab.circuits.elementary_gates import cnot as cnot
    from qtha_lab.circuits.elementary_gates import rotation_x as rotation_x
    from qtha_lab.circuits.elementary_gates import rotation_y as rotation_y
    from qtha_lab.circuits.elementary_gates import rotation_z as rotation_z
    from qtha_lab.core.errors import Refusal as Refusal
    from qtha_lab.core.method_styles import MethodStyle as MethodStyle
    from qtha_lab.core.plugin_loading import load_plugins as load_plugins
    from qtha_lab.core.settings import setting as setting
    from qtha_lab.experiment import Experiment as Experiment
    from qtha_lab.figures.machinery.figure import Figure as Figure
    from qtha_lab.figures.machinery.figure import figure_function as figure_function
    from qtha_lab.figures.machinery.table import Table as Table
    from qtha_lab.lessons.grading import Number as Number
    from qtha_lab.lessons.registry import exercise as exercise
    from qtha_lab.models.quantisation.layers import matrix_of as matrix_of
    from qtha_lab.models.quantisation.layers import rounded_layers as rounded_layers
    from qtha_lab.models.quantisation.layers import set_matrix as set_matrix
    from qtha_lab.models.quantisation.schemes import Rounding as Rounding
    from qtha_lab.models.quantisation.schemes import bits as bits
    from qtha_lab.reproductions.machinery.registry import PaperClaim as PaperClaim
    from qtha_lab.reproductions.machinery.registry import reproduction as reproduction
    from qtha_lab.simulators import expval as expval
    from qtha_lab.simulators import expval_z as expval_z
    from qtha_lab.simulators import probs as probs
    from qtha_lab.simulators.registry import Engine as Engine
    from qtha_lab.simulators.registry import engine as engine
    from qtha_lab.tasks.registry import question_and_answer as question_and_answer
    from qtha_lab.tasks.registry import task as task

__getattr__, __dir__, __all__ = lazy_names(__name__)
