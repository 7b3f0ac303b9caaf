"""What a step takes of its machine."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from components import tracking, usage
from tests.telling import (
    made_place,  # noqa: F401  a fixture works by being here
    told,
)


def test_the_machine_is_sampled(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracking, "_FLUSH", 0.02)
    monkeypatch.setattr(tracking, "_SAMPLE", 0.02)
    with tracking.open():
        time.sleep(0.3)
    names = {name for group in told(place, "metrics") for _, _, v in group for name in v}
    assert {
        "system/process_memory_megabytes", "system/process_cpu_percentage",
        "system/cpu_utilization_percentage", "system/process_cpu_seconds",
        "system/process_peak_megabytes",
    } <= names  # fmt: skip
    versions = {name for tags in told(place, "tags") for name in tags}
    assert {"version.python", "platform"} <= versions
    assert "version.numpy" in versions or "numpy" not in sys.modules


def test_gpus_are_sampled_where_there_are_some(monkeypatch: pytest.MonkeyPatch) -> None:
    """The library's own names, with a driver made up: no machine of ours has a GPU."""
    import pynvml

    def load(gpu: int) -> SimpleNamespace:
        if gpu == 1:  # in parts
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)
        return SimpleNamespace(gpu=50)

    driver = {
        "nvmlInit": lambda: None,
        "nvmlDeviceGetCount": lambda: 2,
        "nvmlDeviceGetHandleByIndex": lambda place: place,
        "nvmlDeviceGetMemoryInfo": lambda gpu: SimpleNamespace(used=(gpu + 1) * 10**9),
        "nvmlDeviceGetUtilizationRates": load,
    }
    for name, stand_in in driver.items():
        monkeypatch.setattr(pynvml, name, stand_in)
    found = {name: value for name, value in usage.Usage().sample().items() if "gpu" in name}
    assert found == {
        "system/gpu_0_memory_usage_megabytes": 1000,
        "system/gpu_0_utilization_percentage": 50,
        "system/gpu_1_memory_usage_megabytes": 2000,
    }


def test_without_a_driver_there_are_no_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    import pynvml

    def missing() -> None:
        raise pynvml.NVMLError(pynvml.NVML_ERROR_LIBRARY_NOT_FOUND)

    monkeypatch.setattr(pynvml, "nvmlInit", missing)
    found = usage.Usage()
    for _ in range(2):
        assert not any("gpu" in name for name in found.sample())
    monkeypatch.setitem(sys.modules, "pynvml", None)  # not installed
    assert not any("gpu" in name for name in usage.Usage().sample())
