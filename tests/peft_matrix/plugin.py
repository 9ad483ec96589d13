"""A pytest plugin that puts our methods where PEFT's tests list PEFT's, before tests are made of
the lists.
"""

import pytest
import torch

from peft_matrix.models import MODELS
from qtha_lab import adapters
from qtha_lab.core.errors import Refusal

OURS = [name for name in adapters.method_names() if adapters.get_method(name).ours]
# One or two forms of each method: a linear one and one that cannot be merged.
FORMS = {"qtha": ("ABC", "AB"), "qpa": ("circuit",), "quantum_train": ("mlp",)}
TASKS = {
    "test_decoder_models": "CAUSAL_LM",
    "test_encoder_decoder_models": "SEQ_2_SEQ_LM",
    "test_feature_extraction_models": "FEATURE_EXTRACTION",
    "test_seq_classifier": "SEQ_CLS",
}
# Suites about PEFT's own methods, which run with ours registered. Ours refuse target parameters.
OF_PEFT = ("test_mixed", "test_target_parameters")
EXPERTS = {"target_parameters": ["feed_forward.experts.down_proj"]}
REFUSALS = (
    "cannot be merged: the circuit makes QTHA's change depend on the input",
    "target_parameters must be empty for this method",
)
MLP_TARGETS = (
    {"target_modules": ["lin0"]},
    {"target_modules": ["lin0"], "modules_to_save": ["lin1"]},
)


def configs(**common):
    """(config class, keyword arguments) of every form of every method."""
    for name in OURS:
        method = adapters.get_method(name)
        for form in FORMS.get(name, list(method.examples)[:1]):
            options = method.config_options(dict(method.examples[form]))
            yield form, method.config_class, {**options, **common}


def pytest_pycollect_makemodule(module_path, parent):
    """Collect a module of PEFT's with our configs and our models in its lists."""
    name = module_path.stem
    if name not in (*TASKS, *OF_PEFT, "test_custom_models"):
        return None
    module = pytest.Module.from_parent(parent, path=module_path)
    namespace = module.obj
    if hasattr(namespace, "TEST_CASES"):
        namespace.TEST_CASES[:] = [
            (f"{cls.method_name} {form} {number}", "MLP", cls, {**options, **targets})
            for form, cls, options in configs()
            for number, targets in enumerate(MLP_TARGETS)
        ]
    if name == "test_target_parameters":
        namespace.ALL_CONFIGS[:] += [
            (namespace.ALL_CONFIGS[0][0], cls, options)
            for _, cls, options in configs(task_type="CAUSAL_LM", target_modules=[], **EXPERTS)
        ]
    elif hasattr(namespace, "ALL_CONFIGS"):
        namespace.ALL_CONFIGS[:] = [
            (cls, options)
            for _, cls, options in configs(task_type=TASKS[name], target_modules=None)
        ]
    for listed in [v for k, v in vars(namespace).items() if k.endswith(("TO_TEST", "GRID_MODELS"))]:
        listed[:] = [model for model in listed if model in MODELS]
    return module


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    """A refusal to merge what is not one matrix, or of target parameters, is the behaviour we want.

    Our own tests read its text.
    """
    try:
        return (yield)
    except (NotImplementedError, Refusal) as refused:
        if any(sentence in str(refused) for sentence in REFUSALS):
            pytest.skip(str(refused))
        raise


@pytest.fixture(autouse=True)
def small_steps(request, monkeypatch):
    """SGD with steps that do not blow up on inputs up to 90, as PEFT's tests choose for several
    methods.
    """
    if request.node.originalname in (
        "test_parameters_after_loading_model",
        "test_disable_adapters",
    ):
        sgd = torch.optim.SGD
        monkeypatch.setattr(torch.optim, "SGD", lambda params, lr: sgd(params, lr=min(lr, 1e-3)))


def pytest_collection_modifyitems(config, items):
    """Keep what is about one of our methods, and the suites of `OF_PEFT`."""
    config_classes = {adapters.get_method(name).config_class for name in OURS}
    items_left = [
        i
        for i in items
        if i.path.stem in OF_PEFT
        or (hasattr(i, "callspec") and i.callspec.params.get("config_cls") in config_classes)
    ]
    for item in items_left:
        if item.path.stem in OF_PEFT:
            continue
        full_rank = item.callspec.params["config_cls"].method_name in ("quanta", "quantum_train")
        if item.originalname == "test_lora_conversion" and full_rank:
            item.add_marker(pytest.mark.skip("a change of full rank is not near one of low rank"))
    config.hook.pytest_deselected(items=[item for item in items if item not in items_left])
    items[:] = items_left
