"""AWS on loopback, for rehearsals.

cloud.py        all of it at once             world.py     what its parts share
sagemaker.py    SageMaker's control plane     store.py     what it knows, on disk
check.py        what it takes                 refusal.py   how it refuses
pipelines.py    pipelines and executions      tags.py      tags of whatever has an ARN
interpreter.py  runs one execution            graph.py     its steps, and what they wait for
expressions.py  what only the run knows       registry.py  model packages
jobs.py         training and processing jobs  logs.py      CloudWatch Logs
drive.py        takes one job to its end      machine.py   a process, or a container
contract.py     what is in /opt/ml            objects.py   S3 as jobs see it
moto/           S3, STS, IAM and ECR          names.py     what a call is called
"""
