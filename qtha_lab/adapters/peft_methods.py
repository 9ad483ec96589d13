"""PEFT's own methods by name: offered settings, limits and defaults.

Holds no mathematics: LoRA and related methods are PEFT's, with PEFT's names for settings. The list
has methods that adapt linear layers and were tested on Llama, GPT-2 and BERT shapes.
"""

import dataclasses
import functools
from collections.abc import Iterable, Mapping
from typing import Any

from peft import PeftType
from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING

from qtha_lab.adapters.initialisation.lora import LORA_INITIALISATIONS, ROWS
from qtha_lab.adapters.method import Method
from qtha_lab.core.method_styles import METHOD_STYLES, MethodStyle
from qtha_lab.core.settings import Setting, settings_of

_SIZE = {"ge": 1, "le": 4096}
_SHARE = {"ge": 0, "le": 0.95}
_POSITIVE = {"gt": 0}
# Our help texts: PEFT's are Markdown, or repeat the name.
_RANK = _SIZE | {"help": "Inner size of the update: a larger one can express more and trains more."}
_ALPHA = _POSITIVE | {"help": "Scaling: the update is times alpha / r; 2 r is usual."}
_DROPOUT = _SHARE | {"help": "Share of the adapter's input set to zero while training."}
_MODULE_DROPOUT = _SHARE | {"help": "Chance that a step leaves an adapted layer as it was."}
_RSLORA = {"help": "Scale by alpha / √r instead of alpha / r, which suits large r."}
_BASES = _SIZE | {"help": "Inner size of the frozen random matrices."}
_D_INITIAL = _POSITIVE | {
    "help": "Initial value of the trained scalings between the frozen matrices."
}
_RANDLORA_ALPHA = _POSITIVE | {"help": "Scaling: the update is times alpha / r; 20 r is usual."}
_STRENGTH = _POSITIVE | {"help": "Initial strength λ, which bounds the norm of the update."}
_FREQUENCIES = _SIZE | {"help": "Trained coefficients per layer; the rest stay zero."}
_SCALING = _POSITIVE | {"help": "Factor on the update."}
# Layers whose IA³ vector scales the input, by their names in common architectures.
_FEEDFORWARD = ("down_proj", "fc2", "wo", "dense_4h_to_h", "mlp.c_proj", "output.dense")


@dataclasses.dataclass(repr=False)
class PeftMethod(Method):
    """Method of PEFT: config class, offered and fixed settings, and our additional ones."""

    name: str
    peft_type: str
    summary: str
    equation: str
    source: str
    default_learning_rate: float
    style: MethodStyle = dataclasses.field(kw_only=True)
    shown: Mapping[str, Mapping[str, Any]]
    defaults: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    fixed: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    sized_by: tuple[str, ...] = ("r",)
    beside: tuple[Setting, ...] = ()
    ours: bool = False

    @property
    def config_class(self) -> type:
        return PEFT_TYPE_TO_CONFIG_MAPPING[PeftType(self.peft_type)]

    def settings(self) -> dict[str, Setting]:
        declared = _declared(self.config_class)
        shown = {
            name: dataclasses.replace(
                declared[name],
                default=self.defaults.get(name, declared[name].default),
                optional=False,
                **{"common": True, **limits},
            )
            for name, limits in self.shown.items()
        }
        return shown | {setting.name: setting for setting in self.beside}

    def config_options(self, options: Mapping[str, Any]) -> dict[str, Any]:
        ours = {setting.name for setting in self.beside}
        peft_options = {name: value for name, value in options.items() if name not in ours}
        start = LORA_INITIALISATIONS.get(options.get("init_lora_weights", True))
        return {**self.defaults, **peft_options, **self.fixed, **(start.settings if start else {})}

    def start_rows(self, options: Mapping[str, Any]) -> int:
        start = LORA_INITIALISATIONS.get(options.get("init_lora_weights", True))
        return int(options.get("start_rows", ROWS)) if start and start.reads_rows else 0

    def make_config(self, task_type=None, target_modules=None, **options):
        config = super().make_config(task_type, target_modules, **options)
        if hasattr(config, "feedforward_modules") and isinstance(config.target_modules, set):
            config.feedforward_modules = {
                name for name in config.target_modules if name.endswith(_FEEDFORWARD)
            }
        return config

    def check_sizes(self, config: Any, sizes: Iterable[tuple[int, int]]) -> None:
        """Accept all sizes here.

        PEFT checks sizes when it builds its layers (see `count_trainable`).
        """

    def owns(self, config: Any) -> bool:
        return type(config) is self.config_class and all(
            getattr(config, name) == value for name, value in self.fixed.items()
        )


@functools.cache
def _declared(config_class: type) -> dict[str, Setting]:
    return settings_of(config_class)


