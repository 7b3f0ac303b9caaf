"""``python -m components.prepare``: read data, check it, hold some out, write it as Parquet.

What is written is told in ``training.schema``. The same data, seed and libraries give the same
bytes, wherever the data lies.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from components import contract, tracking
from training import sources
from training.errors import InputError
from training.files import write_json
from training.sources import Source


def main(argv: Sequence[str] | None = None) -> None:
    """Prepare one data set. Raises InputError."""
    arguments = _parser().parse_args(argv)
    with tracking.open() as track:
        described = _prepare(arguments)
        track.params({"data": arguments.data, "split_seed": arguments.seed})
        track.tags({"data.pin": described["source"]["pin"] or "none"})
        track.dataset(described["name"], described["source"]["md5"], arguments.data)
    _say(_summary(described))


def _prepare(arguments: argparse.Namespace) -> dict[str, Any]:
    source = sources.find(arguments.data, _say)
    _require(source, arguments)
    examples = source.read(arguments.seed)
    for note in examples.notes:
        _say(f"note: {note}")

    import pyarrow.parquet as pq

    from training import schema

    described = schema.schema(examples, source, arguments.pin)
    with contract.output_directory(arguments.dataset) as directory:
        for part, at in described["splits"].items():
            layout = schema.arrow_schema(examples)
            with pq.ParquetWriter(directory / at["file"], layout, compression="zstd") as writer:
                for table in schema.tables(examples, getattr(examples.split, part)):
                    writer.write_table(table, row_group_size=len(table))
        write_json(directory / "schema.json", described)
        write_json(directory / "statistics.json", schema.statistics(examples))
    return described


def _parser() -> contract.Arguments:
    parser = contract.Arguments(prog="python -m components.prepare", description=__doc__)
    add = parser.add_argument
    add("--data", default="digits", metavar="NAME|PATH", help="a data set's name, a file, a folder")
    add("--md5", default="", metavar="MD5", help="what the data must be; empty: anything")
    add("--pin", default="", metavar="FILE", help="the file of DVC's that says so; empty: none")
    add("--seed", type=int, default=0, help="decides which rows are held out of your own data")
    add("--dataset", type=Path, required=True, metavar="DIR", help="where to write")
    return parser


def _require(source: Source, arguments: argparse.Namespace) -> None:
    data, wanted = arguments.data, arguments.md5
    if not wanted or source.md5 == wanted:
        return
    if not arguments.pin:
        raise InputError(
            f"{data} has md5 {source.md5}, and had {wanted} when the run was planned: it was "
            "changed meanwhile; give the same command again"
        )
    raise InputError(
        f"{data} has md5 {source.md5}, but {arguments.pin} pins {wanted}: get the pinned data with "
        f"`python -m pipelines data pull {data}`, or pin what is here with "
        f"`python -m pipelines data add {data}`"
    )


def _summary(described: dict[str, Any]) -> str:
    rows = " and ".join(f"{at['rows']} {part}" for part, at in described["splits"].items())
    if described["modality"] == "image":
        channels, height, width = described["shape"]
        levels = f"{described['levels']} levels" if described["levels"] else "values in 0..1"
        what = f"images of {height}x{width}x{channels} in {levels}"
    else:
        what = f"texts in {len(described['symbols'])} symbols"
    classes = f", {len(described['classes'])} classes" if described["classes"] else ""
    return f"{described['name']}: {rows} {what}{classes}; md5 {described['source']['md5']}"


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    contract.run(main)
