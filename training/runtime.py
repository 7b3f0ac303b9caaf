"""ONNX Runtime, told to keep to itself."""

from __future__ import annotations

import os
from typing import Any


def onnxruntime() -> Any:
    """The module. Raises ImportError where it is not installed: it is of the extra that serves.

    Since 1.29 its wheels keep an id of the machine on disk and send what is run to their maker,
    from the import on, unless this variable says otherwise before
    (https://github.com/microsoft/onnxruntime/pull/27379).
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    import onnxruntime as module

    return module
