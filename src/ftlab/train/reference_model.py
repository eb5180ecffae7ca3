"""Reference model of a run: the base as it was before training, where the task kind's loss needs it."""

from lightning.pytorch import seed_everything
from torch import nn

from ftlab import models
from ftlab.core.batch import model_inputs
from ftlab.core.errors import ConfigError
from ftlab.methods.reference import ReferenceModel, build_reference_model
from ftlab.models import Base
from ftlab.train.setup import RunSetup


def load_reference(setup: RunSetup, model: nn.Module) -> ReferenceModel | None:
    """Return the base as it was before training, if the task kind's loss compares the model with it.

    Args:
        setup: of the run.
        model: what `method.apply` returned.

    Raises:
        ConfigError: the weights are sharded.
    """
    config, kind, devices = setup.config, setup.task.kind, setup.devices
    if not kind.needs_reference:
        return None
    if devices.sharded:
        raise ConfigError(
            f"dataset.task={kind.name} compares the model with its base, which sharded weights do not support: set "
            "hardware.strategy=ddp."
        )

    def load_frozen() -> Base:
        seed_everything(config.seed, verbose=False)  # the same new head as in `load_base`
        base = models.load_base_model(config.model, setup.task, config.quant)
        nn.ModuleList([base.model]).to(devices.device)  # Transformers refuses `to` of a quantised model itself
        return base

    reference = build_reference_model(setup.method, model, model_inputs(setup.datamodule.probe_batch()), load_frozen)
    setup.recorder.log(
        "reference model: a second, frozen base"
        if reference.weight_bytes
        else f"reference model: the model without what method={config.method.name} adds"
    )
    return reference
