"""A teacher of secondary structure that reads families, and what it says of a part of the corpus.

    python benchmarks/pretraining/teacher.py FOLDER [--queries 45000] [--passes 5]

Chains with known structure are aligned to the corpus (MMseqs2), and a small convolutional net learns structure from
their letters together with the frequencies of letters in each column of the alignment. It knows more than any reader
of one sequence can; what it says of the first so many sequences of the corpus is a source for such a reader, to be
learned together with what was measured: FOLDER/taught.tsv.gz (`counted`: where the teacher is sure). What is aligned
to a validation chain (300 relatives of each at most) is left out of it; the corpus has been cleaned of relatives of all
test proteins. The chains are those of the official training part, which has no relatives in NEW364 and a few in other
test sets. Steps that are done are read from FOLDER. Needs MMseqs2 (program `mmseqs`).
"""

import argparse
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import polars as pl
import torch
from safetensors.torch import load_file, save_file
from sources import DATA, corpus
from torch import Tensor, nn
from torch.nn import functional as F

from biograft.files import atomic

LETTERS, STATES = "ACDEFGHIKLMNPQRSTVWY", "HEC"
OTHER, GAP, NOTHING = 20, 21, 22  # codes beside the letters'; what an alignment does not reach
CODES = np.full(256, OTHER, np.int8)
CODES[np.frombuffer(LETTERS.encode(), np.uint8)] = np.arange(20)
CODES[ord("-")] = GAP
WIDTH, KERNEL, DILATIONS = 160, 7, (1, 2, 4, 1, 2, 4)
FEATURES = 21 + 23  # one-hot letter; the column's frequencies, gaps, depth and entropy
RATE, BUDGET = 1.5e-3, 4096  # largest rate; residues of a batch, padding counted
SURE = 0.5  # probability from which on the teacher's word counts

Row = tuple[int, str, str]  # start on the query, rows of the query and of the target
Example = tuple[np.ndarray, np.ndarray]  # (residues, FEATURES) and (residues,) states, -100 where unknown


def search(queries: Path, targets: Path, found: Path, sensitivity: float, most: int) -> None:
    """MMseqs2's alignments, unless they are there."""
    if found.exists():
        return
    scratch = found.with_suffix(".tmp")
    command = [
        "mmseqs",
        "easy-search",
        queries,
        targets,
        scratch / "found",
        scratch / "work",
        "-s",
        sensitivity,
        "--max-seqs",
        most,
    ]
    command += ["-e", 1e-4, "-c", 0.5, "--cov-mode", 2, "-v", 1]
    command += ["--format-output", "query,target,pident,qstart,tstart,qaln,taln,evalue"]
    scratch.mkdir(exist_ok=True)
    subprocess.run([str(word) for word in command], check=True)
    (scratch / "found").rename(found)
    shutil.rmtree(scratch)


def alignments(found: Path) -> Iterator[tuple[str, list[str], list[Row]]]:
    """Per query: its name, its relatives, and their rows; a query without any may be missing."""
    current, names, rows = "", list[str](), list[Row]()
    with found.open() as lines:
        for line in lines:
            query, target, _, start, _, ours, theirs, _ = line.rstrip("\n").split("\t")
            if query != current and current:
                yield current, names, rows
                names, rows = [], []
            current = query
            if target != query:
                names.append(target)
                rows.append((int(start) - 1, ours, theirs))
    if current:
        yield current, names, rows


def profile(sequence: str, rows: Sequence[Row]) -> np.ndarray:
    """``(residues, 23)``: weighted frequencies of letters, of gaps, depth, and entropy of each column.

    Sequences are weighted by position (doi:10.1016/0022-2836(94)90032-9).
    """
    columns = np.full((len(rows) + 1, len(sequence)), NOTHING, np.int8)
    columns[0] = CODES[np.frombuffer(sequence.encode(), np.uint8)]
    for place, (start, ours, theirs) in enumerate(rows, 1):
        letters = np.frombuffer(theirs.encode(), np.uint8)[np.frombuffer(ours.encode(), np.uint8) != ord("-")]
        columns[place, start : start + len(letters)] = CODES[letters]
    counts = np.stack([(columns == code).sum(0) for code in range(22)])
    kinds = (counts[:20] > 0).sum(0).clip(1)
    weights = np.zeros(len(columns))
    for place, row in enumerate(columns):
        at = np.flatnonzero(row < 20)
        weights[place] = (1 / (kinds[at] * counts[row[at], at])).mean() if len(at) else 0.0
    weights /= max(weights.max(), 1e-9)
    mass = np.stack([((columns == code) * weights[:, None]).sum(0) for code in range(22)], axis=1)
    total = mass[:, :20].sum(1)
    shares = mass[:, :20] / total.clip(1e-6)[:, None]
    gaps = mass[:, GAP] / (total + mass[:, GAP]).clip(1e-6)
    depth = np.log1p(((columns < 20).sum(0) - 1).clip(0)) / 3
    entropy = -(shares * np.log(shares + 1e-9)).sum(1) / 3
    return np.column_stack([shares, gaps, depth, entropy]).astype(np.float16)


