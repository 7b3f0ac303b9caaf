"""Artefacts from outside: a path from a parameter, put together in a loop, or written by a step."""

from kfp import dsl
from kfp.dsl import Dataset, Input, OutputPath

COPY = "import sys; open(sys.argv[2], 'w').write(open(sys.argv[1]).read())"


@dsl.container_component
def use(data: Input[Dataset], said: OutputPath(str)):
    return dsl.ContainerSpec(image="i", command=["python", "-c", COPY], args=[data.path, said])


@dsl.container_component
def find(place: str, uri: OutputPath(str)):
    write = "import sys; open(sys.argv[2], 'w').write(sys.argv[1])"
    return dsl.ContainerSpec(image="i", command=["python", "-c", write], args=[place, uri])


@dsl.container_component
def count(data: Input[list[Dataset]], total: OutputPath(int)):
    script = "import json, sys; open(sys.argv[2], 'w').write(str(len(json.loads(sys.argv[1]))))"
    return dsl.ContainerSpec(image="i", command=["python", "-c", script], args=[data, total])


@dsl.pipeline(name="importers")
def importers(folder: str, name: str = "a.csv"):
    given = dsl.importer(
        artifact_uri=f"{folder}/{name}",
        artifact_class=Dataset,
        reimport=True,
        metadata={"rows": 3, "from": name},
    )
    use(data=given.output)
    found = dsl.importer(artifact_uri=find(place=f"{folder}/b.csv").output, artifact_class=Dataset)
    use(data=found.output)
    with dsl.ParallelFor(["a.csv", "b.csv"]) as each:
        every = dsl.importer(artifact_uri=f"{folder}/{each}", artifact_class=Dataset)
    count(data=dsl.Collected(every.output))
