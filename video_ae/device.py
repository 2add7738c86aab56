"""The device on which torch computes."""

import torch

from video_ae.errors import UserError


def choose_device(name: str = "auto") -> torch.device:
    """The device of a name.

    Args:
        name: "auto" is CUDA where it is available, else the CPU; or a name that torch knows, such as "cuda:1".

    Raises:
        UserError: the device is not available here, or cannot compute.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.zeros((), device=device).item()  # fails on torch's "meta", which stores no numbers
    except (RuntimeError, AssertionError) as error:
        raise UserError(f"The device {name!r} is not available here: use auto, cpu or cuda.") from error
    return device
