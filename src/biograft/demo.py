"""The main job on generated families with known answers: learn a source, graft it on 60 labels, compare with scratch."""

from pathlib import Path

from biograft.data.generated import World
from biograft.fitting import Stages, fit

__all__ = ["demo"]
