"""Five ZenML steps on its local orchestrator, caching off."""

from zenml import pipeline, step


@step(enable_cache=False)
def first() -> str:
    return "x" * 1024


@step(enable_cache=False)
def copy(text: str) -> str:
    return text


@pipeline(enable_cache=False)
def five() -> None:
    text = first()
    for _ in range(4):
        text = copy(text)


five()
