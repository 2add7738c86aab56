"""Where to compute."""

import torch

from video_ae.errors import UserError


def choose_device(name: str = "auto") -> torch.device:
    """`auto` is CUDA where there is one, else the CPU. Raises UserError for a name that torch does not have here."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.zeros((), device=device).item()  # it holds numbers and gives them back, which torch's `meta` does not
    except (RuntimeError, AssertionError) as error:
        raise UserError(f"The device {name!r} is not available here: use auto, cpu or cuda.") from error
    return device
