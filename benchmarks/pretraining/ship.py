"""Put a finished run into the package: an encoder from `biograft pretrain`, or a model that answers with it.

    python benchmarks/pretraining/ship.py encoder runs/encoder protein-small [--after REPORT --mean-with ENCODER]
    biograft fit ss.tsv.gz --label ss3 --mask resolved --backbone protein-small --strategy frozen --out runs/ss3
    python benchmarks/pretraining/ship.py model runs/ss3 secondary-structure [--related TABLE] [--with-encoder]

An encoder's weights are rounded to bfloat16 first: models must be fitted on the shipped folder, not on the run. A model
is its head alone, with the name and fingerprint of the encoder and a sketch of its training records: no sequence goes
into the package. One that moved the encoder (`--with-encoder`) holds all its weights, tempered on the validation part
and in bfloat16 too, with which it is measured again. Where relatives have a say (`fit --relatives`), how far is found
anew through the sketch, and so are the numbers of the test part. Each gets a card, MODEL_CARD.md.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from cards import ATTRIBUTION, CORPUS, CORPUS_LIMITS, LICENCE, QUESTIONS, encoder_card, model_card
from mean import move_half_way
from torch import nn

from biograft.backbones.folder import save_folder
from biograft.bundle import Bundle, load
from biograft.data.nearest import Nearest
from biograft.data.readers import read, table
from biograft.data.records import Records
from biograft.data.sketch import Sketch
from biograft.errors import BiograftError
from biograft.evaluation.calibration import fit_temperature
from biograft.files import read_json, write_json, write_text
from biograft.flows.evaluate import evaluate
from biograft.hardware import Hardware
from biograft.model import LinearHead
from biograft.origins import load_backbone
from biograft.run import RunFolder, read_recipe
from biograft.shipped import shelf
from biograft.tasks.relatives import Relatives

LARGEST_ENCODER, LARGEST_MODEL = 40.0, 8.0  # MB
CHECKED = 20  # test records that a shipped model must answer as its run did


def ship_encoder(run: Path, name: str, before: Path | None = None, mean_with: Path | None = None) -> Path:
    """The finished pretraining run's encoder, in bfloat16, with its card.

    Args:
        before: report of the run that it went on from.
        mean_with: folder of the encoder that it went on from: the mean of both is shipped (arXiv:2203.05482).
    """
    report = RunFolder(run).report()
    if report is None or "corpus" not in report:
        raise BiograftError(f"'{run}' is no finished pretraining: got no such report.json in it. Finish it first.")
    backbone = load_backbone(str(run), report["encoder"]["alphabet"])
    folder = shelf.ROOT / name
    _check_size(name, 2e-6 * sum(value.numel() for value in backbone.state_dict().values()), LARGEST_ENCODER)
    if mean_with is not None:
        move_half_way(backbone, load_backbone(str(mean_with), report["encoder"]["alphabet"]))
    save_folder(backbone.to(torch.bfloat16), folder)
    card = _without_paths(report) | {
        "name": name,
        "licence": LICENCE,
        "attribution": ATTRIBUTION,
        "data": CORPUS,
        "curve": _curve(RunFolder(run), report),
        "limits": list(CORPUS_LIMITS),
    }
    if before is not None:
        earlier = _without_paths(read_json(before))
        card["before"] = {key: earlier[key] for key in ("created", "corpus", "sources", "metrics")}
        card["mean"] = mean_with is not None
    write_json(folder / "card.json", card)
    card["fingerprint"] = load_backbone(name, report["encoder"]["alphabet"]).fingerprint()
    write_json(folder / "card.json", card)
    write_text(folder / "MODEL_CARD.md", encoder_card(card))
    return folder


def _check_size(name: str, megabytes: float, most: float) -> None:
    if megabytes > most:
        raise BiograftError(f"'{name}' is too large to ship: got {megabytes:.1f} MB, expected at most {most:g}.")


def _without_paths(content: Any) -> Any:
    """A report whose files are named without their folders."""
    if isinstance(content, dict):
        return {key: _without_paths(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [_without_paths(value) for value in content]
    return Path(content).name if isinstance(content, str) and Path(content).is_absolute() else content


def _curve(run: RunFolder, report: Mapping[str, Any]) -> list[dict[str, float]]:
    """Letters read, perplexity and accuracy at each validation."""
    steps = [(entry["step"], entry["valid"]) for entry in run.history() if "valid" in entry]
    each = report["recipe"]["batch_letters"]
    return [
        {"letters": step * each, "perplexity": found["perplexity"], "accuracy": found["accuracy"]}
        for step, found in steps
    ]


def ship_model(run: Path, name: str, encoder: str, related: Path | None = None, with_encoder: bool = False) -> Path:
    """The finished fit's head on the shipped encoder, with a sketch of its training records and its card.

    Args:
        with_encoder: the fit moved the encoder: all its weights are shipped, rounded, and measured again.
        related: records drawn as the training part was, of which many have relatives there: measured for the card too.
    """
    report = RunFolder(run).report()
    if report is None or name not in QUESTIONS:
        known = ", ".join(QUESTIONS)
        raise BiograftError(
            f"Only finished fits with a known name are shipped: got '{run}' as '{name}', expected one of {known}."
        )
    bundle = load(run)
    if not isinstance(bundle.training, Records):
        raise BiograftError(f"'{run}' holds a sketch only: got a shipped model, expected a run. Name the fit's folder.")
    fingerprint = load_backbone(encoder, bundle.model.backbone.alphabet.name).fingerprint()
    moved = bundle.model.backbone.fingerprint() != fingerprint
    begun = str(bundle.card["recipe"]["backbone"])
    if with_encoder and (not moved or (begun != encoder and not Path(begun).exists())):
        raise BiograftError(
            f"'{run}' did not move '{encoder}': got a fit on '{begun}'{'' if moved else ' that let it rest'}. Leave "
            "out --with-encoder, or name the encoder that it began with."
        )
    if moved and not with_encoder:
        raise BiograftError(
            f"'{run}' does not stand on '{encoder}' as it is shipped: got other weights, expected {fingerprint}. "
            f"Fit it with --backbone {encoder} --strategy frozen, or ship all its weights: --with-encoder."
        )
    training = bundle.training
    sketch = Sketch.of(training.ids, training.sequences)
    tested, told = _tested(run, bundle)
    if with_encoder:
        _temper(bundle, run)
        _round(bundle.model)
        fingerprint = bundle.model.backbone.fingerprint()
    card = _model_card(name, report, bundle, {"name": encoder, "fingerprint": fingerprint, "moved": with_encoder})
    card["nearest"] = _nearest_error(sketch, tested, told)
    weights = (bundle.model if with_encoder else bundle.model.head).state_dict().values()
    size = sum(array.nbytes for array in (sketch.hashes, sketch.digests))
    size += sum(value.numel() * (2 if with_encoder else value.element_size()) for value in weights)
    _check_size(name, 1e-6 * size, LARGEST_MODEL)
    small = replace(bundle, training=sketch, encoder="" if with_encoder else encoder, card=card)
    if with_encoder:
        card |= _measured_again(small, tested, card["measured"])
    if bundle.relatives is not None:
        small = replace(small, relatives=_by_sketch(bundle.relatives, training, run))
        card |= _measured_again(small, tested, card["measured"])
    if related is not None:
        card["related"] = _related(small, related)
    folder = shelf.ROOT / name
    kept = replace(small, model=deepcopy(small.model).to(torch.bfloat16)) if with_encoder else small
    kept.save(folder)
    write_text(folder / "MODEL_CARD.md", model_card(name, card))
    _check_answers(bundle, load(name), tested)
    return folder


def _by_sketch(relatives: Relatives, training: Records, run: Path) -> Relatives:
    """The same classes, and how far they count where the nearest record is found by a sketch."""

    def search(queries: Sequence[str], references: Sequence[str]) -> Nearest:
        return Sketch.of([str(row) for row in range(len(references))], references).nearest(queries)

    parts = table(run / "split.tsv").columns
    family = dict(zip(parts["id"], parts["family"], strict=True))
    families = np.array([family[name] for name in training.ids])
    return Relatives.learned(relatives.codes, training.sequences, search, 0, families)


def _temper(bundle: Bundle, run: Path) -> None:
    """Divide the last layer by the temperature that suits the validation part: what learned from labels that are surer
    than they should be is surer than it should be."""
    model, recipe = bundle.model, read_recipe(run / "recipe.toml")
    if model.kind.name != "classification" or not isinstance(model.head, LinearHead):
        return
    parts = table(run / "split.tsv").columns
    records = _read(
        recipe, bundle, [name for name, part in zip(parts["id"], parts["set"], strict=True) if part == "valid"]
    )
    if not len(records):
        return
    units = model.level.read(records, bundle.label, tuple(recipe.get("mask", ())))
    codes, known = model.kind.encode(units.values)
    counted = known & units.counted
    outputs = model.outputs([model.backbone.encode(sequence) for sequence in records.sequences], Hardware())
    scores = model.kind.decode(outputs[counted]).scores
    assert scores is not None
    temperature = fit_temperature(scores, codes[counted])
    with torch.no_grad():
        model.head.linear.weight.div_(temperature)
        model.head.linear.bias.div_(temperature)


def _round(model: nn.Module) -> None:
    """Weights and buffers to what bfloat16 can hold, still in single precision."""
    with torch.no_grad():
        for values in model.state_dict().values():
            if values.is_floating_point():
                values.copy_(values.bfloat16())


def _measured_again(small: Bundle, tested: Records, measured: Mapping[str, Any]) -> dict[str, Any]:
    masks = tuple(small.card["recipe"].get("mask", ()))
    metrics = evaluate(small, tested, masks=masks, hardware=Hardware())["metrics"]["test"]
    return {"metrics": metrics, "measured": {**measured, **metrics[measured["metric"]]}}


def _related(small: Bundle, path: Path) -> dict[str, Any]:
    """What the shipped model answers for records of which many have relatives in training."""
    asked = read(path, alphabet=small.model.backbone.alphabet.name)
    found = evaluate(small, asked, hardware=Hardware())
    named = small.nearest(asked).index >= 0
    return {
        "records": len(asked),
        "named": float(named.mean()),
        "metrics": found["metrics"]["test"],
        "accuracy_by_relative": {
            text: evaluate(small, asked.take(np.flatnonzero(rows)), hardware=Hardware())["metrics"]["test"]["accuracy"]
            for text, rows in (("named", named), ("none named", ~named))
            if rows.any()
        },
    }


def _tested(run: Path, bundle: Bundle) -> tuple[Records, dict[str, list[str]]]:
    """The run's test records, and its predictions for them."""
    told = {column: list(values) for column, values in table(run / "predictions.tsv").columns.items()}
    return _read(read_recipe(run / "recipe.toml"), bundle, told["id"]), told


