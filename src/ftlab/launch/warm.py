"""Imported by the process that all jobs are forked from, so that none of them has to wait for it.

It must not touch a GPU: CUDA does not survive a fork. PEFT loads bitsandbytes, which asks the GPU for its kind, so
where there is one it is left to the jobs. What only some jobs need is not here: see `preloaded`
in `ftlab.launch.local`.
"""

import gc
import importlib
import os

from ftlab.launch import server

_LEFT_TO_JOBS_WITH_A_GPU = (
    "ftlab.methods.peft",
    "ftlab.run",
    "ftlab.tasks.classification",
    "ftlab.tasks.language_model",
    "ftlab.trackers.guarded",
    "ftlab.trackers.metrics_csv",
)

server.end_with_parent()
gc.disable()  # modules stay: looking for garbage among them takes a tenth of the time
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("PYTORCH_NVML_BASED_CUDA_CHECK", "1")  # count devices without starting CUDA
torch, conversion_mapping, *_ = map(
    importlib.import_module,
    ("torch", "transformers.conversion_mapping", "lightning.pytorch", "pandas"),  # pandas: for pyarrow's arrays
)

# Transformers compiles a thousand patterns of parameter names when it first loads a model; every job would
conversion_mapping.get_checkpoint_conversion_mapping("bert")

if not torch.cuda.device_count():
    # bitsandbytes has functions compiled that it does not use on a CPU: half of the time that it takes to import
    os.environ["TORCHDYNAMO_DISABLE"] = "1"
    for module in _LEFT_TO_JOBS_WITH_A_GPU:
        importlib.import_module(module)
    del os.environ["TORCHDYNAMO_DISABLE"]

for module in server.others():
    importlib.import_module(module)

gc.enable()
gc.freeze()  # what is shared stays shared: no collection in a job writes to these pages
