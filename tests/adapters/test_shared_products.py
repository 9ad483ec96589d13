"""Products of adapter tensors that depend on no token.

Made once, never stale, and with the gradients of each layer's own.
"""

import copy
import threading

import pytest
import torch
from support.small_models import TOKENS, adapted, config_of, logits, our_layers, trainable
from torch import nn

from qtha_lab import adapters
from qtha_lab.adapters import hold_products
from qtha_lab.tensor_networks import mpo
from qtha_lab.training.evaluation import evaluating


@pytest.fixture
def contractions(monkeypatch):
    """Count the applications of operators, each for any number of layers."""
    calls = []
    for name in ("apply", "apply_transposed"):
        plain = getattr(mpo, name)
        monkeypatch.setattr(
            mpo, name, lambda *args, plain=plain: calls.append(args[1]) or plain(*args)
        )
    return calls


def model_of(example="ABC", **more):
    """A tiny llama with QTHA on q (32 → 32) and v (32 → 16) of two blocks."""
    return adapted("qtha", example, "llama", **more)


def answer(model, tokens=5):
    return model.generate(
        input_ids=TOKENS, attention_mask=torch.ones_like(TOKENS), max_new_tokens=tokens,
        min_new_tokens=tokens, do_sample=False,
    )  # fmt: skip


def gradients(model, forward=None):
    model.zero_grad()
    (forward or model)(input_ids=TOKENS, labels=TOKENS).loss.backward()
    return {name: p.grad for name, p in trainable(model).items()}


# how often


def test_a_step_contracts_all_layers_of_equal_sizes_in_one_call(contractions):
    gradients(model_of().train())
    assert len(contractions) == 4  # M_A and M_B of q, M_A and M_B of v; two layers each


def test_an_answer_contracts_once_for_all_its_tokens(contractions):
    answer(model_of())
    assert len(contractions) == 4


def test_an_evaluation_contracts_once_for_all_batches_and_answers(contractions):
    model = model_of()
    with evaluating(model):
        for _ in range(3):
            model(input_ids=TOKENS)
        answer(model)
    assert len(contractions) == 4


def test_outside_of_a_scope_every_pass_contracts_anew(contractions):
    model = model_of()
    for _ in range(2):
        logits(model)
    assert len(contractions) == 8


# the same numbers


@pytest.mark.parametrize("example", ["ABC", "ABC-product", "ABC-mixed", "AB", "ABF"])
def test_together_and_alone_give_the_same_outputs_and_gradients(example):
    model = model_of(example).train()
    together = gradients(model)
    alone = gradients(model, model.get_base_model())  # past PEFT, and so past the scope
    assert together.keys() == alone.keys()
    for name, gradient in together.items():
        torch.testing.assert_close(gradient, alone[name], atol=1e-7, rtol=1e-4)
    tokens = answer(model.eval())
    assert torch.equal(tokens, model.get_base_model().generate(
        input_ids=TOKENS, attention_mask=torch.ones_like(TOKENS), max_new_tokens=5,
        min_new_tokens=5, do_sample=False,
    ))  # fmt: skip


def test_two_adapters_at_once_have_products_of_their_own():
    model = model_of()
    model.add_adapter("other", config_of("qtha", "AB", "llama", init_weights=False))
    model.base_model.set_adapter(["default", "other"])
    torch.testing.assert_close(logits(model), logits(model.get_base_model()))


# never stale


def changed_in_place(model):
    with torch.no_grad():
        trainable(model)[next(n for n in trainable(model) if "mpo_in_1" in n)].mul_(3.0)


def memory_replaced(model):
    parameter = next(p for n, p in trainable(model).items() if "mpo_out_2" in n)
    parameter.data = parameter.data * 3.0


def parameter_replaced(model):
    store = our_layers(model)[0].qtha_B
    store["default"] = nn.Parameter(store["default"] * 3.0)


def state_loaded(model):
    model.load_state_dict({name: t * 1.1 for name, t in model.state_dict().items()})


def other_adapter(model):
    model.set_adapter("other")


def adapter_replaced(model):
    model.delete_adapter("other")
    model.add_adapter("other", config_of("qtha", "AB", "llama", init_weights=False))
    model.set_adapter("other")


def there_and_back(model):
    model.to(torch.bfloat16).to(torch.float32)


def double(model):
    model.double()


def trained(model):
    optimiser = torch.optim.AdamW(trainable(model).values(), lr=0.1, fused=True)
    with torch.enable_grad():
        model(input_ids=TOKENS, labels=TOKENS).loss.backward()
    optimiser.step()


