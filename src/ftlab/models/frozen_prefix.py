"""Frozen prefix of a model: the layers below everything that trains, whose output can be cached.

Without dropout, frozen layers are deterministic, so their output is cached for each row. Autograd tells where they end,
not module names: the prefix extends to the last module whose output requires no gradient. Transformers' code is not
changed: during one forward pass, the modules of the prefix are overridden and return the cached output.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import nn
from transformers.utils.generic import ModelOutput

from ftlab.core.errors import UserError, reason
from ftlab.models import flops
from ftlab.models.structure import blocks, transformer

Inputs = dict[str, torch.Tensor]
Forward = Callable[[nn.Module, Inputs], torch.Tensor]
OutputFormat = Literal["tensor", "tuple", "pooler_output", "last_hidden_state"]

_DUMMY_TOKENS = 4  # length of `dummy_inputs`
_INPUTS = {"input_ids", "attention_mask", "token_type_ids"}  # inputs that determine a row's output of the prefix
_TOLERANCE = {torch.float32: 1e-4, torch.float64: 1e-4}  # relative to the largest logit
_HALF_PRECISION_TOLERANCE = 2e-2


@dataclass(frozen=True)
class FrozenModules:
    """The modules that run before the first trainable one.

    Attributes:
        cacheable: modules that can be skipped if the output of the last of them is cached: the lowest blocks, or the
            whole base model.
        modules: all of them, with those that run earlier (embeddings); no gradient reaches them.
    """

    cacheable: list[nn.Module]
    modules: list[nn.Module]

    def without_dropout(self) -> None:
        """Put these modules into evaluation mode; the mode of the other modules does not change."""
        for module in self.modules:
            module.eval()

    @property
    def matmul_params(self) -> int:
        """Parameters of the cacheable modules that are multiplied with each token; see `ftlab.models.flops`."""
        return sum(flops.count_matmul_params(module).forward for module in self.cacheable)


def find_frozen_modules(model: nn.Module, forward: Forward) -> FrozenModules | None:
    """Return the modules below everything that trains; None if the model is not supported, or if nothing trains.

    Args:
        model: what `method.apply` returned.
        forward: `method.forward`.
    """
    inner = transformer(model)
    trains = any(parameter.requires_grad for parameter in model.parameters())
    if inner is None or inner.config.is_encoder_decoder or not trains:
        return None
    try:
        layers = [inner.get_submodule(name) for name in blocks(inner)]
    except UserError:
        return None
    inside_blocks = {id(module) for block in layers for module in block.modules()} - {id(block) for block in layers}
    frozen: list[nn.Module] = []  # modules that ran before any output required a gradient; each block counts as one
    gradient_seen = False

    def note_frozen(module: nn.Module, _: Any, output: Any) -> None:
        nonlocal gradient_seen
        gradient_seen = gradient_seen or any(tensor.requires_grad for tensor in _tensors(output))
        if not gradient_seen:
            frozen.append(module)

    hooked = [module for module in model.modules() if id(module) not in inside_blocks]
    handles = [module.register_forward_hook(note_frozen) for module in hooked]
    try:
        with eval_mode(model), torch.enable_grad():
            forward(model, dummy_inputs(model))
    finally:
        for handle in handles:
            handle.remove()
    base_model = inner.base_model
    if any(module is base_model for module in frozen):
        return FrozenModules([base_model], [base_model])
    frozen_ids, block_ids = {id(module) for module in frozen}, {id(block) for block in layers}
    depth = next((index for index, block in enumerate(layers) if id(block) not in frozen_ids), len(layers))
    if [module for module in frozen if id(module) in block_ids] != layers[:depth]:
        return None  # the blocks ran out of order or repeatedly, so the output of the last one is not enough
    return FrozenModules(layers[:depth], frozen)


class FrozenPrefix:
    """A model split into its frozen prefix and the rest.

    The states are the prefix's output for a row: hidden states of its tokens, or one pooled vector.

    Attributes:
        model_forward: the model's own forward pass.
        width: size of a state vector.
        per_token: whether there is a state for each token; else one for each row.
        dtype: dtype of the states.
    """

    def __init__(self, model: nn.Module, frozen: FrozenModules, output_format: OutputFormat, output: Any) -> None:
        """Split a model; see `split_frozen_prefix`. `output`: what the last cacheable module returns."""
        self.model_forward: Callable[..., Any] = model.forward
        self._frozen = frozen
        self._output_format: OutputFormat = output_format
        self._output_class: type[ModelOutput] | None = type(output) if isinstance(output, ModelOutput) else None
        self._fields = list(output) if isinstance(output, ModelOutput) else []
        states = self._states_in(output)
        self.width, self.per_token, self.dtype = states.shape[-1], states.ndim == 3, states.dtype

    def accepts(self, inputs: Inputs) -> bool:
        """Return whether the inputs are token ids, their mask and segments, and nothing else the prefix might read."""
        return inputs.keys() <= _INPUTS and {"input_ids", "attention_mask"} <= inputs.keys()

    @torch.no_grad()
    def compute_states(self, inputs: Inputs) -> list[torch.Tensor]:
        """Return the prefix's output for each row, without padding: (tokens, width), or (width,)."""
        with torch.inference_mode(False):  # training uses the states too
            states = self._states_in(_output_of(self._frozen.cacheable[-1], lambda: self.model_forward(**inputs)))
            if not self.per_token:
                return list(states.unbind(0))
            mask = inputs["attention_mask"].bool()
            return [row[tokens] for row, tokens in zip(states, mask, strict=True)]

    def forward_from_states(self, inputs: Inputs, states: Sequence[torch.Tensor]) -> Any:
        """Return the model's output for these inputs, with `states` in place of running the prefix."""
        if self.per_token:
            mask = inputs["attention_mask"].bool()
            batch_states = states[0].new_zeros(*mask.shape, self.width)
            batch_states[mask] = torch.cat(list(states))
        else:
            batch_states = torch.stack(list(states))
        output = self._as_output(batch_states)
        with override_forward(self._frozen.cacheable, lambda *_, **__: output):
            return self.model_forward(**inputs)

    def _states_in(self, output: Any) -> torch.Tensor:
        states: torch.Tensor
        if self._output_format == "tensor":
            states = output
        elif self._output_format == "tuple":
            (states,) = output
        else:
            states = output[self._output_format]
        return states

    def _as_output(self, states: torch.Tensor) -> Any:
        if self._output_class is None:
            return (states,) if self._output_format == "tuple" else states
        unread = states.new_empty(0)  # if the model read it, the comparison in `split_frozen_prefix` would have failed
        return self._output_class(**{name: states if name == self._output_format else unread for name in self._fields})


