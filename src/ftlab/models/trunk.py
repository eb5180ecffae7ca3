"""The frozen trunk: what lies below everything that trains, and says the same of a text each time.

Autograd tells where it ends, not names: the trunk reaches as far as no output asks for a gradient. Transformers' code
stays as it is. What need not run is answered for it: for the time of one forward pass, the modules of the trunk return
what is known.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import nn
from transformers.utils.generic import ModelOutput

from ftlab import flops
from ftlab.errors import UserError
from ftlab.models.structure import blocks, transformer

Inputs = dict[str, torch.Tensor]
Forward = Callable[[nn.Module, Inputs], torch.Tensor]
Form = Literal["tensor", "tuple", "pooler_output", "last_hidden_state"]

_PROBE = 4  # tokens of an example on which it is tried what asks for a gradient
_KNOWN = {"input_ids", "attention_mask", "token_type_ids"}  # inputs of which each row of the trunk's output is made
_SAME = {torch.float32: 1e-4, torch.float64: 1e-4}  # of the largest logit; shorter numbers round more
_ABOUT_THE_SAME = 2e-2


@dataclass(frozen=True)
class Frozen:
    """What runs before the first thing that trains.

    Attributes:
        stack: that need not run where the output of the last of them is known: the lowest blocks, or the whole base.
        below: those, and what runs before them (embeddings): no gradient reaches any of it.
    """

    stack: list[nn.Module]
    below: list[nn.Module]

    def without_dropout(self) -> None:
        """Have it run as in evaluation from now on; whatever else trains goes on as it does."""
        for module in self.below:
            module.eval()

    @property
    def multiplied(self) -> int:
        """Parameters that are multiplied with each token in what need not run; see `ftlab.flops`."""
        return sum(flops.work(module).forward for module in self.stack)


def frozen_part(model: nn.Module, forward: Forward) -> Frozen | None:
    """Return what lies below everything that trains; None: this model is not looked into, or nothing trains.

    Args:
        model: as a method made it trainable.
        forward: the method's, which makes the model's logits of a batch.
    """
    inner = transformer(model)
    if inner is None or inner.config.is_encoder_decoder or not any(one.requires_grad for one in model.parameters()):
        return None
    try:
        stack = [inner.get_submodule(name) for name in blocks(inner)]
    except UserError:
        return None
    inside = {id(part) for block in stack for part in block.modules()} - {id(block) for block in stack}
    done: list[nn.Module] = []  # before anything asked for a gradient, a block as one
    asked = False

    def note(module: nn.Module, _: Any, output: Any) -> None:
        nonlocal asked
        asked = asked or any(one.requires_grad for one in _tensors(output))
        if not asked:
            done.append(module)

    handles = [module.register_forward_hook(note) for module in model.modules() if id(module) not in inside]
    try:
        with evaluating(model), torch.enable_grad():
            forward(model, some_tokens(model))
    finally:
        for handle in handles:
            handle.remove()
    whole = inner.base_model
    if any(module is whole for module in done):
        return Frozen([whole], [whole])
    lowest = next((number for number, block in enumerate(stack) if all(block is not one for one in done)), len(stack))
    if [module for module in done if any(module is block for block in stack)] != stack[:lowest]:
        return None  # out of order, or more than once: what they return is not what one place reads
    return Frozen(stack[:lowest], done)


class Trunk:
    """A model in two halves: the frozen trunk, and what reads it.

    Attributes:
        whole: the model's own forward pass.
        width: numbers that are kept of each token, or of each text.
        of_tokens: whether they are those of tokens.
        dtype: of these numbers.
    """

    def __init__(self, model: nn.Module, frozen: Frozen, form: Form, of: Any) -> None:
        """Cut a model in two; see `halved`. `of`: what the stack's last module returns."""
        self.whole: Callable[..., Any] = model.forward
        self._frozen = frozen
        self._form: Form = form
        self._kind: type[ModelOutput] | None = type(of) if isinstance(of, ModelOutput) else None
        self._fields = list(of) if isinstance(of, ModelOutput) else []
        read = self._read(of)
        self.width, self.of_tokens, self.dtype = read.shape[-1], read.ndim == 3, read.dtype

    def knows(self, inputs: Inputs) -> bool:
        """Return whether these inputs are texts and nothing else that the trunk might read."""
        return inputs.keys() <= _KNOWN and {"input_ids", "attention_mask"} <= inputs.keys()

    @torch.no_grad()
    def states(self, inputs: Inputs) -> list[torch.Tensor]:
        """Return what the trunk says of each row, without padding: (tokens, width), or (width,)."""
        with torch.inference_mode(False):  # training reads them too
            states = self._read(_output_of(self._frozen.stack[-1], lambda: self.whole(**inputs)))
            if not self.of_tokens:
                return list(states.unbind(0))
            real = inputs["attention_mask"].bool()
            return [row[tokens] for row, tokens in zip(states, real, strict=True)]

    def above(self, inputs: Inputs, states: Sequence[torch.Tensor]) -> Any:
        """Return what the model returns for these inputs, whose trunk says `states`."""
        if self.of_tokens:
            real = inputs["attention_mask"].bool()
            known = states[0].new_zeros(*real.shape, self.width)
            known[real] = torch.cat(list(states))
        else:
            known = torch.stack(list(states))
        output = self._output(known)
        with answering(self._frozen.stack, lambda *_, **__: output):
            return self.whole(**inputs)

    def _read(self, output: Any) -> torch.Tensor:
        states: torch.Tensor
        if self._form == "tensor":
            states = output
        elif self._form == "tuple":
            (states,) = output
        else:
            states = output[self._form]
        return states

    def _output(self, states: torch.Tensor) -> Any:
        if self._kind is None:
            return (states,) if self._form == "tuple" else states
        unread = states.new_empty(0)  # of no use: where it was read, the halves would not make the whole
        return self._kind(**{name: states if name == self._form else unread for name in self._fields})


