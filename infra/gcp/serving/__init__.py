"""Endpoints: what is asked of Vertex AI for one, and how it stands.

requests.py   the bodies, pure                 rules.py   what is wrong with one, beyond the model
versions.py   a version in Vertex AI's registry, and its files in the bucket
state.py      an endpoint as it is now         operations.py  what takes time, waited for
trial.py      a request to what was deployed   batch.py   a file of requests, without an endpoint
left.py       what a deployer that was killed left
"""
