"""Random state of the generators that dropout uses, kept in checkpoints."""

import torch


def random_state(device: torch.device) -> torch.Tensor:
    """Return the state of the random generators that dropout uses: a vector of bytes, the CPU's first."""
    states = [torch.get_rng_state(), *([torch.cuda.get_rng_state(device)] if device.type == "cuda" else [])]
    return torch.cat(states).to(device)


def restore_random_state(state: torch.Tensor) -> None:
    """Restore a state from `random_state`, on the same kind of device."""
    length = len(torch.get_rng_state())
    torch.set_rng_state(state[:length].clone())  # torch crashes on a view into a larger tensor
    if len(state) > length:
        torch.cuda.set_rng_state(state[length:].clone())
