"""What a step takes of its machine: processor, memory, GPUs; by names that MLflow's UI knows."""

from __future__ import annotations

import contextlib
import sys
from typing import Any

_LIBRARIES = (
    "torch", "numpy", "sklearn", "scipy", "pyarrow", "onnx", "onnxruntime", "safetensors", "PIL",
)  # fmt: skip


class Usage:
    """Samples of one process. What a library is missing for is left out."""

    def __init__(self) -> None:
        self._process: Any = None
        self._gpus: list[Any] | None = None
        self._told: set[str] = set()

    def sample(self) -> dict[str, float]:
        """Numbers of this moment; shares of time are of the time since the last call."""
        try:
            import psutil
        except ImportError:
            return self._of_gpus()
        first = self._process is None
        if first:
            self._process = psutil.Process()
        busy, machine = self._process.cpu_percent(), psutil.cpu_percent()
        found = {
            "system/process_memory_megabytes": self._process.memory_info().rss / 1e6,
            "system/system_memory_usage_percentage": psutil.virtual_memory().percent,
        }
        if not first:
            found["system/process_cpu_percentage"] = busy
            found["system/cpu_utilization_percentage"] = machine
        return found | self._of_gpus()

    def total(self) -> dict[str, float]:
        """What the process has taken so far, its children included."""
        import resource

        own = resource.getrusage(resource.RUSAGE_SELF)
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds = own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime
        return {
            "system/process_cpu_seconds": round(seconds, 3),
            "system/process_peak_megabytes": own.ru_maxrss
            / (1e3 if sys.platform == "linux" else 1e6),
        }

    def versions(self) -> dict[str, str]:
        """Versions of the libraries that were loaded since the last call."""
        new = [name for name in _LIBRARIES if name in sys.modules and name not in self._told]
        self._told.update(new)
        found = {name: getattr(sys.modules[name], "__version__", "") for name in new}
        return {f"version.{name}": str(version) for name, version in found.items() if version}

    def _of_gpus(self) -> dict[str, float]:
        """Of all GPUs that the driver shows; one in parts (MIG) has a memory, but no load."""
        if self._gpus is None:
            self._gpus = _gpus()
        if not self._gpus:
            return {}
        import pynvml

        found: dict[str, float] = {}
        for place, gpu in enumerate(self._gpus):
            with contextlib.suppress(pynvml.NVMLError):
                used = pynvml.nvmlDeviceGetMemoryInfo(gpu).used
                found[f"system/gpu_{place}_memory_usage_megabytes"] = used / 1e6
            with contextlib.suppress(pynvml.NVMLError):
                busy = pynvml.nvmlDeviceGetUtilizationRates(gpu).gpu
                found[f"system/gpu_{place}_utilization_percentage"] = float(busy)
        return found


def _gpus() -> list[Any]:
    """Handles of this machine's GPUs; none without the library, a driver or leave to ask it."""
    try:
        import pynvml
    except ImportError:
        return []
    try:
        pynvml.nvmlInit()
        count = pynvml.nvmlDeviceGetCount()
        return [pynvml.nvmlDeviceGetHandleByIndex(place) for place in range(count)]
    except pynvml.NVMLError:
        return []
