"""Imported by the process that all jobs are forked from, so that none of them has to wait for it.

It must not touch a GPU: CUDA does not survive a fork. PEFT loads bitsandbytes, which asks the GPU for its kind, so
where there is one it is left to the jobs. What only some jobs need is not here: see `preloaded`
in `ftlab.launch.local`.
"""

import gc
import os

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("PYTORCH_NVML_BASED_CUDA_CHECK", "1")  # count devices without starting CUDA

import lightning.pytorch  # noqa: F401 (the import is what this module is for)
import torch
from transformers.conversion_mapping import get_checkpoint_conversion_mapping

# Transformers compiles a thousand patterns of parameter names when it first loads a model; every job would
get_checkpoint_conversion_mapping("bert")

if not torch.cuda.device_count():
    import ftlab.methods.peft
    import ftlab.run
    import ftlab.tasks.classification
    import ftlab.tasks.language_model
    import ftlab.trackers.guarded
    import ftlab.trackers.metrics_csv  # noqa: F401

gc.freeze()  # what is shared stays shared: no collection in a job writes to these pages
