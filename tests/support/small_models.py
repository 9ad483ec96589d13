"""Tiny models with random weights, and adapted ones: one per shape of layer."""

import io
import pickle
import warnings
from functools import cache
from types import SimpleNamespace

import pytest
import torch
from peft import PeftModel
from peft.tuners.tuners_utils import BaseTunerLayer
from torch import nn
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    BertModel,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    Siglip2Config,
    Siglip2ForImageClassification,
    T5Config,
    T5ForConditionalGeneration,
)

from qtha_lab import adapters
from qtha_lab.adapters.change import Base, Layer

TOKENS = torch.tensor([[5, 11, 3, 40, 7, 2], [9, 1, 1, 30, 22, 4]])
# 2 images of 2 × 3 patches of 2 × 2 pixels in 3 colours, flat as the vision transformer reads them.
PATCHES = torch.randn(2, 6, 12, generator=torch.Generator().manual_seed(0))
NUMBERS = torch.randn(5, 10, generator=torch.Generator().manual_seed(0))
# Where adapters go: grouped key/value heads (32 → 16), Conv1D (32 → 96), plain square layers,
# attention inside and across an encoder and a decoder (32 → 24), and layers outside of any
# attention.
TARGETS = {
    "llama": ["q_proj", "v_proj"],
    "gpt2": ["c_attn"],
    "bert": ["query", "value"],
    "minilm": ["query", "value"],
    "t5": ["q", "v"],
    "vision": ["q_proj", "v_proj"],
    "mlp": ["widen", "narrow"],
}


def make(name: str, dtype: torch.dtype = torch.float32):
    """The model of that name in evaluation mode.

    The same weights, and random numbers after it, at every call.
    """
    mould, random_state = _built(name, dtype)
    torch.set_rng_state(random_state)
    return mould.cast()


@cache
def _built(name: str, dtype: torch.dtype):
    torch.manual_seed(0)
    with torch.device("cpu"):
        model = _MAKERS[name]()
    return Mould(model.to(dtype).eval()), torch.get_rng_state()


class Mould:
    """Copies of one module, several times as fast as `copy.deepcopy`.

    Pickled but for its tensors, which are cloned.
    """

    def __init__(self, module: nn.Module):
        self._tensors: list[torch.Tensor] = []
        places: dict[int, int] = {}

        def place(value: object) -> int | None:
            if not isinstance(value, torch.Tensor):
                return None
            if id(value) not in places:
                places[id(value)] = len(self._tensors)
                self._tensors.append(value)
            return places[id(value)]

        buffer = io.BytesIO()
        pickler = pickle.Pickler(buffer, pickle.HIGHEST_PROTOCOL)
        pickler.persistent_id = place
        pickler.dump(module)
        self._bytes = buffer.getvalue()

    def cast(self) -> nn.Module:
        """A copy that shares nothing with the module.

        What was one tensor in two places is one again.
        """
        copies = [
            (
                nn.Parameter(tensor.detach().clone(), tensor.requires_grad)
                if isinstance(tensor, nn.Parameter)
                else tensor.clone()
            )
            for tensor in self._tensors
        ]
        unpickler = pickle.Unpickler(io.BytesIO(self._bytes))
        unpickler.persistent_load = copies.__getitem__
        return unpickler.load()


def inputs(model, tokens: torch.Tensor = TOKENS) -> dict[str, torch.Tensor]:
    """The inputs of a model of this file, adapted or not."""
    while isinstance(model, PeftModel):
        model = model.get_base_model()
    if isinstance(model, Mlp):
        return {"numbers": NUMBERS}
    if isinstance(model, Siglip2ForImageClassification):
        return {
            "pixel_values": PATCHES,
            "pixel_attention_mask": torch.ones(2, 6, dtype=torch.long),
            "spatial_shapes": torch.tensor([[2, 3], [2, 3]]),
        }
    if isinstance(model, T5ForConditionalGeneration):
        return {"input_ids": tokens, "decoder_input_ids": tokens}
    return {"input_ids": tokens}


def run(model, tokens: torch.Tensor = TOKENS) -> torch.Tensor:
    """The output of a model: logits, or the last hidden states of one without a head."""
    output = model(**inputs(model, tokens))
    return output.logits if hasattr(output, "logits") else output.last_hidden_state


def logits(model, tokens: torch.Tensor = TOKENS) -> torch.Tensor:
    """The output of a model, without gradients."""
    with torch.no_grad():
        return run(model, tokens)


class Mlp(nn.Module):
    """Three linear layers without a config, 10 → 24 → 16 → 3."""

    def __init__(self):
        super().__init__()
        self.widen, self.narrow = nn.Linear(10, 24), nn.Linear(24, 16, bias=False)
        self.head = nn.Linear(16, 3)

    def forward(self, numbers: torch.Tensor) -> SimpleNamespace:
        hidden = self.widen(numbers.to(self.head.weight.dtype)).tanh()
        return SimpleNamespace(logits=self.head(self.narrow(hidden).tanh()))


def _llama():
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=48, hidden_size=32, intermediate_size=40, num_hidden_layers=2,
            num_attention_heads=4, num_key_value_heads=2, bos_token_id=0, eos_token_id=1,
            pad_token_id=2,
        )
    )  # fmt: skip


