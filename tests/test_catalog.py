"""Names and what stands behind them, ours and those of other packages."""

from importlib.metadata import EntryPoint

import pytest

from biograft import catalog
from biograft.backbones.backbone import Backbone
from biograft.backbones.baselines import Composition, OneHot
from biograft.errors import BiograftError
from biograft.strategies.strategy import Strategy
from biograft.tasks.metrics import METRICS, Metric
from biograft.tasks.task import LabelKind, Level

CONTRACTS = {
    "backbones": Backbone,
    "strategies": Strategy,
    "levels": Level,
    "label_kinds": LabelKind,
    "metrics": Metric,
}


@pytest.mark.parametrize("kind", catalog.KINDS)
def test_every_entry_resolves_to_what_its_kind_promises(kind: str) -> None:
    entries = catalog.entries(kind)
    assert len({entry.name for entry in entries}) == len(entries) > 0
    for entry in entries:
        found = catalog.resolve(kind, entry.name)
        assert found.name == entry.name and 0 < len(entry.summary) <= 80
        assert isinstance(found, Metric) or issubclass(found, CONTRACTS[kind])


def test_metrics_are_those_of_the_one_table() -> None:
    assert catalog.names("metrics") == list(METRICS)
    assert catalog.resolve("metrics", "mcc") is METRICS["mcc"]


def test_an_unknown_name_is_answered_with_what_there_is_and_the_nearest() -> None:
    with pytest.raises(BiograftError) as caught:
        catalog.resolve("backbones", "one-hot")
    text = str(caught.value)
    assert text.startswith("Unknown backbone: got 'one-hot', expected one of onehot, composition, kmer, cnn")
    assert "Did you mean 'onehot'?" in text and text.endswith("See: biograft list backbones.")
    with pytest.raises(BiograftError) as caught:
        catalog.resolve("strategies", "zzz")
    assert "Did you mean" not in str(caught.value)


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(BiograftError, match="got 'backbone', expected one of backbones, strategies"):
        catalog.entries("backbone")


def test_other_packages_add_theirs_and_replace_none_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    home = "biograft.backbones.baselines:Composition"
    points = [EntryPoint(name, home, "biograft.backbones") for name in ("theirs", "onehot")]
    monkeypatch.setattr(catalog, "_points", lambda kind: tuple(points) if kind == "backbones" else ())
    assert catalog.names("backbones").count("onehot") == 1
    assert catalog.names("backbones")[-1] == "theirs"
    assert catalog.entries("backbones")[-1].summary == "from the package biograft.backbones.baselines"
    assert catalog.resolve("backbones", "theirs") is Composition
    assert catalog.resolve("backbones", "onehot") is OneHot
