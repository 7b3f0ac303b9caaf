"""Where a process stands among its peers, by the words of whoever started it."""

from __future__ import annotations

import pytest

from training.errors import InputError
from training.launch import PORT, Rendezvous, rendezvous, tell

TORCHRUN = {
    "RANK": "5", "WORLD_SIZE": "8", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "4", "GROUP_RANK": "1",
    "MASTER_ADDR": "train-0.train", "MASTER_PORT": "29400",
}  # fmt: skip
JOB = {"JOB_COMPLETION_INDEX": "1", "PET_NNODES": "2", "PET_MASTER_ADDR": "train-0.train"}


def test_a_process_of_its_own_is_alone() -> None:
    """A plain run must not look for peers."""
    assert rendezvous({"PATH": "/bin"}) == Rendezvous()
    assert Rendezvous().world_size == 1


def test_torchrun_says_it_all() -> None:
    found = rendezvous(TORCHRUN, "nccl")
    assert found == Rendezvous(5, 1, 8, 1, 2, "train-0.train", 29400, "nccl")


def test_the_four_variables_of_torch_are_enough() -> None:
    """PyTorch's own env:// and Kubeflow's operators set no more: one process on each node."""
    four = {name: TORCHRUN[name] for name in ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")}
    assert rendezvous(four) == Rendezvous(5, 0, 8, 5, 8, "train-0.train", 29400)


def test_a_pod_of_an_indexed_job_needs_no_torchrun() -> None:
    assert rendezvous(JOB) == Rendezvous(1, 0, 2, 1, 2, "train-0.train", PORT)
    other = {**JOB, "PET_MASTER_PORT": "29401"}
    assert rendezvous(other).master_port == 29401


def test_the_pods_of_a_sweep_are_alone() -> None:
    """An Indexed Job whose pods share nothing must not make them wait for each other."""
    assert rendezvous({"JOB_COMPLETION_INDEX": "3"}) == Rendezvous()


def test_torchrun_in_a_pod_of_a_job_must_agree_with_it() -> None:
    """Two nodes that both take themselves for the first would wait for ever."""
    assert rendezvous({**JOB, **TORCHRUN}) == rendezvous(TORCHRUN)
    with pytest.raises(InputError, match="torchrun calls this node 1 of 2, and Kubernetes 0 of 2"):
        rendezvous({**JOB, **TORCHRUN, "JOB_COMPLETION_INDEX": "0"})


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"WORLD_SIZE": ""}, "RANK is set and WORLD_SIZE is not; torchrun sets all of RANK"),
        ({"MASTER_PORT": ""}, "RANK is set and MASTER_PORT is not"),
        ({"RANK": "8"}, "RANK is '8'; it must be a whole number, 0 to 7"),
        ({"RANK": "-1"}, "RANK is '-1'"),
        ({"WORLD_SIZE": "two"}, "WORLD_SIZE is 'two'; it must be a whole number, 1 or more"),
        ({"MASTER_PORT": "70000"}, "MASTER_PORT is '70000'"),
        ({"LOCAL_RANK": "4"}, "LOCAL_RANK is '4'"),
        ({"GROUP_RANK": "0"}, "RANK 5 of 8 is not LOCAL_RANK 1 of 4 on node 0"),
        ({"LOCAL_WORLD_SIZE": "3"}, "RANK 5 of 8 is not LOCAL_RANK 1 of 3 on node 1"),
    ],
)
def test_variables_that_cannot_be_are_refused(changed: dict[str, str], words: str) -> None:
    with pytest.raises(InputError, match=words):
        rendezvous({**TORCHRUN, **changed})


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"JOB_COMPLETION_INDEX": "2"}, "JOB_COMPLETION_INDEX is '2'"),
        ({"PET_NNODES": ""}, "PET_MASTER_ADDR is set and PET_NNODES is not"),
        ({"PET_MASTER_ADDR": ""}, "PET_NNODES is set and PET_MASTER_ADDR is not"),
    ],
)
def test_a_job_that_cannot_be_is_refused(changed: dict[str, str], words: str) -> None:
    with pytest.raises(InputError, match=words):
        rendezvous({**JOB, **changed})


def test_what_is_told_is_read_again_the_same() -> None:
    """torch reads the environment by itself, and tracking tells by it who is the first."""
    said: dict[str, str] = {}
    tell(rendezvous(JOB), said)
    assert said["RANK"] == "1"
    assert rendezvous({**JOB, **said}) == rendezvous(JOB)