def _gpt2():
    return GPT2LMHeadModel(
        GPT2Config(
            vocab_size=48, n_embd=32, n_layer=2, n_head=4, n_positions=32, resid_pdrop=0.0,
            embd_pdrop=0.0, attn_pdrop=0.0, bos_token_id=0, eos_token_id=1, pad_token_id=2,
        )
    )  # fmt: skip


def _bert_config():
    return BertConfig(
        vocab_size=48, hidden_size=32, intermediate_size=40, num_hidden_layers=2,
        num_attention_heads=4, max_position_embeddings=32, num_labels=3,
        hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
    )  # fmt: skip


def _t5():
    return T5ForConditionalGeneration(
        T5Config(
            vocab_size=48, d_model=32, d_kv=6, d_ff=40, num_layers=2, num_heads=4,
            decoder_start_token_id=0, pad_token_id=0, eos_token_id=1, dropout_rate=0.0,
        )
    )  # fmt: skip


def _vision():
    """A vision transformer that cuts its patches by a linear layer, so that it has no convolution."""
    tower = {
        "hidden_size": 32,
        "intermediate_size": 40,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "patch_size": 2,
        "num_channels": 3,
        "num_patches": 9,
        "vision_use_head": False,
    }
    return Siglip2ForImageClassification(Siglip2Config(vision_config=tower, num_labels=3))


_MAKERS = {
    "llama": _llama,
    "gpt2": _gpt2,
    "bert": lambda: BertForSequenceClassification(_bert_config()),
    "minilm": lambda: BertModel(_bert_config()),
    "t5": _t5,
    "vision": _vision,
    "mlp": Mlp,
}


OURS = [name for name in adapters.method_names() if adapters.get_method(name).ours]
EXAMPLES = [(name, example) for name in OURS for example in adapters.get_method(name).examples]


def is_linear(name: str, example: str) -> bool:
    """Report if the adapter of an example can be merged into the base weight."""
    method = adapters.get_method(name)
    return method.is_linear(method.make_config(None, ["x"], **method.examples[example]))


def representatives() -> list[tuple[str, str]]:
    """One example of each method for each answer to whether it merges."""
    first = {}
    for name, example in EXAMPLES:
        first.setdefault((name, is_linear(name, example)), (name, example))
    return list(first.values())


FORMS = representatives()
LINEAR = [(name, example) for name, example in FORMS if is_linear(name, example)]


def change_of(layer, name: str, x: torch.Tensor) -> torch.Tensor:
    """Return the change that an adapter adds to a layer's output."""
    weight = layer.base_matrix(x.dtype)
    base = Base(lambda: weight, lambda: x @ weight.mT)
    return layer.changes[name].output(layer.adapter_tensors(name), x, base)


def config_of(name, example, base, **more):
    method = adapters.get_method(name)
    return method.make_config(
        target_modules=list(TARGETS[base]), **{**method.examples[example], **more}
    )


def adapted(name, example, base, dtype=torch.float32, **more):
    """A tiny model with an adapter; away from zero unless asked otherwise."""
    model = make(base, dtype)
    torch.manual_seed(1)
    config = config_of(name, example, base, **{"init_weights": False, **more})
    return adapters.add_adapter(model, config)


def drawn(config, in_features=24, out_features=16, dtype=torch.float64):
    """Return the mathematics of a config at a layer, and its initial tensors."""
    torch.manual_seed(0)
    change = config.change(Layer(in_features, out_features))
    tensors = {name: torch.empty(s.shape, dtype=dtype) for name, s in change.tensors().items()}
    change.initialise(tensors)
    return change, tensors


def our_layers(model):
    return [m for m in model.modules() if isinstance(m, BaseTunerLayer)]


def trainable(model):
    return {name: p for name, p in model.named_parameters() if p.requires_grad}


def parametrise(pairs, *bases):
    """Parametrise by examples and models; without models by examples alone."""
    if not bases:
        return pytest.mark.parametrize(("name", "example"), pairs, ids=["-".join(p) for p in pairs])
    return on_models(dict.fromkeys(bases, pairs))


def on_models(pairs: dict[str, list]):
    """Parametrise by examples and models, each model with examples of its own.

    On every model but the first, two of three examples are among the slow tests, others from model
    to model.
    """
    cases = [
        pytest.param(
            *pair,
            base,
            id="-".join((*pair, base)),
            marks=[pytest.mark.slow] if n_base and (number + n_base) % 3 else [],
        )
        for n_base, base in enumerate(pairs)
        for number, pair in enumerate(pairs[base])
    ]
    return pytest.mark.parametrize(("name", "example", "base"), cases)


def with_two_adapters(name, example, base, **more):
    """A model with adapters "default" (active) and "other"."""
    model = adapted(name, example, base, **more)
    model.add_adapter("other", config_of(name, example, base, **{"init_weights": False, **more}))
    return model


def without_warnings(call, *args, **kwargs):
    """PEFT warns of every active adapter that is deleted and every merged one that is switched."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return call(*args, **kwargs)
