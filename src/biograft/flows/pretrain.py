"""A new encoder from unlabelled sequences, with labelled sources learned beside them, through the one loop."""

import datetime
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from biograft.backbones.bytenet import ByteNet, ByteNetConfiguration
from biograft.backbones.encoder import ESM2_VOCABULARY, Encoder, EncoderConfiguration
from biograft.backbones.folder import save_folder
from biograft.backbones.language import LanguageBackbone
from biograft.data.alphabet import Alphabet, named
from biograft.data.corpus import Corpus, HeldOut, MaskedStream, Masking, hold_out
from biograft.data.examples import ExampleStream
from biograft.data.readers import read, table, write_table
from biograft.data.records import Records
from biograft.errors import BiograftError
from biograft.files import file_digest, write_json
from biograft.flows.prepare import Prepared
from biograft.flows.pretrain_recipe import PretrainRecipe
from biograft.flows.sources import Choice, examples, load_source
from biograft.hardware import Hardware, environment
from biograft.judgement import Judge, Judgement, by_part
from biograft.model import LinearHead, Model, SharedBackbone
from biograft.origins import load_backbone
from biograft.progress import Clock, Stages
from biograft.run import RunFolder
from biograft.strategies.pretraining import CORPUS, Pretraining, masked_scores
from biograft.trainer import Trainer
from biograft.training import Training

__all__ = ["Pretrained", "pretrain", "summary"]

EVERY = 25  # validations in all
JUDGED = 25_000  # letters of a source that each validation looks at
SPECIAL = ("<cls>", "<pad>", "<eos>", "<unk>")


@dataclass(frozen=True, eq=False)
class Pretrained:
    """What a pretraining run leaves: its folder, and the content of ``report.json``."""

    folder: Path
    report: dict[str, Any]


def pretrain(recipe: PretrainRecipe, out: str | Path, *, progress: Stages | None = None) -> Pretrained:
    """Train a new encoder, or one that exists further.

    The folder of the run is a valid backbone; ``model/`` in it opens in ``transformers`` if it is a transformer.

    Stopped at any moment, the same call continues and gives the same weights as if it had never stopped.

    Raises:
        BiograftError: the corpus or a source can't be read or learned from, ``out`` holds something else, or another
            process is at work there.
    """
    clock = Clock(progress)
    hardware = Hardware.choose(recipe.device, recipe.precision)
    digest, *digests = (file_digest(file) if Path(file).is_file() else "" for file in (recipe.corpus, *recipe.source))
    recipe = replace(
        recipe, corpus_digest=digest, source_digest=tuple(digests), device=hardware.device,
        precision=hardware.precision,
    )  # fmt: skip
    with clock.stage("read"):
        records = read(
            recipe.corpus, sequence=recipe.sequence, id=recipe.id, alphabet=recipe.alphabet, unknown=recipe.unknown
        )
    backbone = _known(recipe, records.alphabet) if recipe.backbone else None
    recipe = replace(recipe, backbone_fingerprint=backbone.fingerprint() if backbone else "")
    folder = RunFolder.open(out, recipe.as_dict())
    if (report := folder.report()) is not None:
        return Pretrained(folder.path, report)
    with folder.held():
        return _carried_out(recipe, records, backbone, folder, hardware, clock)


def _carried_out(
    recipe: PretrainRecipe,
    records: Records,
    backbone: LanguageBackbone | None,
    folder: RunFolder,
    hardware: Hardware,
    clock: Clock,
) -> Pretrained:
    """The run, from where it stands."""
    with clock.stage("hold out") as told:
        parts = _parts(records, recipe, folder, told)
    with clock.stage("sources"):
        tables = _sources(recipe, records.alphabet)
    with torch.random.fork_rng():
        torch.manual_seed(recipe.seed)
        model = _model(backbone or _fresh(recipe, records.alphabet), tables)
    with clock.stage("train") as told:
        judge = _judge(recipe, model, Corpus.of(records.take(parts.valid)), tables, hardware)
        corpus = Corpus.of(records.take(parts.train))
        _trainer(model, recipe, corpus, tables, judge, hardware, folder).run(told)
        final = judge(model)
    save_folder(model.backbone.to("cpu"), folder.model_path)
    report = _report(recipe, records, parts, tables, model, final, clock.seconds)
    write_json(folder.model_path / "card.json", report)
    write_json(folder.report_path, report)
    return Pretrained(folder.path, report)


