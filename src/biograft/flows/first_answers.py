"""What the shipped models say of well-known proteins, beside what is known of them."""

from biograft.bundle import Bundle, load
from biograft.data.records import Records
from biograft.evaluation.predictions import Predictions
from biograft.flows.proteins import WELL_KNOWN, Protein
from biograft.shipped import shelf

__all__ = ["first_answers"]

SHOWN = 60  # residues
NAME = max(len(protein.name) for protein in WELL_KNOWN) + 2


def first_answers() -> list[str]:
    """Lines about each shipped model that answers; empty where none is shipped."""
    lines: list[str] = []
    for shipped in shelf.models():
        bundle = load(shipped.name)
        asked = [one for one in WELL_KNOWN if one.enzyme or shipped.name != "enzyme-class"]
        records = Records.of([one.sequence for one in asked], [one.name for one in asked], alphabet="protein")
        answers = bundle.predict(records)
        lines += [f"{shipped.name}: {shipped.card['question']}"]
        lines += _residues(answers) if answers.per_residue else _places(shipped.name, bundle, asked, answers)
        lines += [""]
    return lines


def _residues(answers: Predictions) -> list[str]:
    """Letters of the first residues, and how sure the model is on average."""
    table = answers.table()
    lines = []
    for name, text, digits in zip(answers.ids, table["prediction"], table["confidence"], strict=True):
        text, digits = str(text), str(digits)
        sure = sum(map(int, digits)) / len(digits)
        more = "…" if len(text) > SHOWN else ""
        lines.append(f"  {name:{NAME}}{text[:SHOWN]}{more}  (confidence {sure:.1f} of 9)")
    return lines


def _places(name: str, bundle: Bundle, asked: list[Protein], answers: Predictions) -> list[str]:
    scores = answers.predicted.scores
    known = [one.enzyme if name == "enzyme-class" else one.place for one in asked]
    meant = bundle.card.get("classes", {})
    lines = [f"  {'':{NAME}}{'predicted':24}{'probability':>11}  {'known':16}{'nearest training protein':24}"]
    for row, (one, label) in enumerate(zip(asked, answers.labels(), strict=True)):
        sure = "" if scores is None else f"{scores[row].max():.2f}"
        near = f"{answers.nearest[row]} ({answers.identity[row]:.0%})" if answers.nearest[row] else "none found"
        said = label if len(label) > 1 else f"{label} {meant.get(label, '').split(':')[0]}".strip()
        lines.append(f"  {one.name:{NAME}}{said:24}{sure:>11}  {known[row] or '?':16}{near}")
    caution = bundle.caution(answers)
    return [*lines, f"  {caution}"] if caution else lines
