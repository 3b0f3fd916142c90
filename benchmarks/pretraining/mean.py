"""The mean of the weights of two backbones of one shape, as a backbone (arXiv:2203.05482).

    python benchmarks/pretraining/mean.py runs/ss3 runs/ss3-further runs/ss3-mean

It pays where the second was learned on from the first, or both from the same third: else weights don't fit together.
"""

import argparse
import sys
from pathlib import Path

import torch
from torch import nn

from biograft.backbones.folder import save_folder
from biograft.errors import BiograftError
from biograft.origins import load_backbone

__all__ = ["move_half_way"]


def move_half_way(backbone: nn.Module, other: nn.Module) -> None:
    """Move weights half the way to those of another one of the same shape."""
    there = dict(other.named_parameters())
    with torch.no_grad():
        for place, parameter in backbone.named_parameters():
            parameter.lerp_(there[place], 0.5)


def main() -> int:
    """Write the mean."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("one")
    parser.add_argument("other")
    parser.add_argument("out", type=Path)
    parser.add_argument("--alphabet", default="protein")
    options = parser.parse_args()
    try:
        backbone, other = (load_backbone(name, options.alphabet) for name in (options.one, options.other))
        if backbone.configuration() != other.configuration():
            raise BiograftError(
                f"'{options.one}' and '{options.other}' are of other shapes: got {other.configuration()}, expected "
                f"{backbone.configuration()}. Name two that were learned one from the other."
            )
    except BiograftError as fault:
        print(f"Error: {fault}", file=sys.stderr)
        return 2
    move_half_way(backbone, other)
    save_folder(backbone, options.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