def _parts(records: Records, recipe: PretrainRecipe, folder: RunFolder, told: Any) -> HeldOut:
    """Found once; a continued run reads them from its folder."""
    path = folder.path / "split.tsv"
    if path.exists():
        names = np.array(table(path).columns["set"])
        return HeldOut(*(np.flatnonzero(names == name) for name in ("train", "valid", "")))
    parts = hold_out(records, recipe.held_out, recipe.identity, recipe.seed, told)
    names = np.full(len(records), "", dtype="<U5")
    names[parts.train], names[parts.valid] = "train", "valid"
    write_table(path, {"id": records.ids, "set": names.tolist()})
    return parts


def _sources(recipe: PretrainRecipe, alphabet: Alphabet) -> dict[str, Prepared]:
    tables = {}
    choices = zip(recipe.names(), recipe.source, recipe.source_label, recipe.source_mask, strict=True)
    for name, path, label, mask in choices:
        choice = Choice(path, label, (mask,) if mask else ())
        tables[name] = load_source(choice, alphabet, unknown=recipe.unknown, identity=recipe.identity, seed=recipe.seed)
    return tables


def _known(recipe: PretrainRecipe, alphabet: Alphabet) -> LanguageBackbone:
    """The pretrained encoder that a run goes on from."""
    backbone = load_backbone(recipe.backbone, alphabet.name)
    if not isinstance(backbone, LanguageBackbone) or backbone.language_head is None or not backbone.pretrained:
        raise BiograftError(
            f"'{recipe.backbone}' can't be pretrained further: got '{backbone.name}', expected an encoder of ours or "
            "an ESM-2 that was pretrained and has kept its head for hidden letters. Leave out --backbone to begin anew."
        )
    return backbone


def _fresh(recipe: PretrainRecipe, alphabet: Alphabet) -> LanguageBackbone:
    if recipe.architecture == "bytenet":
        return ByteNet(alphabet, ByteNetConfiguration(recipe.layers, recipe.width))
    letters = ESM2_VOCABULARY if alphabet.name == "protein" else (*SPECIAL, *alphabet.letters, "<mask>")
    return Encoder(alphabet, EncoderConfiguration(recipe.layers, recipe.width, recipe.heads, vocabulary=letters))


def _model(backbone: LanguageBackbone, tables: Mapping[str, Prepared]) -> SharedBackbone[LanguageBackbone]:
    models = {
        name: Model(backbone, LinearHead(found.level, backbone.width, found.kind.width, 0.1), found.level, found.kind)
        for name, found in tables.items()
    }
    return SharedBackbone(backbone, models)


def _masked(recipe: PretrainRecipe, corpus: Corpus, backbone: LanguageBackbone, seed: int) -> MaskedStream:
    masking = Masking(recipe.masked)
    return MaskedStream(corpus, recipe.batch_letters, recipe.window, backbone.mask_code, masking, seed)


