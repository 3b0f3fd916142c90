"""Images through the strategies: the net and its data are what they say, and the first layers carry over."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from biograft.data.packed import Packed
from biograft.errors import BiograftError
from biograft.hardware import Hardware
from biograft.model import LinearHead, Model
from biograft.run import RunFolder
from biograft.tasks.classification import Classification
from biograft.tasks.levels import Sequence
from biograft.trainer import Trainer
from biograft.training import Training
from examples.images import __main__ as program
from examples.images import data
from examples.images.data import cifar10, digits, load
from examples.images.lenet import Classic, LeNet, VariedStream
from examples.two_steps import WAYS, Experiment, draw

CLASSIC = Training(epochs=12, min_steps=1, batch_letters=100, schedule="constant", warm_up=0.0, clip=float("inf"))


def experiment(folder: Path, steps: int = 12) -> Experiment:
    """Digits, a dozen passes over the source, a dozen steps for the target."""
    source, target = load("digits:0-4", None), load("digits:5-9", None)
    valid, train = draw(source, [180], seed=0)
    parts = draw(target, [50, 50], seed=0)
    training = Training(batch_letters=100, steps=steps)
    return Experiment(
        LeNet, (train, valid), (parts[0], parts[1], parts[2]), Classic(0.03), CLASSIC, training, folder, VariedStream,
        VariedStream,
    )  # fmt: skip


# The net


def test_the_net_has_the_layers_of_the_recipe() -> None:
    net = LeNet()
    assert [tuple(p.shape[:1]) for p in net.parameters() if p.ndim > 1] == [(6,), (16,), (120,), (84,)]
    model = Model(net, LinearHead(Sequence(), net.width, 10), Sequence(), Classification(tuple("abcdefghij")))
    assert sum(parameter.numel() for parameter in model.parameters()) == 62_006
    images = torch.randn(3, 3, 32, 32)
    together = net(Packed(images, torch.ones(3, dtype=torch.int64))).values
    assert together.shape == (3, 84)
    alone = net(Packed(images[1:2], torch.ones(1, dtype=torch.int64))).values
    torch.testing.assert_close(alone[0], together[1])
    assert sum(p.numel() for block in net.blocks() for p in block.parameters()) == 61_156


def test_the_first_step_is_gradient_descent_with_momentum(tmp_path: Path) -> None:
    torch.manual_seed(0)
    kind = Classification(("digit 0", "digit 1"))
    model = Model(LeNet(), LinearHead(Sequence(), 84, 2), Sequence(), kind)
    examples = load("digits:0-1", None).examples(kind)
    stream = VariedStream(examples, 100, 0)
    Classic(0.1).start(model, None)
    weight = model.head.linear.weight  # type: ignore[union-attr]
    expected, moving = weight.detach().clone(), torch.zeros_like(weight)
    seen: list[torch.Tensor] = []

    def note(step: int) -> None:
        assert weight.grad is not None
        moving.mul_(0.9).add_(weight.grad)
        expected.sub_(0.1 * moving)
        seen.append(weight.detach().clone())
        torch.testing.assert_close(weight.detach(), expected)

    training = Training(steps=3, schedule="constant", warm_up=0.0, clip=float("inf"))
    phases = Classic(0.1).phases(model)
    Trainer(model, phases, {"target": stream}, None, training, Hardware(), RunFolder(tmp_path), 0).run(after_step=note)
    assert len(seen) == 3
    assert not torch.equal(seen[0], seen[2])


# The data


def test_digits_are_there_without_a_file() -> None:
    images, classes = digits()
    assert images.shape == (1797, 3, 32, 32)
    assert (images.min(), images.max()) == (-1.0, 1.0)
    assert np.array_equal(images[5, 0], images[5, 2])
    source, target = load("digits:0-4", None), load("digits:5-9", None)
    assert len(source) + len(target) == len(classes)
    assert set(source.labels) == {f"digit {number}" for number in range(5)}
    assert not set(source.labels) & set(target.labels)
    assert source.rows[0].shape == (1, 3, 32, 32)


def test_parts_hold_the_classes_evenly_and_no_image_twice() -> None:
    whole = load("digits:5-9", None)
    parts = draw(whole, [50, 50], seed=3)
    assert [len(part) for part in parts] == [50, 50, len(whole) - 100]
    for part in parts[:2]:
        assert np.unique(part.labels, return_counts=True)[1].tolist() == [10] * 5
    images = [row.tobytes() for part in parts for row in part.rows]
    assert sorted(images) == sorted(row.tobytes() for row in whole.rows)
    assert [row.tobytes() for row in draw(whole, [50], seed=4)[0].rows] != images[:50]


def files(folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """Files as those of CIFAR-10, with two images each."""
    generator = np.random.default_rng(0)
    made = {name: generator.integers(0, 256, size=2 * data.RECORD, dtype=np.uint8) for name in data.CIFAR10}
    for number, content in enumerate(made.values()):
        content[[0, data.RECORD]] = number, 9 - number
    folder.mkdir(parents=True)
    for name, content in made.items():
        (folder / name).write_bytes(content.tobytes())
    sums = {name: hashlib.sha256(content.tobytes()).hexdigest() for name, content in made.items()}
    monkeypatch.setattr(data, "CIFAR10", sums)
    return {name: content.tobytes() for name, content in made.items()}


@pytest.mark.parametrize("inner", ["", "cifar-10-batches-bin"])
def test_the_binary_version_of_cifar10_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, inner: str) -> None:
    made = files(tmp_path / "cifar" / inner, monkeypatch)
    images, classes = cifar10(tmp_path / "cifar")
    assert images.shape == (12, 3, 32, 32)
    assert classes.tolist() == [0, 9, 1, 8, 2, 7, 3, 6, 4, 5, 5, 4]
    red = made["data_batch_2.bin"][data.RECORD + 1 + 33]  # the second image's second row, second column
    assert images[3, 0, 1, 1] == pytest.approx(red / 127.5 - 1, abs=1e-6)
    few = load("cifar10:0-1", tmp_path / "cifar")
    assert few.labels.tolist() == ["airplane", "automobile"]


def test_a_file_that_was_changed_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files(tmp_path / "cifar", monkeypatch)
    path = tmp_path / "cifar" / "data_batch_4.bin"
    content = bytearray(path.read_bytes())
    content[100] ^= 1
    path.write_bytes(content)
    with pytest.raises(BiograftError, match=r"data_batch_4.bin' is not the file .* got SHA-256 .* copy it again"):
        cifar10(tmp_path / "cifar")


def test_where_cifar10_is_missing_the_message_says_what_to_do(tmp_path: Path) -> None:
    for folder in (None, tmp_path):
        with pytest.raises(BiograftError, match=r"binary version.* --cifar10 FOLDER; or use digits"):
            cifar10(folder)


def test_all_checksums_are_whole() -> None:
    assert len(data.CIFAR10) == 6
    assert all(len(bytes.fromhex(value)) == 32 for value in data.CIFAR10.values())


# Flips and crops


@pytest.mark.parametrize("mirrored", [False, True])
def test_images_are_moved_and_mirrored_as_a_function_of_the_step(mirrored: bool) -> None:
    kind = Classification(tuple(f"digit {number}" for number in range(5)))
    examples = load("digits:0-4", None).examples(kind)
    streams = [VariedStream(examples, 100, 7, mirrored=mirrored) for _ in range(2)]
    one, same, other = streams[0].batch(3), streams[1].batch(3), streams[0].batch(4)
    assert torch.equal(one.inputs.values, same.inputs.values)
    assert one.inputs.values.shape[1:] == (3, 32, 32)
    assert not torch.equal(one.inputs.values[:50], other.inputs.values[:50])
    plain = super(VariedStream, streams[0]).batch(3)
    assert torch.equal(plain.targets, one.targets)
    flipped = [_is_crop(image, was.flip(2)) and not _is_crop(image, was)
               for image, was in zip(one.inputs.values[:20], plain.inputs.values[:20], strict=True)]  # fmt: skip
    kept = [_is_crop(image, was) for image, was in zip(one.inputs.values[:20], plain.inputs.values[:20], strict=True)]
    assert all(a or b for a, b in zip(kept, flipped, strict=True))
    assert any(flipped) == mirrored


@pytest.mark.parametrize(("source", "target", "mirrored"), [
    ("cifar10", "digits", (True, False)),
    ("digits:0-4", "digits:5-9", (False, False)),
    ("cifar10:0-4", "cifar10:5-9", (True, True)),
])  # fmt: skip
def test_photographs_alone_are_mirrored_whatever_stands_beside_them(
    source: str, target: str, mirrored: tuple[bool, bool], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(program, "load", lambda name, folder: load("digits", None))
    chosen = program.arguments(["--source", source, "--target", target, "--labels", "20"])
    made = program.experiment(chosen, tmp_path)
    examples = made.target[0].examples(Classification(("digit 0", "digit 1")))
    streams = [make(examples, 100, 0) for make in (made.source_stream, made.stream)]
    assert tuple(stream.mirrored for stream in streams) == mirrored  # type: ignore[attr-defined]
    usual = {"cifar10": (0.001, 20.0), "digits": (0.01, 60.0)}[source.partition(":")[0]]
    assert (made.first_step.learning_rate, made.source_training.epochs) == usual  # type: ignore[attr-defined]
    assert (made.source_training.batch_letters, made.source_training.schedule) == (100, "constant")


def _is_crop(image: torch.Tensor, was: torch.Tensor) -> bool:
    padded = torch.nn.functional.pad(was, [4] * 4)
    return any(
        torch.equal(image, padded[:, down : down + 32, right : right + 32]) for down in range(9) for right in range(9)
    )


# Both steps


def test_what_was_learned_on_five_digits_tells_the_other_five_apart(tmp_path: Path) -> None:
    made = experiment(tmp_path)
    knowing, reached = made.learn_source(0)
    assert reached > 0.9
    before = {name: value.clone() for name, value in knowing.backbone.state_dict().items()}
    model, outcome = made.carry_over(knowing, "frozen", WAYS["frozen"], 0)
    assert outcome is None  # the new layer was solved
    after = model.backbone.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    test = made.target[2].examples(model.kind)  # type: ignore[arg-type]
    assert (model.outputs(test.rows).argmax(1) == test.targets).mean() > 0.8


def test_the_table_has_a_row_for_each_strategy_and_a_finished_run_is_not_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--labels", "20", "--epochs", "1", "--steps", "4", "--seeds", "1", "--out", str(tmp_path)]
    assert program.main(words) == 0
    first = capsys.readouterr().out
    assert [line.split("`")[1] for line in first.splitlines() if "`" in line] == ["scratch", "frozen", "full", "joint"]
    assert "20 / 20 / 856 target images" in first

    def refuse(self: Trainer, *arguments: Any) -> None:
        raise AssertionError("this step was made before")

    monkeypatch.setattr(Trainer, "_step", refuse)
    assert program.main(words) == 0
    assert capsys.readouterr().out == first


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--source", "mnist"], "Unknown images: got 'mnist', expected digits or cifar10"),
        (["--source", "digits:4"], "Classes are FIRST-LAST: got '4'"),
        (["--target", "digits:7-12"], "Classes are FIRST-LAST: got '7-12'"),
        (["--labels", "800"], "--labels is a number of images: got 800, expected 10 to 224"),
        (["--source", "cifar10"], "CIFAR-10 was asked for: got no folder of it"),
    ],
)
def test_what_is_not_there_is_refused_with_advice(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert program.main(words) == 2
    assert message in capsys.readouterr().err
