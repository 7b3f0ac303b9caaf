"""Inputs that may be left out, and the placeholders that mind it."""

from typing import Optional

from kfp import dsl
from kfp.dsl import Input, Model, Output, OutputPath

TELL = "import sys; open(sys.argv[1], 'w').write('|'.join(sys.argv[2:]))"


@dsl.container_component
def make(model: Output[Model]):
    return dsl.ContainerSpec(image="i", command=["python", "-c", TELL], args=[model.path, "made"])


@dsl.container_component
def tell(
    said: OutputPath(str),
    a: str = "x",
    b: Optional[str] = None,
    model: Input[Model] = None,
):
    return dsl.ContainerSpec(
        image="i",
        command=["python", "-c", TELL],
        args=[
            said,
            dsl.ConcatPlaceholder(["--a=", a]),
            dsl.IfPresentPlaceholder(input_name="b", then=["--b", b], else_=["--no-b"]),
            dsl.IfPresentPlaceholder(input_name="b", then=dsl.ConcatPlaceholder(["--b=", b])),
            dsl.IfPresentPlaceholder(input_name="model", then=["--model", model.path]),
            dsl.ConcatPlaceholder(
                ["{", a, dsl.IfPresentPlaceholder(input_name="b", then=b, else_="none"), "}"]
            ),
        ],
    )


@dsl.pipeline(name="inner")
def inner(b: Optional[str] = None, a: Optional[str] = None):
    tell(b=b, a="in")


@dsl.pipeline(name="optional")
def optional(b: Optional[str] = None):
    tell(b=b)
    tell(b="B", model=make().outputs["model"])
    inner()
    inner(b=b)