_START = {
    "choices": tuple(LORA_INITIALISATIONS),
    "common": False,
    "help": "Initialisation by PEFT's name; eva, corda and lora_ga read rows, and pissa, olora, "
    "corda and lora_ga change the base weights.",
}
_START_ROWS = Setting(
    "start_rows",
    int,
    ROWS,
    "Training rows that eva, corda and lora_ga read; other initialisations read none.",
    ge=0,
)
_LORA = {"r": _RANK, "lora_alpha": _ALPHA, "lora_dropout": _DROPOUT, "use_rslora": _RSLORA}
_LISTED = [
    PeftMethod(
        "lora", "LORA", "Low-rank update B·A beside the weight.",
        "ΔW = s·B A",
        "Hu et al. 2021, arXiv:2106.09685", 3e-3,
        _LORA | {"init_lora_weights": _START}, {"r": 8, "lora_alpha": 16}, {"use_dora": False},
        beside=(_START_ROWS,),
        style=MethodStyle("vermillion", "dash", "square"),
    ),
    PeftMethod(
        "dora", "LORA", "LoRA on the direction of the weight, its magnitude trained apart.",
        "W′ = m (W + s·B A) / ‖W + s·B A‖",
        "Liu et al. 2024, arXiv:2402.09353", 3e-3,
        _LORA, {"r": 8, "lora_alpha": 16}, {"use_dora": True},
        style=MethodStyle("green", "dot", "diamond"),
    ),
    PeftMethod(
        "vera", "VERA", "Frozen random low-rank matrices shared by all layers, trained scalings.",
        "ΔW = diag(b) B diag(d) A, A and B frozen",
        "Kopiczko et al. 2023, arXiv:2310.11454", 1e-2,
        {"r": _BASES, "vera_dropout": _DROPOUT, "d_initial": _D_INITIAL},
        {}, {"save_projection": True},
        style=MethodStyle("pink", "dashdot", "triangle-up"),
    ),
    PeftMethod(
        "randlora", "RANDLORA", "A full-rank sum of frozen random low-rank bases, trained "
                                "scalings.",
        "ΔW = s·Σ B_i Λ_i A Γ_i, A and B frozen",
        "Albert et al. 2025, arXiv:2502.00987", 3e-3,
        {"r": _BASES, "randlora_alpha": _RANDLORA_ALPHA, "randlora_dropout": _DROPOUT},
        style=MethodStyle("vermillion", "dashdot", "x"),
    ),
    PeftMethod(
        "loha", "LOHA", "Element-wise product of two low-rank updates.",
        "ΔW = s·(B₁ A₁) ⊙ (B₂ A₂)",
        "FedPara, Hyeon-Woo et al. 2021, arXiv:2108.06098", 3e-3,
        {"r": _RANK, "alpha": _ALPHA, "module_dropout": _MODULE_DROPOUT}, {"alpha": 16},
        style=MethodStyle("green", "longdash", "x"),
    ),
    PeftMethod(
        "lokr", "LOKR", "Kronecker product of a small and a low-rank matrix.",
        "ΔW = s·C ⊗ (B A)",
        "LyCORIS, Yeh et al. 2023, arXiv:2309.14859", 3e-3,
        {"r": _RANK, "alpha": _ALPHA, "module_dropout": _MODULE_DROPOUT}, {"alpha": 16},
        style=MethodStyle("pink", "dash", "cross"),
    ),
    PeftMethod(
        "hira", "HIRA", "Low-rank update multiplied into the frozen weight element by element.",
        "ΔW = W ⊙ (B A)",
        "Huang et al., ICLR 2025", 3e-3,
        {"r": _RANK, "hira_dropout": _DROPOUT}, {"r": 8},
        style=MethodStyle("vermillion", "longdash", "pentagon"),
    ),
    PeftMethod(
        "delora", "DELORA", "Normalised low-rank update with a trained strength.",
        "ΔW = (λ‖W‖/r) B Ξ A, columns normalised",
        "Bini et al. 2025, arXiv:2503.18225", 3e-3,
        {"r": _RANK, "delora_lambda": _STRENGTH, "module_dropout": _MODULE_DROPOUT},
        style=MethodStyle("vermillion", "longdashdot", "triangle-up"),
    ),
    PeftMethod(
        "fourierft", "FOURIERFT", "A few trained coefficients of the update's Fourier transform.",
        "ΔW = s·Re IDFT(F), F with n entries",
        "Gao et al. 2024, arXiv:2405.03003", 1e-2,
        # zeros, so that the initial change is zero, as for other methods; PEFT's default is random
        {"n_frequency": _FREQUENCIES, "scaling": _SCALING},
        {"n_frequency": 1000, "init_weights": True},
        sized_by=("n_frequency",),
        style=MethodStyle("sky", "longdash", "pentagon"),
    ),
    PeftMethod(
        "waveft", "WAVEFT", "A few trained coefficients of the update's wavelet transform.",
        "ΔW = s·IDWT(F), F with n entries",
        "Bilican et al. 2025, arXiv:2505.12532", 1e-2,
        {"n_frequency": _FREQUENCIES, "scaling": _SCALING}, {"n_frequency": 1000},
        sized_by=("n_frequency",),
        style=MethodStyle("sky", "solid", "x"),
    ),
    PeftMethod(
        "ia3", "IA3", "One trained factor per feature.",
        "y′ = l ⊙ y (or x′ = l ⊙ x)",
        "Liu et al. 2022, arXiv:2205.05638", 1e-2,
        {},
        style=MethodStyle("grey", "dot", "cross"),
    ),
]  # fmt: skip

PEFT_METHODS: dict[str, PeftMethod] = {listed.name: listed for listed in _LISTED}

# PEFT methods that are not offered, but may appear in figures.
_DRAWN = {
    "adalora": MethodStyle("vermillion", "dot", "star"),
    "oft": MethodStyle("grey", "dash", "diamond"),
    "boft": MethodStyle("grey", "longdashdot", "square"),
    "hra": MethodStyle("sky", "dot", "star"),
}

for _name, _look in [*((listed.name, listed.style) for listed in _LISTED), *_DRAWN.items()]:
    METHOD_STYLES.add(_name, _look, __name__)
