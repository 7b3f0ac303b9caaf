"""What the verbs of ``infra.azure.endpoint`` are made of.

requests.py    models, environments, deployments: what is sent    state.py   how it stands
assets.py      a model in the container and in the registry       trial.py   one request
rules.py       what Azure refuses beyond its model of the bodies  left.py    what no request reaches
"""