@pytest.mark.parametrize(
    "change",
    [
        changed_in_place, memory_replaced, parameter_replaced, state_loaded, other_adapter,
        adapter_replaced, there_and_back, double, trained,
    ],
    ids=lambda change: change.__name__,
)  # fmt: skip
def test_what_changes_inside_a_scope_is_seen(change):
    model = model_of()
    model.add_adapter("other", config_of("qtha", "ABC", "llama", init_weights=False))
    with torch.no_grad(), hold_products(model):
        before = logits(model)
        change(model)
        after = logits(model)
        assert torch.equal(logits(model), after)
    assert not torch.equal(after, before)
    torch.testing.assert_close(after, logits(copy.deepcopy(model)))


def test_a_scope_is_no_other_threads():
    model, results = model_of(), []
    with torch.no_grad(), hold_products(model):
        logits(model)
        thread = threading.Thread(target=lambda: results.append(gradients(model)))
        thread.start()
        thread.join()
    for name, gradient in gradients(model).items():
        torch.testing.assert_close(results[0][name], gradient)


# gradients


class Either(nn.Module):
    """Two layers of which a pass uses one."""

    def __init__(self):
        super().__init__()
        self.left, self.right = nn.Linear(8, 8), nn.Linear(8, 8)

    def forward(self, x, side="left"):
        return getattr(self, side)(x)


class Both(Either):
    def forward(self, x):
        return self.left(x), self.right(x)


def two_layers(kind, **options):
    torch.manual_seed(0)
    config = adapters.QthaConfig(
        r=2, waist=4, bond_dim=2, n_sites=2, init_weights=False, engine="torch",
        target_modules=["left", "right"], **options,
    )  # fmt: skip
    return adapters.add_adapter(kind().double(), config)


def test_a_layer_that_was_not_used_has_no_gradient_rather_than_zeros():
    model = two_layers(Either)
    model(torch.randn(3, 8, dtype=torch.float64)).sum().backward()
    for name, parameter in trainable(model).items():
        assert (parameter.grad is not None) is (".left." in name), name


def test_each_output_can_be_differentiated_by_itself_and_twice():
    model = two_layers(Both)
    x = torch.randn(3, 8, dtype=torch.float64)
    left, right = model(x)
    left.square().sum().backward()
    right.square().sum().backward(retain_graph=True)
    once = {name: p.grad.clone() for name, p in trainable(model).items() if ".right." in name}
    right.square().sum().backward()
    for name, gradient in once.items():
        torch.testing.assert_close(trainable(model)[name].grad, 2 * gradient)


def test_passes_inside_one_scope_have_graphs_of_their_own():
    model = model_of()
    with hold_products(model):
        losses = [model(input_ids=TOKENS, labels=TOKENS).loss for _ in range(2)]
    for loss in losses:
        loss.backward()
    twice = {name: p.grad.clone() for name, p in trainable(model).items()}
    for name, gradient in gradients(model).items():
        torch.testing.assert_close(twice[name], 2 * gradient)


def test_second_derivatives_are_those_of_the_formula():
    model = two_layers(Either, n_layers=1)
    layer, x = our_layers(model)[0], torch.randn(3, 8, dtype=torch.float64)
    tensors = layer.adapter_tensors("default")

    def second(output):
        slopes = torch.autograd.grad(output.square().sum(), tensors.values(), create_graph=True)
        return torch.autograd.grad(sum(s.square().sum() for s in slopes), tensors.values())

    formula = second(layer.base_layer(x) + layer.changes["default"].delta(tensors, x))
    for ours, expected in zip(second(model(x)), formula, strict=True):
        torch.testing.assert_close(ours, expected)


def test_a_tensor_changed_between_the_passes_is_an_error_as_everywhere_in_torch():
    model = model_of()
    loss = model(input_ids=TOKENS, labels=TOKENS).loss
    changed_in_place(model)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_function_transforms_go_through_the_model():
    model = two_layers(Either, n_layers=1)
    tensors = {name: p.detach() for name, p in trainable(model).items()}
    x = torch.randn(3, 8, dtype=torch.float64)

    def loss(of_tensors):
        return torch.func.functional_call(model, of_tensors, (x,)).square().sum()

    slopes = torch.func.grad(loss)(tensors)
    model(x).square().sum().backward()
    for name, parameter in trainable(model).items():
        expected = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
        torch.testing.assert_close(slopes[name], expected)