def _read(recipe: Mapping[str, Any], bundle: Bundle, names: Sequence[str]) -> Records:
    """The records of these ids, out of the run's table."""
    records = read(
        recipe["table"], sequence=recipe["sequence"], id=recipe.get("id"), alphabet=bundle.model.backbone.alphabet.name,
        unknown=recipe.get("unknown"),
    )  # fmt: skip
    row = {name: place for place, name in enumerate(records.ids)}
    return records.take([row[name] for name in names])


def _nearest_error(sketch: Sketch, tested: Records, told: Mapping[str, list[str]]) -> dict[str, Any]:
    """The sketch against exact alignments of the test records, which the run has made."""
    exact = np.array([float(text or 0) for text in told["nearest_identity"]])
    found = sketch.nearest(tested.sequences)
    names = [sketch.ids[place] if place >= 0 else "" for place in found.index.tolist()]
    both = (exact > 0) & (found.identity > 0)
    off = found.identity[both] - exact[both]
    by_range = {}
    for low, high in ((0.0, 0.3), (0.3, 0.5), (0.5, 0.7), (0.7, 1.01)):
        inside = (exact > 0) & (exact >= low) & (exact < high)
        by_range[f"{low:.0%} to {min(high, 1):.0%}"] = {
            "records": int(inside.sum()), "found": int((inside & (found.identity > 0)).sum())
        }  # fmt: skip
    same = np.array([one == other for one, other in zip(names, told["nearest"], strict=True)], bool)
    return {
        "records": len(exact),
        "found_of": by_range,
        "named_without_alignment": int(((exact == 0) & (found.identity > 0)).sum()),
        "same_protein": float(same[both].mean()) if both.any() else None,
        "mean_error": float(np.abs(off).mean()) if both.any() else None,
        "bias": float(off.mean()) if both.any() else None,
    }