def features(sequence: str, rows: Sequence[Row]) -> np.ndarray:
    """``(residues, FEATURES)``: one-hot letters beside the profile."""
    letters = np.eye(21, dtype=np.float16)[CODES[np.frombuffer(sequence.encode(), np.uint8)]]
    return np.column_stack([letters, profile(sequence, rows)])


class Block(nn.Module):
    """A dilated convolution and a product per residue, added to the stream."""

    def __init__(self, dilation: int) -> None:
        super().__init__()
        padding = (0, KERNEL // 2 * dilation)
        self.before, self.between = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.convolution = nn.Conv2d(WIDTH, WIDTH, (1, KERNEL), padding=padding, dilation=(1, dilation))
        self.product, self.dropout = nn.Linear(WIDTH, WIDTH), nn.Dropout(0.2)

    def forward(self, values: Tensor, present: Tensor) -> Tensor:
        """``(rows, residues, WIDTH)`` -> the same."""
        image = (F.gelu(self.before(values)) * present).permute(0, 2, 1)[:, :, None]
        spread = self.convolution(image.contiguous(memory_format=torch.channels_last))[:, :, 0].permute(0, 2, 1)
        return values + self.dropout(self.product(F.gelu(self.between(spread))))


class Teacher(nn.Module):
    """``(rows, residues, FEATURES)`` -> ``(rows, residues, 3)`` scores of helix, strand, coil."""

    def __init__(self) -> None:
        super().__init__()
        self.widen, self.norm = nn.Linear(FEATURES, WIDTH), nn.LayerNorm(WIDTH)
        self.blocks = nn.ModuleList(Block(dilation) for dilation in DILATIONS)
        self.answer = nn.Sequential(nn.Dropout(0.2), nn.Linear(WIDTH, len(STATES)))

    def forward(self, values: Tensor, present: Tensor) -> Tensor:
        """Residues that are not there (``present (rows, residues, 1)`` is 0) are seen by none."""
        values = self.widen(values)
        for block in self.blocks:
            values = block(values, present)
        with torch.autocast("cpu", enabled=False):
            scores: Tensor = self.answer(self.norm(values.float()))
        return scores


def batches(lengths: np.ndarray, budget: int, generator: np.random.Generator | None) -> list[np.ndarray]:
    """Rows of like length; in random order if there is a generator."""
    noise = 0 if generator is None else generator.random(len(lengths)) * 30
    made, current = [], list[int]()
    for row in np.argsort(lengths + noise).tolist():
        if current and max(lengths[row], lengths[current].max()) * (len(current) + 1) > budget:
            made.append(np.array(current))
            current = []
        current.append(row)
    made.append(np.array(current))
    return made if generator is None else [made[place] for place in generator.permutation(len(made))]


def padded(examples: Sequence[Example]) -> tuple[Tensor, Tensor, Tensor]:
    """Features, states and which residues are there."""
    longest = max(len(states) for _, states in examples)
    values, present = torch.zeros(len(examples), longest, FEATURES), torch.zeros(len(examples), longest, 1)
    targets = torch.full((len(examples), longest), -100)
    for place, (found, states) in enumerate(examples):
        values[place, : len(found)] = torch.from_numpy(found.astype(np.float32))
        targets[place, : len(found)], present[place, : len(found)] = torch.from_numpy(states), 1
    return values, targets, present


@torch.inference_mode()
def answers(net: Teacher, examples: Sequence[Example]) -> list[np.ndarray]:
    """``(residues, 3)`` probabilities of each."""
    net.eval()
    found: list[np.ndarray] = [np.zeros((0, 3))] * len(examples)
    for rows in batches(np.array([len(states) for _, states in examples]), 2 * BUDGET, None):
        values, _, present = padded([examples[row] for row in rows])
        with torch.autocast("cpu", torch.bfloat16):
            scores = net(values, present)
        for place, row in enumerate(rows.tolist()):
            found[row] = scores[place, : len(examples[row][1])].float().softmax(1).numpy()
    return found


def q3(net: Teacher, examples: Sequence[Example]) -> float:
    """Share of the known residues whose state is right."""
    pairs = zip(answers(net, examples), examples, strict=True)
    right = np.concatenate([(found.argmax(1) == states)[states >= 0] for found, (_, states) in pairs])
    return float(right.mean())


def learned(train: Sequence[Example], valid: Sequence[Example], passes: int, seed: int) -> Teacher:
    """A teacher; the running mean of its weights is what stays."""
    torch.manual_seed(seed)
    generator = np.random.default_rng(seed)
    net, mean = Teacher(), Teacher()
    mean.load_state_dict(net.state_dict())
    optimiser = torch.optim.AdamW(net.parameters(), RATE, (0.9, 0.98), weight_decay=0.05)
    lengths = np.array([len(states) for _, states in train])
    total, step = passes * len(batches(lengths, BUDGET, generator)), 0
    for number in range(passes):
        net.train()
        for rows in batches(lengths, BUDGET, generator):
            values, targets, present = padded([train[row] for row in rows])
            for group in optimiser.param_groups:
                group["lr"] = RATE * min(1, step / 100) * (1 + np.cos(np.pi * min(step / total, 1))) / 2
            with torch.autocast("cpu", torch.bfloat16):
                scores = net(values, present)
            optimiser.zero_grad()
            F.cross_entropy(scores.float().flatten(0, 1), targets.flatten(), ignore_index=-100).backward()
            torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimiser.step()
            step += 1
            with torch.no_grad():
                for kept, moved in zip(mean.parameters(), net.parameters(), strict=True):
                    kept.lerp_(moved, 0.05 if step < 200 else 0.005)
        print(f"pass {number + 1}: Q3 of the validation part {q3(mean, valid):.4f}", flush=True)
    return mean


def chains(table: pl.DataFrame, found: Path) -> dict[str, list[Example]]:
    """Examples of each part of the table."""
    rows = {query: aligned for query, _, aligned in alignments(found)}
    made: dict[str, list[Example]] = {"train": [], "valid": []}
    for name, sequence, states, resolved, part in table.iter_rows():
        known = np.frombuffer(resolved.encode(), np.uint8) == ord("1")
        codes = np.where(known, [STATES.index(state) for state in states], -100)
        made[part].append((features(sequence, rows.get(name, [])), codes))
    return made


def taught(net: Teacher, sequences: dict[str, str], found: Path, near: set[str]) -> Iterator[tuple[str, ...]]:
    """``id, sequence, ss3, counted`` of what the teacher says; queries without a relative say too little."""
    waiting: list[tuple[str, Example]] = []

    def said() -> Iterator[tuple[str, ...]]:
        for (name, _), shares in zip(waiting, answers(net, [example for _, example in waiting]), strict=True):
            states = "".join(np.array(list(STATES))[shares.argmax(1)])
            counted = "".join(np.where(shares.max(1) >= SURE, "1", "0"))
            yield name, sequences[name], states, counted
        waiting.clear()

    for name, _, rows in alignments(found):
        if rows and name not in near:
            found_here = features(sequences[name], rows)
            waiting.append((name, (found_here, np.zeros(len(found_here), int))))
        if len(waiting) == 500:
            yield from said()
    yield from said() if waiting else ()


def main() -> None:
    """Search, learn, say."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--queries", type=int, default=45_000)
    parser.add_argument("--passes", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    folder = options.folder
    folder.mkdir(parents=True, exist_ok=True)
    sequences = dict(corpus().select("id", "sequence").iter_rows())
    path = DATA / "ss" / "ss3_netsurfp2_flip.tsv.gz"
    table = pl.read_csv(path, separator="\t", quote_char=None, infer_schema_length=0)
    table = table.filter(pl.col("set") != "test").select("id", "sequence", "ss3", "resolved", "set")
    asked = dict(list(sequences.items())[: options.queries])
    known = dict(table.select("id", "sequence").iter_rows())
    for name, chosen in (("corpus", sequences), ("queries", asked), ("chains", known)):
        text = "".join(f">{key}\n{sequence}\n" for key, sequence in chosen.items())
        (folder / f"{name}.fasta").write_text(text, encoding="utf-8")
    aligned, asked_hits = folder / "chains.hits", folder / f"queries-{options.queries}.hits"
    search(folder / "chains.fasta", folder / "corpus.fasta", aligned, 5.7, 300)
    search(folder / "queries.fasta", folder / "corpus.fasta", asked_hits, 5.0, 100)
    weights = folder / f"teacher-{options.passes}-{options.seed}.safetensors"
    if weights.exists():
        net = Teacher()
        net.load_state_dict(load_file(weights))
    else:
        parts = chains(table, aligned)
        net = learned(parts["train"], parts["valid"], options.passes, options.seed)
        with atomic(weights) as part:
            save_file(net.state_dict(), part)
    valid = set(table.filter(pl.col("set") == "valid")["id"])
    near = {name for query, names, _ in alignments(aligned) if query in valid for name in names}
    said = list(taught(net, asked, asked_hits, near))
    rows = pl.DataFrame(said, schema=["id", "sequence", "ss3", "counted"], orient="row")
    part = pl.when(pl.int_range(pl.len()) % 100 == 0).then(pl.lit("valid")).otherwise(pl.lit("train"))
    rows.with_columns(part.alias("set")).write_csv(folder / "taught.tsv.gz", separator="\t", compression="gzip")
    letters, sure = rows["sequence"].str.len_chars().sum(), rows["counted"].str.count_matches("1").sum()
    print(f"{len(rows):,} sequences of {letters:,} residues, the teacher is sure of {sure / letters:.0%}")


if __name__ == "__main__":
    main()
