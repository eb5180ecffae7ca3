"""Progress for log files; on a terminal Lightning's own bar shows it."""

import sys

from lightning.pytorch import Callback, LightningModule, Trainer


class ProgressLines(Callback):
    """One line at each validation: a bar that redraws itself would fill a log with fragments."""

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Print step, losses and metrics."""
        names = ("train/loss", "val/loss", "val/accuracy", "val/perplexity")
        values = {name: trainer.callback_metrics[name] for name in names if name in trainer.callback_metrics}
        shown = "  ".join(f"{name} {float(value):.4f}" for name, value in values.items())
        print(f"  step {trainer.global_step}  {shown}", flush=True)


def watched() -> bool:
    """Whether a bar that redraws itself has somebody to look at it."""
    return sys.stderr.isatty()