def _model_card(name: str, report: Mapping[str, Any], bundle: Bundle, encoder: dict[str, Any]) -> dict[str, Any]:
    question = QUESTIONS[name]
    metric = bundle.model.kind.metrics[0] if bundle.model.level.name != "residue" else "q3"
    metrics = report["metrics"]["test"]
    metric = metric if metric in metrics else next(iter(metrics))
    found = {side: metrics[metric][side] for side in ("value", "low", "high")}
    known = tuple(getattr(bundle.model.kind, "classes", ()))
    return {
        "name": name,
        "biograft": report["environment"]["biograft"],
        "question": question.asks,
        "classes": {label: question.classes.get(label, "") for label in known},
        "encoder": encoder,
        "measured": {"metric": metric, **found, "records": report["data"]["n_test"], "on": "test proteins"},
        "leaks": report["data"]["leaks"],
        "metrics": _without_paths(metrics),
        "baselines": _without_paths(report["baselines"]),
        "data": question.data,
        "trained_on": len(bundle.training),
        "limits": list(question.limits),
        "licence": LICENCE,
        "attribution": ATTRIBUTION,
        "recipe": _without_paths(bundle.card.get("recipe", {})),
    }


def _check_answers(bundle: Bundle, small: Bundle, tested: Records) -> None:
    """The shipped model says what the run's model says, which is tempered and rounded where all weights are shipped."""
    few, hardware = tested.take(range(min(CHECKED, len(tested)))), Hardware()
    alone = (replace(side, relatives=None) for side in (bundle, small))  # a sketch finds others than alignment does
    one, other = (side.predict(few, hardware=hardware).predicted for side in alone)
    for first, second in ((one.codes, other.codes), (one.scores, other.scores), (one.values, other.values)):
        if first is not None and second is not None and not np.array_equal(first, second):
            raise BiograftError("The shipped model answers otherwise than its run: got other scores. Do not ship it.")


