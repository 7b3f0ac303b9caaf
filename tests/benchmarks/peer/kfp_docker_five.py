"""Five steps that do nothing, by kfp.local's DockerRunner: ``kfp_docker_five.py FOLDER IMAGE NET``.

Without artefacts: this runner does not hand those of a container component on (kfp 2.17).
"""

import logging
import sys

from kfp import dsl, local

IMAGE = sys.argv[2]


@dsl.container_component
def nothing(number: int):
    """Do nothing."""
    return dsl.ContainerSpec(image=IMAGE, command=["python3", "-c", "pass"], args=[str(number)])


@dsl.pipeline(name="five")
def five():
    """One after the other."""
    before = nothing(number=0)
    for number in range(1, 5):
        before = nothing(number=number).after(before)


logging.disable(logging.CRITICAL)
local.init(runner=local.DockerRunner(network_mode=sys.argv[3]), pipeline_root=sys.argv[1])
five()
