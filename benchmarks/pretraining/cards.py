"""What the cards of shipped encoders and models say: questions, classes, data, limits, and the pages made of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

LICENCE = "CC BY 4.0"
ATTRIBUTION = "Sequences: UniProt, The UniProt Consortium (CC BY 4.0), https://www.uniprot.org"
CORPUS = (
    "Natural proteins of 30 to 1,024 residues from public collections, most of them entries of UniProt, cleaned of "
    "relatives (30 % identity and more) of the proteins that results are shown on."
)
TABLES = {  # written by sources.py and homologues.py
    "homologues": "pairs of relatives in the whole corpus, aligned by MMseqs2: which letter stands here in the other",
    "structure": (
        "helix, strand or coil by DSSP, chains of the Protein Data Bank (CC0) as NetSurfP-2.0 chose them "
        "(doi:10.1002/prot.25674), without relatives of test proteins"
    ),
    "enzymes": "EC numbers that the corpus's collections give its sequences, most of them those of UniProt (CC BY 4.0)",
}
LAYOUT = {
    "bytenet": "Dilated convolutions (ByteNet, as in CARP); the folder opens in biograft, not in transformers.",
    "encoder": "A transformer of ESM-2's architecture; the folder opens in transformers too.",
}
CORPUS_LIMITS = (
    "The corpus is rich in enzymes of bacteria and in fungi, and poor in plants, animals and viruses.",
    "Letters alone are read: no structure, no alignment of relatives, no modified residues.",
    "Small as encoders go: expect less than from checkpoints of hundreds of millions of parameters.",
)


@dataclass(frozen=True)
class Question:
    """What a shipped model is asked.

    Attributes:
        asks: in half a line.
        classes: label -> what it means.
        data: where the training labels come from.
        limits: what a user must not expect.
    """

    asks: str
    classes: Mapping[str, str]
    data: str
    limits: tuple[str, ...]


QUESTIONS = {
    "secondary-structure": Question(
        "helix, strand or coil of each residue of a protein",
        {
            "H": "helix (H, G and I of DSSP)",
            "E": "strand (E and B of DSSP)",
            "C": "coil: everything else",
        },
        "chains of the Protein Data Bank as NetSurfP-2.0 chose them (doi:10.1002/prot.25674), states by DSSP; as a "
        "source beside them 33,093 natural proteins with the states that a teacher sees in alignments of families",
        (
            "Trained on what crystals show: disordered stretches get a state too.",
            "Membrane proteins and designed proteins were few.",
        ),
    ),
    "localization": Question(
        "place of a eukaryotic protein in the cell, one out of ten",
        {
            "Nucleus": "inside the nucleus",
            "Cytoplasm": "in the cytosol or on the cytoskeleton",
            "Cell membrane": "in or on the plasma membrane",
            "Endoplasmic reticulum": "in or on the endoplasmic reticulum",
            "Golgi apparatus": "in or on the Golgi apparatus",
            "Extracellular": "secreted",
            "Mitochondrion": "in or on mitochondria",
            "Plastid": "in chloroplasts and their kin, of plants and algae",
            "Lysosome/Vacuole": "in lysosomes of animals, vacuoles of plants and fungi",
            "Peroxisome": "in peroxisomes",
        },
        "DeepLoc 2's proteins (doi:10.1093/nar/gkac278) with one place: eukaryotic entries of UniProt with evidence",
        (
            "One place per protein: many proteins have several.",
            "Proteins of bacteria and viruses get an answer that means nothing.",
            "Peroxisome, Golgi apparatus and lysosome have few training proteins.",
        ),
    ),
    "enzyme-class": Question(
        "main class of an enzyme, one out of seven, given that it is one",
        {
            "1": "oxidoreductases: pass electrons on",
            "2": "transferases: pass a group on",
            "3": "hydrolases: split with water",
            "4": "lyases: split without water",
            "5": "isomerases: rearrange",
            "6": "ligases: join, at the cost of ATP",
            "7": "translocases: carry across membranes",
        },
        "entries of UniProt with an EC number",
        (
            "Every protein gets a class, also one that is no enzyme.",
            "Where no relative is named, the class is little more than a guess: look at `nearest` first.",
            "Proteins of several classes were given one of them.",
        ),
    ),
}


def encoder_card(card: Mapping[str, Any]) -> str:
    """MODEL_CARD.md of an encoder."""
    encoder, corpus, found = card["encoder"], card["corpus"], card["metrics"]["valid"]
    heads = f", {encoder['heads']} heads" if "heads" in encoder else ""
    sources = [
        f"* {name}: column {source['label']}, {source['records']:,} training records, weight {source['weight']:g}, "
        f"{source['letters_read']:,} letters read"
        + (f"; {TABLES[file]}" if (file := name.split(" ")[0]) in TABLES else "")
        for name, source in card["sources"].items()
    ]
    curve = [card["curve"][place] for place in _spread(len(card["curve"]))]
    return "\n".join(
        [
            f"# {card['name']}",
            "",
            f"An encoder of {encoder['alphabet']} sequences: {encoder['layers']} blocks of width {encoder['width']}"
            f"{heads}, {encoder['parameters'] / 1e6:.2f} million parameters, stored as bfloat16. Made with biograft "
            f"{card['biograft']} on {card['created'][:10]}. {LAYOUT[encoder['architecture']]}",
            "",
            f"Licence of the weights: {card['licence']}. {card['attribution']}.",
            "",
            "## What it learned from",
            "",
            f"{card['data']} {corpus['sequences']:,} sequences, {corpus['letters']:,} letters; "
            f"{corpus['letters_read']:,} letters were read in training, windows of {card['recipe']['window']}.",
            "",
            *(["Labelled tables learned beside it, by their training parts:", "", *sources, ""] if sources else []),
            *(["A task that was a source is never evidence that knowledge was carried over.", ""] if sources else []),
            *([_before(card), ""] if "before" in card else []),
            "## What was measured",
            "",
            f"On {corpus['held_out']} sequences held out with {corpus['relatives_left_out']:,} relatives: perplexity "
            f"{found['perplexity']:.2f}, {found['accuracy']:.1%} of the masked letters right.",
            "",
            "| letters read | perplexity | accuracy |",
            "|---|---|---|",
            *(f"| {at['letters']:,} | {at['perplexity']:.2f} | {at['accuracy']:.3f} |" for at in curve),
            "",
            "## Known limits",
            "",
            *(f"* {limit}" for limit in card["limits"]),
            "",
        ]
    )


def _before(card: Mapping[str, Any]) -> str:
    """The run that this one went on from."""
    earlier = card["before"]
    corpus, found = earlier["corpus"], earlier["metrics"]["valid"]
    tables = f" beside {len(earlier['sources'])} labelled tables" if earlier["sources"] else ""
    return (
        f"It went on from a run of {earlier['created'][:10]} that had read {corpus['letters_read']:,} letters of "
        f"{corpus['file']}{tables}, with perplexity {found['perplexity']:.2f} at its end."
        + (
            " The weights are the mean of those at both ends; the numbers below are of the second end."
            if card["mean"]
            else ""
        )
    )


def _related(card: Mapping[str, Any]) -> str:
    """Records of which many have relatives in training: what most users will ask about."""
    found, related = card["related"]["metrics"], card["related"]
    apart = ", ".join(
        f"{accuracy['value']:.3f} where {'a relative is' if text == 'named' else 'none is'} named"
        for text, accuracy in related["accuracy_by_relative"].items()
    )
    return (
        f"The class of the nearest training record has a say, as far as relatives of that identity share classes. On "
        f"{related['records']:,} further records drawn as the training part was, {related['named']:.0%} of which have "
        f"a relative that the sketch finds: accuracy {found['accuracy']['value']:.3f} "
        f"({found['accuracy']['low']:.3f} to {found['accuracy']['high']:.3f}), MCC {found['mcc']['value']:.3f} "
        f"({found['mcc']['low']:.3f} to {found['mcc']['high']:.3f}); accuracy {apart}. The table above is of records "
        "without near relatives: there the answer is a weak hint."
    )


def _spread(count: int, most: int = 12) -> list[int]:
    """Places from first to last, evenly apart."""
    return sorted({round(place) for place in np.linspace(0, count - 1, min(most, count)).tolist()})


def _stands_on(encoder: Mapping[str, Any]) -> str:
    if encoder.get("moved"):
        return (
            f"All weights were learned further from the encoder `{encoder['name']}`, tempered on the validation part, "
            "and are stored as bfloat16."
        )
    return f"A head on the encoder `{encoder['name']}` ({encoder['fingerprint']}), which rests."


def model_card(name: str, card: Mapping[str, Any]) -> str:
    """MODEL_CARD.md of a model that answers."""
    near, encoder = card["nearest"], card["encoder"]
    off = (
        f"names the same protein for {near['same_protein']:.0%}, and is off by {near['mean_error']:.3f} on average "
        f"({near['bias']:+.3f} with its sign)"
        if near["mean_error"] is not None
        else "had no relative to be measured on"
    )
    rows = []
    for metric, found in card["metrics"].items():
        known = all(found[side] is not None for side in ("value", "low", "high"))
        rows += [f"| {metric} | {found['value']:.3f} | {found['low']:.3f} to {found['high']:.3f} |"] if known else []
    return "\n".join(
        [
            f"# {name}",
            "",
            f"Answers: {card['question']}. {_stands_on(encoder)} `biograft predict {name} my.fasta`",
            "",
            f"Licence of the weights: {card['licence']}. {card['attribution']}.",
            "",
            "## Classes",
            "",
            *(f"* `{label}`: {meaning}" for label, meaning in card["classes"].items()),
            "",
            "## What it learned from",
            "",
            f"{card['trained_on']:,} training records: {card['data']}.",
            "",
            "## What was measured",
            "",
            f"On {card['measured']['records']:,} test records, of which {card['leaks']['exact_copies']} are copies of "
            f"training records and {card['leaks']['shares']['0.4']:.1%} are 40 % or more alike to one; with 95 % "
            "intervals:",
            "",
            "| metric | value | interval |",
            "|---|---|---|",
            *rows,
            "",
            *([_related(card), ""] if "related" in card else []),
            "## The nearest training protein",
            "",
            "The package holds no sequence of the training part, only hashes of one word of six letters in four. "
            "`nearest` and `nearest_identity` are therefore estimates. Held against exact alignments of "
            f"{near['records']:,} test records, the sketch {off}.",
            "",
            "| identity by alignment | records | of these the sketch finds a relative for |",
            "|---|---|---|",
            *(f"| {span} | {found['records']} | {found['found']} |" for span, found in near["found_of"].items()),
            "",
            "An identity of 1 is exact: the sequence itself was learned from. No name does not mean no relative: below "
            "50 % identity many are missed.",
            "",
            "## Known limits",
            "",
            *(f"* {limit}" for limit in card["limits"]),
            "",
        ]
    )