def main(arguments: list[str] | None = None) -> int:
    """Ship what the command line names."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("what", choices=("encoder", "model"))
    parser.add_argument("run", type=Path)
    parser.add_argument("name")
    parser.add_argument("--encoder", default="protein-small", help="shipped encoder that a model stands on")
    parser.add_argument("--after", type=Path, help="report.json of the run from which an encoder went on")
    parser.add_argument("--mean-with", type=Path, help="folder of that run's encoder, to ship the mean of both")
    parser.add_argument("--related", type=Path, help="table of records with relatives in training, to measure on too")
    parser.add_argument("--with-encoder", action="store_true", help="ship all weights of a model that moved them")
    chosen = parser.parse_args(arguments)
    try:
        if chosen.what == "encoder":
            folder = ship_encoder(chosen.run, chosen.name, chosen.after, chosen.mean_with)
        else:
            folder = ship_model(chosen.run, chosen.name, chosen.encoder, chosen.related, chosen.with_encoder)
    except BiograftError as fault:
        print(f"Error: {fault}", file=sys.stderr)
        return 2
    print((folder / "MODEL_CARD.md").read_text(encoding="utf-8"))
    for file in sorted(folder.iterdir()):
        print(f"{file.stat().st_size / 1e6:8.3f} MB  {file.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