def _trainer(
    model: SharedBackbone[LanguageBackbone],
    recipe: PretrainRecipe,
    corpus: Corpus,
    tables: Mapping[str, Prepared],
    judge: Judge,
    hardware: Hardware,
    folder: RunFolder,
) -> Trainer:
    weights = dict(zip(recipe.names(), recipe.source_weight, strict=True))
    plan = Pretraining(recipe.learning_rate, recipe.optimiser, recipe.weight_decay, weights)
    streams: dict[str, Any] = {
        name: ExampleStream(examples(found, "train", model.backbone), recipe.letters()[name], recipe.seed)
        for name, found in tables.items()
    }
    streams[CORPUS] = _masked(recipe, corpus, model.backbone, recipe.seed)
    training = Training(
        steps=recipe.steps,
        schedule=recipe.schedule,
        every=max(1, recipe.steps // EVERY),
        patience=recipe.steps,
        save_seconds=60.0,
    )
    return Trainer(model, plan.phases(model), streams, judge, training, hardware, folder, recipe.seed)


def _judge(
    recipe: PretrainRecipe,
    model: SharedBackbone[LanguageBackbone],
    valid: Corpus,
    tables: Mapping[str, Prepared],
    hardware: Hardware,
) -> Judge:
    """Perplexity and accuracy on held-out sequences, and the first metric of each source on validation records."""
    batches = list(_masked(recipe, valid, model.backbone, recipe.seed + 1).once())
    judges = {
        name: by_part(examples(found, "valid", model.backbone, JUDGED), hardware)
        for name, found in tables.items()
        if len(found.split.rows("valid"))
    }

    @torch.inference_mode()
    def judge(model: SharedBackbone[LanguageBackbone]) -> Judgement:
        model.eval()
        loss, right, asked = 0.0, 0, 0
        for batch in batches:
            with hardware.products():
                scores, tokens = masked_scores(model.backbone, batch.to(hardware.device))
            loss += float(F.cross_entropy(scores, tokens, reduction="sum"))
            right += int((scores.argmax(1) == tokens).sum())
            asked += len(tokens)
        also = {"accuracy": right / asked}
        for name, by in judges.items():
            judged = by(model.models[name])
            also[f"{name}: {judged.metric}"] = judged.value
        return Judgement("perplexity", math.exp(loss / asked), loss / asked, greater_is_better=False, also=also)

    return judge


def _report(
    recipe: PretrainRecipe,
    records: Records,
    parts: HeldOut,
    tables: Mapping[str, Prepared],
    model: SharedBackbone[LanguageBackbone],
    final: Judgement,
    seconds: Mapping[str, float],
) -> dict[str, Any]:
    """What the model card says."""
    lengths = records.lengths
    return {
        "biograft": environment()["biograft"],
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "encoder": {
            "architecture": model.backbone.name,
            **model.backbone.configuration(),
            **({"from": recipe.backbone} if recipe.backbone else {}),
            "parameters": sum(p.numel() for p in model.backbone.parameters()),
        },
        "corpus": {
            "file": Path(recipe.corpus).name,
            "sha256": recipe.corpus_digest,
            "sequences": len(parts.train),
            "letters": int(lengths[parts.train].sum()),
            "held_out": len(parts.valid),
            "relatives_left_out": len(parts.relatives),
            "letters_read": recipe.steps * recipe.batch_letters,
            "changes": dict(records.changes),
        },
        "sources": {
            name: {
                "label": label,
                "weight": weight,
                "records": len(found.split.rows("train")),
                "letters_read": recipe.steps * recipe.letters()[name],
            }
            for (name, found), label, weight in zip(
                tables.items(), recipe.source_label, recipe.source_weight, strict=True
            )
        },
        "metrics": {"valid": final.entry()},
        "seconds": dict(seconds),
        "environment": environment(),
        "recipe": recipe.as_dict(),
    }


def summary(report: Mapping[str, Any]) -> list[str]:
    """The report in a few lines."""
    encoder, corpus, found = report["encoder"], report["corpus"], report["metrics"]["valid"]
    guess = named(encoder["alphabet"]).core
    heads = f", {encoder['heads']} heads" if "heads" in encoder else ""
    lines = [
        f"Encoder of {encoder['parameters'] / 1e6:.2f} million parameters: {encoder['layers']} blocks of width "
        f"{encoder['width']}{heads} ({encoder['architecture']}).",
        f"Read {corpus['letters_read']:,} letters of {corpus['sequences']:,} sequences, "
        f"which have {corpus['letters']:,}.",
        f"On {corpus['held_out']} sequences held out with {corpus['relatives_left_out']:,} relatives: perplexity "
        f"{found['perplexity']:.2f} (a blind guess: {guess}), {found['accuracy']:.1%} of the masked letters right.",
    ]
    return lines + [f"Source {name}: {value:.3f}" for name, value in found.items() if ": " in name]
