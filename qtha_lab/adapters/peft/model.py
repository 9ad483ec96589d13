"""A model whose layers carry adapters of one of our methods: PEFT's tuner model."""

import contextlib

import torch
from peft.tuners.tuners_utils import BaseTuner, BaseTunerLayer
from peft.utils import TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING, get_quantization_kwargs
from torch import nn

from qtha_lab.adapters.method import Layer
from qtha_lab.adapters.peft.base_layer import block_of, layer_sizes
from qtha_lab.adapters.peft.config import AdapterConfig
from qtha_lab.errors import Unsupported


class AdapterModel(BaseTuner):
    """A model whose chosen linear layers carry adapters of one method of ours."""

    target_module_mapping = TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING

    def _prepare_model(self, peft_config: AdapterConfig, model: nn.Module) -> None:
        blocks = [block_of(name) for name, _ in model.named_modules()]
        self._n_blocks = max((b for b in blocks if b is not None), default=-1) + 1

    def _create_and_replace(
        self, peft_config, adapter_name, target, target_name, parent, current_key, **_
    ) -> None:
        base = target.get_base_layer() if isinstance(target, BaseTunerLayer) else target
        layer = Layer(
            *layer_sizes(base, current_key), current_key, block_of(current_key), self._n_blocks
        )
        if isinstance(target, self.tuner_layer_cls):
            target.update_layer(adapter_name, peft_config, layer)
            return
        quantised = get_quantization_kwargs(self)
        new = self.tuner_layer_cls(target, adapter_name, peft_config, layer, **quantised)
        if adapter_name not in self.active_adapters:
            new.requires_grad_(False)
        self._replace_module(parent, target_name, new, target)

    def _cast_adapter_dtype(self, adapter_name: str, autocast_adapter_dtype: bool = True) -> None:
        """Ours are float32 over a base in half precision, unless a person asks for the base's."""
        super()._cast_adapter_dtype(adapter_name, autocast_adapter_dtype)
        if autocast_adapter_dtype:
            return
        for module in self.model.modules():
            if isinstance(module, self.tuner_layer_cls) and adapter_name in module.changes:
                _, dtype = module._get_base_layer_device_and_dtype(module.get_base_layer())
                module.cast_adapter(adapter_name, dtype or torch.float32)

    @contextlib.contextmanager
    def _enable_peft_forward_hooks(self, *args, **kwargs):
        if kwargs.get("adapter_names") is not None:
            raise Unsupported(
                f"a batch cannot mix {self.prefix.rstrip('_')} adapters by adapter_names: "
                "call set_adapter and run one batch for each adapter"
            )
        yield
