"""Imports of the fork server, made once for all jobs that are forked from it.

They must not touch a GPU: CUDA does not survive a fork. PEFT loads bitsandbytes, which queries the GPU's type, so on a
machine with a GPU the jobs import it themselves. For modules that only some jobs need see `modules_to_preload` in
`ftlab.launch.local`.
"""

import gc
import importlib
import os

from ftlab.launch import forkserver

_NOT_PRELOADED_WITH_A_GPU = (
    "ftlab.methods.peft",
    "ftlab.train.run",
    "ftlab.tasks.classification",
    "ftlab.tasks.language_model",
    "ftlab.trackers.guarded",
    "ftlab.trackers.metrics_csv",
)

forkserver.end_with_parent()
gc.disable()  # modules are never garbage: collecting would take a tenth of the import time
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("PYTORCH_NVML_BASED_CUDA_CHECK", "1")  # count devices without initialising CUDA
torch, conversion_mapping, *_ = map(
    importlib.import_module,
    ("torch", "transformers.conversion_mapping", "lightning.pytorch", "pandas"),  # pyarrow imports pandas on first use
)

# Transformers compiles a thousand patterns of parameter names when it first loads a model; done once here for all jobs
conversion_mapping.get_checkpoint_conversion_mapping("bert")

if not torch.cuda.device_count():
    # bitsandbytes compiles functions that it does not use on a CPU: half of its import time
    os.environ["TORCHDYNAMO_DISABLE"] = "1"
    for module in _NOT_PRELOADED_WITH_A_GPU:
        importlib.import_module(module)
    del os.environ["TORCHDYNAMO_DISABLE"]

for module in forkserver.requested_modules():
    importlib.import_module(module)

gc.enable()
gc.freeze()  # memory pages stay shared: garbage collection in a job does not write to them
