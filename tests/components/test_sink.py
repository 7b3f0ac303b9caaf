"""What goes to MLflow in one call."""

from __future__ import annotations

from typing import Any

from components.sink import Sink


def test_sink_slices_what_is_too_much_for_one_call() -> None:
    calls: list[tuple[int, int, int]] = []

    class Client:
        def log_batch(self, _run: str, *kinds: list[Any]) -> None:
            calls.append(tuple(map(len, kinds)))  # type: ignore[arg-type]

    from components.sink import metric, params, tags

    found = [metric("m", 1.0, 1, n) for n in range(2000)]
    texts = {f"k{n}": "v" for n in range(120)}
    sink = Sink(Client(), [], "")  # type: ignore[arg-type]
    sink.log("run", [*found, *params(texts), *tags(texts)])
    assert calls == [(900, 50, 50), (900, 50, 50), (200, 20, 20)]
