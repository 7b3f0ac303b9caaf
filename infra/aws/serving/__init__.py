"""What the verbs of ``infra.aws.endpoint`` are made of.

requests.py    models, packages, configurations: what is sent        state.py    how it stands
archive.py     a model in the bucket                                 packages.py approval
scaling.py     more machines, or fewer                               trial.py    one request
"""
