"""AWS on loopback, for rehearsals.

cloud.py        all of it at once             world.py     what its parts share
sagemaker.py    SageMaker's control plane     store.py     what it knows, on disk
jobs.py         training and processing jobs  tags.py      tags of whatever has an ARN
drive.py        takes one job to its end      logs.py      CloudWatch Logs
contract.py     what is in /opt/ml            objects.py   S3 as jobs see it
machine.py      a process, or a container     moto/        S3, STS, IAM and ECR
refusal.py      how AWS refuses               names.py     what a call is called
"""
