"""Five Kedro nodes, each reading a text file of 1 KB and writing one; SequentialRunner."""

import sys
from pathlib import Path

from kedro.io import DataCatalog
from kedro.pipeline import node, pipeline
from kedro.runner import SequentialRunner
from kedro_datasets.text import TextDataset

place = Path(sys.argv[1])
names = [f"f{number}" for number in range(6)]
(place / "f0.txt").write_text("x" * 1024)
catalog = DataCatalog({name: TextDataset(filepath=str(place / f"{name}.txt")) for name in names})
nodes = [node(lambda text: text, names[at], names[at + 1], name=f"step{at}") for at in range(5)]
SequentialRunner().run(pipeline(nodes), catalog)
assert (place / "f5.txt").stat().st_size == 1024
