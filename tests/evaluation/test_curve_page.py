"""What the page and the terminal say beside the numbers of a learning curve."""

import pytest

from biograft.evaluation.curve_page import PER_RESIDUE, curve_lines, curve_section


@pytest.mark.parametrize(("level", "told"), [("sequence", False), ("residue", True)])
def test_where_a_record_has_many_labels_records_are_counted(level: str, told: bool) -> None:
    points = [{"labels": labels, "value": value, "low": value - 0.1, "high": value + 0.1, "runs": 2}
              for labels, value in ((10, 0.4), (20, 0.5))]  # fmt: skip
    row = {"name": "net, full", "backbone": "net", "transfer": True, "points": points, "needed": [],
           "growth": {"sentence": "Nothing is known."}}  # fmt: skip
    curve = {"labels": [10, 20], "more": 200, "candidates": [row], "baselines": []}
    content = {"task": {"level": level}, "metric": {"name": "mcc"}, "best_baseline": "", "learning_curve": curve}
    assert (PER_RESIDUE in curve_lines(content)) == (PER_RESIDUE in curve_section(content)) == told
