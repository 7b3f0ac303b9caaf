"""What a deploy of a run left without requests is found, and ended, by the run."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.azure import client, reaping
from infra.azure.serving import requests
from tests.infra.azure.lowering import SETTINGS
from tests.infra.azure.serving.placed import IDENTITY, SCOPE, place
from tests.infra.azure.serving.test_killed import dies

pytestmark = [
    pytest.mark.timeout(180),
    pytest.mark.filterwarnings("ignore"),  # azure-ai-ml is made of what its own libraries warn of
]
_OWN = SETTINGS._replace(
    datastore=SCOPE.datastore, tags={"team": "digits"}, serving_identity=IDENTITY
)


def test_a_run_is_told_what_its_deploy_left_and_reap_ends_it(tmp_path: Path) -> None:
    """Its machines would be paid for until somebody looked at the portal."""
    with place(tmp_path) as there:
        assert requests.of(_OWN) == there.serving
        there.deploy("1", run="r-1")
        assert client.left(_OWN) == {}
        moves = 4 + 1  # two files, the model, the deployment, and then the traffic
        assert dies(moves, lambda: there.deploy("2", run="r-2"))
        ((run, (words,)),) = client.left(_OWN).items()
        assert (run, words.split(" ")[0]) == ("r-2", "deployment")
        assert list(reaping._remove_unused(_OWN, "r-1")) == []
        (done,) = reaping._remove_unused(_OWN, "r-2")
        assert done.endswith("of digits deleted")
        assert client.left(_OWN) == {}
        assert there.answers(2) == ["1", "1"]
