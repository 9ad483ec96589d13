"""Facts of the mathematics of a method, checked at single layers without a model."""

import copy
import logging
from collections.abc import Iterator

import torch
from torch import Tensor

from qtha_lab.adapters.change import Base, Change, Layer
from qtha_lab.core.errors import Refusal, describe_error
from qtha_lab.testing.facts import Broken, expect, expect_effect, fact

log = logging.getLogger(__name__)

SIZES = ((32, 32), (32, 16), (12, 20))
LARGE = 1e4
BITS = (None, 2, 3, 4, 8)  # of a quantised base
STEP = 1e-5


def _changes(method, *, init_weights: bool = False, sizes=SIZES) -> Iterator[Change]:
    for options in method.examples.values():
        for ins, outs in sizes:
            config = method.make_config(
                "CAUSAL_LM", ["q_proj"], init_weights=init_weights, **options
            )
            yield config.change(Layer(ins, outs, name="model.layers.0.q_proj", block=0, n_blocks=2))


def _tensors(change: Change, dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
    torch.manual_seed(2)
    return change.start(dtype)


def _input(change: Change, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Base]:
    generator = torch.Generator().manual_seed(3)
    ins, outs = change.layer.in_features, change.layer.out_features
    x, weight = (
        torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)
        for shape in ((2, 3, ins), (outs, ins))
    )
    return x, Base(lambda: weight, lambda: x @ weight.mT)


def _output(change: Change, tensors: dict[str, Tensor]) -> Tensor:
    dtype = next(iter(tensors.values())).dtype
    return change.output(tensors, *_input(change, dtype))


@fact("method", "its default learning rate is a number above 0")
def change_rated(method) -> None:
    """Check the default learning rates."""
    for rate in (method.default_learning_rate, *method.other_learning_rates.values()):
        expect(
            0 < rate < float("inf"), f"default_learning_rate must be a number above 0, got {rate}"
        )


@fact("method", "its change has one value per output, finite also for inputs of 10⁴")
@torch.no_grad()
def change_shaped(method) -> None:
    """Check shape and values of the change at layers of several sizes."""
    for change in _changes(method):
        x, base = _input(change)
        expected = (*x.shape[:-1], change.layer.out_features)
        where = f"{change.layer.in_features} inputs and {change.layer.out_features} outputs"
        try:
            tensors = _tensors(change)
            value = change.output(tensors, x, base)
        except Exception as problem:
            raise Broken(f"a layer of {where} raises {describe_error(problem)}") from problem
        expect(
            value.shape == expected,
            f"the change has the shape {tuple(value.shape)}, not {expected}, at {where}",
        )
        large = change.output(
            tensors, LARGE * x, Base(lambda b=base: b.weight, lambda b=base: LARGE * b.output)
        )
        expect(
            bool(large.isfinite().all()),
            f"inputs of 10⁴ give values that are not finite at {where}",
        )


@fact("method", "its change has the precision of the input")
@torch.no_grad()
def change_precise(method) -> None:
    """Check that float64 tensors and inputs give a float64 change."""
    for change in _changes(method, sizes=SIZES[:1]):
        value = _output(change, _tensors(change, torch.float64))
        expect(
            value.dtype == torch.float64,
            f"in float64 the change has {str(value.dtype).removeprefix('torch.')}",
        )


@fact("method", "a forward pass changes neither input nor tensors")
@torch.no_grad()
def change_pure(method) -> None:
    """Check input, base weight and tensors after a forward pass."""
    for change in _changes(method, sizes=SIZES[:1]):
        tensors, (x, base) = _tensors(change), _input(change)
        before, weight, copies = x.clone(), base.weight.clone(), copy.deepcopy(tensors)
        change.output(tensors, x, base)
        expect(torch.equal(x, before), "the forward pass changes its input")
        expect(torch.equal(base.weight, weight), "the forward pass changes the base weight")
        for name, tensor in tensors.items():
            expect(torch.equal(tensor, copies[name]), f"the forward pass changes the tensor {name}")


@fact("method", "its gradients are those of finite differences")
def change_differentiated(method) -> None:
    """Check one random directional derivative in float64, relative to 10⁻⁴."""
    for change in _changes(method, sizes=SIZES[:1]):
        tensors, (x, base) = _tensors(change, torch.float64), _input(change, torch.float64)
        specs = change.all_tensors()
        names = [name for name in tensors if specs[name].trainable]
        weight = base.weight
        generator = torch.Generator().manual_seed(4)
        points = [x, *(tensors[name] for name in names)]
        directions = [torch.randn(p.shape, generator=generator, dtype=p.dtype) for p in points]

        def value(
            *at: Tensor, change=change, tensors=tensors, names=names, weight=weight
        ) -> Tensor:
            y = at[0] @ weight.mT
            moved = tensors | dict(zip(names, at[1:], strict=True))
            return change.output(moved, at[0], Base(lambda: weight, lambda: y)).sin().sum()

        at = [p.clone().requires_grad_() for p in points]
        gradients = torch.autograd.grad(value(*at), at, allow_unused=True)
        pairs = zip(gradients, directions, strict=True)
        stated = sum(float((g * d).sum()) for g, d in pairs if g is not None)
        with torch.no_grad():
            after, before = (
                float(value(*(p + s * d for p, d in zip(points, directions, strict=True))))
                for s in (STEP, -STEP)
            )
        measured = (after - before) / (2 * STEP)
        expect(
            abs(stated - measured) <= 1e-4 * max(1.0, abs(measured)),
            f"the gradient differs from finite differences: {stated:.6g}, not {measured:.6g}",
        )


def _takes_base(config, bits: int | None) -> bool:
    try:
        config.check_base(bits)
    except Refusal as reason:
        log.debug("a base of %s bits is refused: %s", bits, reason)
        return False
    return True


@fact("method", "every setting changes something")
def change_effective(method) -> None:
    """Check that some value of each of its own settings changes tensors or output."""

    def signature(options: dict) -> list:
        parts: list = []
        for init_weights in (True, False):
            config = method.make_config(
                "CAUSAL_LM", ["q_proj"], init_weights=init_weights, **options
            )
            layer = Layer(32, 16, name="model.layers.0.q_proj", block=0, n_blocks=2)
            change = config.change(layer)
            specs, tensors = change.all_tensors(), _tensors(change)
            with torch.no_grad():
                output = _output(change, tensors)
            trained = {name: spec.trainable for name, spec in specs.items()}
            parts += [trained, tensors, output, [_takes_base(config, bits) for bits in BITS]]
        return parts

    common = {"dropout"}  # of every method, and acts on the input while training
    settings = {name: s for name, s in method.settings().items() if name not in common}
    expect_effect(settings, method.examples.values(), signature)
