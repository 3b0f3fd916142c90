"""Texts through the strategies, with a tiny BERT that is made here: nothing is downloaded."""

from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("transformers")

import transformers

from biograft.data.packed import Packed
from biograft.errors import BiograftError
from examples.text import __main__ as program
from examples.text.data import Language, Texts, read
from examples.text.encoder import TextEncoder, tiny


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny(tmp_path_factory.mktemp("bert"), Language().vocabulary)


def rows(encoder: TextEncoder, texts: list[str]) -> Packed:
    return Packed.of([encoder.encode(text) for text in texts])


def test_vectors_are_those_of_transformers_whatever_stands_beside(folder: Path) -> None:
    encoder = TextEncoder.load(folder)
    texts = [" ".join(Language().vocabulary[:size]) for size in (3, 9, 1)]
    reference = transformers.BertModel.from_pretrained(folder).eval()
    with torch.no_grad():
        found = encoder.vectors(rows(encoder, texts)).rows()
        for text, vectors in zip(texts, found, strict=True):
            ids = torch.from_numpy(encoder.encode(text))[None]
            torch.testing.assert_close(vectors, reference(ids).last_hidden_state[0], atol=1e-5, rtol=1e-5)
    assert [len(row) for row in found] == [5, 11, 3]  # with a mark at either end


def test_a_text_that_is_too_long_is_read_in_tiles_and_not_cut(folder: Path) -> None:
    encoder = TextEncoder.load(folder)
    assert encoder.max_length == 64
    batch = rows(encoder, [" ".join(Language().vocabulary[:150]), "word"])
    with torch.no_grad():
        assert encoder.vectors(batch).lengths.tolist() == [152, 3]


def test_blocks_hold_every_weight_once_and_a_fresh_one_is_of_the_same_shape(folder: Path) -> None:
    encoder = TextEncoder.load(folder)
    inside = [id(parameter) for block in encoder.blocks() for parameter in block.parameters()]
    assert sorted(inside) == sorted(map(id, encoder.parameters()))
    assert len(encoder.blocks()) == 3
    fresh = TextEncoder.from_configuration(encoder.configuration())
    shapes = [{name: value.shape for name, value in one.state_dict().items()} for one in (encoder, fresh)]
    assert shapes[0] == shapes[1]
    assert (encoder.pretrained, fresh.pretrained) == (True, False)
    weights = [one.state_dict()["encoder.embeddings.word_embeddings.weight"] for one in (encoder, fresh)]
    assert not torch.equal(weights[0], weights[1])


def test_a_folder_without_an_encoder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BiograftError, match=r"is no checkpoint: got no config.json"):
        TextEncoder.load(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(BiograftError, match=r"can't be opened .* Take all files of one checkpoint"):
        TextEncoder.load(tmp_path)


def test_a_mood_is_half_of_the_topics() -> None:
    language = Language(about=1.0)
    vocabulary = language.vocabulary
    assert len(set(vocabulary)) == len(vocabulary) == 240
    topics, moods = language.sentences(50, 4, moods=False), language.sentences(50, 4, moods=True)
    assert topics.texts == moods.texts == language.sentences(50, 4, moods=True).texts
    for text, topic, mood in zip(topics.texts, topics.labels, moods.labels, strict=True):
        (number,) = {vocabulary.index(word) // language.words for word in text.split()}
        assert topic == f"topic {number}"
        assert mood == ("bright" if number % 2 else "dark")


def test_a_table_of_texts_is_read_or_refused(tmp_path: Path) -> None:
    path = tmp_path / "texts.csv"
    path.write_text('text,label\n"one, two",a\nthree,b\n')
    assert read(path) == Texts(["one, two", "three"], ["a", "b"])
    path.write_text("sentence,label\none,a\n")
    with pytest.raises(BiograftError, match="lacks its columns: got sentence, label, expected text and label"):
        read(path)
    with pytest.raises(BiograftError, match="File not found"):
        read(tmp_path / "none.csv")


def test_both_steps_from_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert program.main(["--labels", "30", "--steps", "3", "--seeds", "1"]) == 0
    found = capsys.readouterr().out
    assert [line.split("`")[1] for line in found.splitlines() if "`" in line] == ["scratch", "frozen", "full", "joint"]
    assert "30 / 30 / 1140 target texts" in found


def test_tables_and_an_encoder_of_ones_own(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    language = Language()
    for name, moods in (("source", False), ("target", True)):
        made = language.sentences(120, 5, moods)
        lines = [f"{text},{label}" for text, label in zip(made.texts, made.labels, strict=True)]
        (tmp_path / f"{name}.csv").write_text("\n".join(["text,label", *lines]))
    tables = ["--source", str(tmp_path / "source.csv"), "--target", str(tmp_path / "target.csv")]
    words = [*tables, "--encoder", str(folder), "--labels", "20", "--steps", "2", "--seeds", "1"]
    assert program.main(words) == 0
    assert "20 / 20 / 80 target texts" in capsys.readouterr().out
    assert program.main(tables) == 2
    assert "without --encoder" in capsys.readouterr().err
    assert program.main(tables[:2]) == 2
    assert "Give both" in capsys.readouterr().err


def test_topics_that_were_learned_help_to_tell_moods(folder: Path, tmp_path: Path) -> None:
    chosen = program.arguments(["--encoder", str(folder), "--steps", "150", "--rate", "3e-3", "--labels", "40"])
    made = program.experiment(chosen, tmp_path)
    knowing, reached = made.learn_source(0)
    assert reached > 0.7  # one of six
    model, _ = made.carry_over(knowing, "frozen", made.ways["frozen"], 0)
    test = made.target[2].examples(model.kind)  # type: ignore[arg-type]
    assert np.mean(model.outputs(test.rows).argmax(1) == test.targets) > 0.75
