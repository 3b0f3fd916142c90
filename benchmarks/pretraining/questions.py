"""Tables behind the shipped models of places and enzyme classes, out of the real files.

    python benchmarks/pretraining/questions.py FOLDER

Writes `places.tsv` (proteins of DeepLoc 2 with exactly one place, its official parts, which share no family),
`enzymes.tsv` (main EC class of enzymes with exactly one: UniProt's for training, without relatives of the tests; those
of CLEAN's split10 that are not among them for validation; New-392 and Price-149 for the test) and `enzymes-related.tsv`
(more of UniProt's enzymes, drawn as the training part was: such as have relatives there). Structure needs no table of
its own. Reads BIOGRAFT_DATA (default ../shared/data).
"""

import argparse
import os
from pathlib import Path

import polars as pl

DATA = Path(os.environ.get("BIOGRAFT_DATA", Path(__file__).resolve().parents[3] / "shared" / "data")).resolve()
RELATED = 1_500
MOST = {"train": 15_000, "valid": 1_000, "test": 1_500}  # of a table; hashes of the training part go into the package


def _table(name: str) -> pl.DataFrame:
    return pl.read_csv(DATA / name, separator="\t", quote_char=None, infer_schema_length=0)


def places() -> pl.DataFrame:
    """One place each; the parts are drawn down."""
    table = _table("loc/deeploc2.tsv.gz").filter(~pl.col("locations").str.contains(";", literal=True))
    table = table.select("id", "sequence", pl.col("locations").alias("place"), "set")
    parts = [table.filter(pl.col("set") == name) for name in MOST]
    return pl.concat([part.sample(min(len(part), MOST[name]), seed=0) for part, name in zip(parts, MOST, strict=True)])


def _main_class(table: pl.DataFrame) -> pl.DataFrame:
    """Enzymes whose numbers all begin alike; the class is that digit."""
    digits = table["ec"].str.split(";").list.eval(pl.element().str.strip_chars().str.head(1)).list.unique()
    return table.with_columns(digits.list.first().alias("class")).filter(digits.list.len() == 1).filter(
        pl.col("class").is_in([str(number) for number in range(1, 8)])
    )  # fmt: skip


def enzymes() -> tuple[pl.DataFrame, pl.DataFrame]:
    """Training, validation and test part, each sequence once; and enzymes drawn as the training part was."""
    train = _main_class(_table("ec/uniprot_ec.tsv.gz"))
    train = train.filter((pl.col("near_new392") != "1") & (pl.col("near_price149") != "1"))
    drawn = train.sample(min(len(train), MOST["train"] + RELATED), seed=0, shuffle=True)
    train, related = drawn.head(len(drawn) - RELATED), drawn.tail(RELATED)
    test = pl.concat([_main_class(_table(f"ec/clean_{name}.tsv.gz")) for name in ("new392", "price149")])
    valid = _main_class(_table("ec/clean_split10.tsv.gz"))
    known = [*train["sequence"], *test["sequence"]]
    valid = valid.filter(~pl.col("sequence").is_in(known)).sample(MOST["valid"], seed=0)
    parts = [
        part.select("id", "sequence", "class").with_columns(pl.lit(name).alias("set"))
        for part, name in ((train, "train"), (valid, "valid"), (test, "test"))
    ]
    table = pl.concat(parts).unique("sequence", keep="last", maintain_order=True).unique("id", maintain_order=True)
    again = related.filter(~pl.col("sequence").is_in(table["sequence"].to_list())).unique("id", maintain_order=True)
    return table, again.select("id", "sequence", "class")


def main() -> None:
    """Write both."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    table, related = enzymes()
    for name, made in (("places", places()), ("enzymes", table), ("enzymes-related", related)):
        made.write_csv(folder / f"{name}.tsv", separator="\t")
        print(name, dict(made["set"].value_counts().iter_rows()) if "set" in made.columns else len(made))


if __name__ == "__main__":
    main()