@torch.no_grad()
def halved(model: nn.Module, frozen: Frozen, batch: Inputs) -> Trunk | str:
    """Return the model in two halves that together say what the whole says, or why not; it is tried.

    Args:
        model: whose `forward` takes a batch; on the CPU.
        frozen: its part below everything that trains.
        batch: rows of the run, padded.
    """
    before = torch.get_rng_state()
    output = _output_of(frozen.stack[-1], lambda: model.forward(**batch))
    if not torch.equal(before, torch.get_rng_state()):
        torch.set_rng_state(before)
        return "it has dropout and says something else each time (without: model.frozen_dropout=false)"
    forms, refusal = _forms(output), "what it returns is of an unknown kind"
    if not forms:
        return refusal
    with evaluating(model):
        plain = model.forward(**batch).logits
        for form in forms:
            trunk = Trunk(model, frozen, form, output)
            try:
                found = _in_halves(trunk, batch).logits
            except (AttributeError, IndexError, KeyError, RuntimeError, TypeError, ValueError) as error:
                refusal = f"{type(error).__name__}: {error}"  # what was left out is read all the same
                continue
            if same(found, plain, batch["attention_mask"]):
                return trunk
            refusal = "what it says of a text depends on the rest of the batch"
    return refusal


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Put the model into evaluation mode, and each of its modules back into its own afterwards."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


def _in_halves(trunk: Trunk, batch: Inputs) -> Any:
    """Return the model's output for a batch whose rows went through the trunk one by one, without padding."""
    rows = []
    for number, real in enumerate(batch["attention_mask"].bool()):
        rows += trunk.states({key: value[number, real][None] for key, value in batch.items()})
    return trunk.above(batch, rows)


def same(found: torch.Tensor, plain: torch.Tensor, mask: torch.Tensor | None = None) -> bool:
    """Return whether logits are equal up to rounding; those of tokens, (rows, tokens, ...), where `mask` is not 0."""
    if found.shape != plain.shape:
        return False
    if plain.ndim == 3 and mask is not None:  # logits at padded places mean nothing
        found, plain = found[mask.bool()], plain[mask.bool()]
    tolerance = _SAME.get(plain.dtype, _ABOUT_THE_SAME) * float(plain.abs().max())
    return torch.allclose(found, plain, rtol=0, atol=tolerance)


def _forms(output: Any) -> list[Form]:
    """Return in which ways this output may be read, what takes the least room first."""
    if isinstance(output, ModelOutput):
        named: list[Form] = ["pooler_output", "last_hidden_state"]
        return [name for name in named if name in output]
    if isinstance(output, tuple):
        return ["tuple"] if len(output) == 1 else []
    return ["tensor"] if isinstance(output, torch.Tensor) else []


@contextmanager
def answering(modules: Sequence[nn.Module], answer: Callable[..., Any]) -> Iterator[None]:
    """Have these modules answer so, instead of running."""
    own = [module.__dict__.get("forward") for module in modules]  # quantised ones may have one of their own
    try:
        for module in modules:
            module.forward = answer
        yield
    finally:
        for module, forward in zip(modules, own, strict=True):
            del module.forward
            if forward is not None:
                module.forward = forward


class _Reached(Exception):
    """The trunk is done, and nothing above it is asked."""

    def __init__(self, output: Any) -> None:
        self.output = output


def _output_of(module: nn.Module, run: Callable[[], Any]) -> Any:
    """Return what a module returns in a run of the model, which ends there."""

    def stop(_: nn.Module, __: Any, output: Any) -> None:
        raise _Reached(output)

    handle = module.register_forward_hook(stop)
    try:
        run()
    except _Reached as reached:
        return reached.output
    finally:
        handle.remove()
    raise AssertionError("the trunk ran when it was looked for")


def _tensors(output: Any) -> Iterator[torch.Tensor]:
    if isinstance(output, torch.Tensor):
        yield output
    elif isinstance(output, dict):
        yield from _tensors(tuple(output.values()))
    elif isinstance(output, tuple | list):
        for part in output:
            yield from _tensors(part)


def some_tokens(model: nn.Module) -> Inputs:
    """Return a text of a few tokens, on the model's device, to try things on."""
    ids = torch.arange(1, 1 + _PROBE, device=next(model.parameters()).device)[None]
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
