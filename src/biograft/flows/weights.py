"""Which weights a run began with: a folder that holds others under the same name is another backbone."""

import torch

from biograft import catalog
from biograft.errors import BiograftError
from biograft.flows.recipe import Recipe
from biograft.origins import load_backbone
from biograft.run import RunFolder, read_recipe

__all__ = ["fingerprint_of"]


def fingerprint_of(recipe: Recipe, alphabet: str, folder: RunFolder) -> str | None:
    """Of the backbone's weights; None for one that begins with random weights, for the seed tells these.

    A finished run is only read: it keeps what it wrote down, and so does one that began without a fingerprint.

    Raises:
        BiograftError: the weights are not those of the recipe, or not those with which the run in the folder began.
    """
    if recipe.backbone in ("auto", *catalog.names("backbones")):
        return None
    there = read_recipe(folder.recipe_path) if folder.recipe_path.exists() and folder.is_begun else None
    began = there.get("backbone_fingerprint") if there else None
    if folder.report_path.exists() or (there and not began):
        return recipe.backbone_fingerprint or began
    with torch.random.fork_rng():
        found = load_backbone(recipe.backbone, alphabet).fingerprint()
    if recipe.backbone_fingerprint not in (None, found):
        raise BiograftError(
            f"The weights of backbone '{recipe.backbone}' have changed since the recipe was made: got {found}, "
            f"expected {recipe.backbone_fingerprint}. Put the former ones back, or remove backbone_fingerprint to use "
            "these."
        )
    if there and there["backbone"] == recipe.backbone and began != found:
        raise BiograftError(
            f"The run in '{folder.path}' began with other weights of backbone '{recipe.backbone}': got {found}, "
            f"expected {began}. Put the former ones back to continue it, or choose another --out."
        )
    return found