@torch.no_grad()
def split_frozen_prefix(model: nn.Module, frozen: FrozenModules, batch: Inputs) -> FrozenPrefix | str:
    """Return the model split at its frozen prefix, or the reason why it cannot be split.

    The split is tested on a batch: with states computed row by row, the logits must be those of the whole model.

    Args:
        model: a model whose `forward` takes a batch; on the CPU.
        frozen: its modules below everything that trains.
        batch: a padded batch of the run's rows.
    """
    rng_state = torch.get_rng_state()
    output = _output_of(frozen.cacheable[-1], lambda: model.forward(**batch))
    if not torch.equal(rng_state, torch.get_rng_state()):
        torch.set_rng_state(rng_state)
        return "its output is random because of dropout (model.frozen_dropout=false switches that off)"
    output_formats, problem = _possible_formats(output), "its output is of an unknown kind"
    if not output_formats:
        return problem
    with eval_mode(model):
        expected = model.forward(**batch).logits
        for output_format in output_formats:
            frozen_prefix = FrozenPrefix(model, frozen, output_format, output)
            try:
                logits = _split_forward(frozen_prefix, batch).logits
            except (AttributeError, IndexError, KeyError, RuntimeError, TypeError, ValueError) as error:
                problem = reason(error, with_class=True)  # the rest of the model reads another part of the output
                continue
            if logits_match(logits, expected, batch["attention_mask"]):
                return frozen_prefix
            problem = "its output for a text depends on the rest of the batch"
    return problem


@contextmanager
def eval_mode(model: nn.Module) -> Iterator[None]:
    """Put the model into evaluation mode; restore the mode of each of its modules afterwards."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


def _split_forward(frozen_prefix: FrozenPrefix, batch: Inputs) -> Any:
    """Return the model's output for a batch whose rows run through the prefix one by one, without padding."""
    states = []
    for row, mask in enumerate(batch["attention_mask"].bool()):
        states += frozen_prefix.compute_states({key: value[row, mask][None] for key, value in batch.items()})
    return frozen_prefix.forward_from_states(batch, states)


def logits_match(logits: torch.Tensor, expected: torch.Tensor, mask: torch.Tensor | None = None) -> bool:
    """Return whether logits are equal up to rounding; of token logits, (rows, tokens, ...), those where `mask` is 1."""
    if logits.shape != expected.shape:
        return False
    if expected.ndim == 3 and mask is not None:  # logits at padding are meaningless
        logits, expected = logits[mask.bool()], expected[mask.bool()]
    tolerance = _TOLERANCE.get(expected.dtype, _HALF_PRECISION_TOLERANCE) * float(expected.abs().max())
    return torch.allclose(logits, expected, rtol=0, atol=tolerance)


def _possible_formats(output: Any) -> list[OutputFormat]:
    """Return the ways in which the states can be read from this output, the smallest states first."""
    if isinstance(output, ModelOutput):
        named: list[OutputFormat] = ["pooler_output", "last_hidden_state"]
        return [name for name in named if name in output]
    if isinstance(output, tuple):
        return ["tuple"] if len(output) == 1 else []
    return ["tensor"] if isinstance(output, torch.Tensor) else []


@contextmanager
def override_forward(modules: Sequence[nn.Module], forward: Callable[..., Any]) -> Iterator[None]:
    """Replace the `forward` of these modules for the time of the context."""
    patched = [module.__dict__.get("forward") for module in modules]  # quantised modules may have an instance attribute
    try:
        for module in modules:
            module.forward = forward
        yield
    finally:
        for module, original in zip(modules, patched, strict=True):
            del module.forward
            if original is not None:
                module.forward = original


class _StopForward(Exception):
    """Ends a forward pass after the module whose output is wanted."""

    def __init__(self, output: Any) -> None:
        self.output = output


def _output_of(module: nn.Module, run: Callable[[], Any]) -> Any:
    """Return the output of a module in a forward pass that ends there."""

    def stop(_: nn.Module, __: Any, output: Any) -> None:
        raise _StopForward(output)

    handle = module.register_forward_hook(stop)
    try:
        run()
    except _StopForward as stopped:
        return stopped.output
    finally:
        handle.remove()
    raise AssertionError("the module ran when the frozen modules were looked for, and does not run now")


def _tensors(output: Any) -> Iterator[torch.Tensor]:
    if isinstance(output, torch.Tensor):
        yield output
    elif isinstance(output, dict):
        yield from _tensors(tuple(output.values()))
    elif isinstance(output, tuple | list):
        for item in output:
            yield from _tensors(item)


def dummy_inputs(model: nn.Module) -> Inputs:
    """Return a text of a few tokens on the model's device, for test runs."""
    ids = torch.arange(1, 1 + _DUMMY_TOKENS, device=next(model.parameters()).device)[None]
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
