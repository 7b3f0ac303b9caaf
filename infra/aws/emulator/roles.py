"""The roles that there must be before a run, in moto's IAM, which lets anybody do anything."""

from __future__ import annotations

import json
from collections.abc import Iterable

_TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"Service": "sagemaker.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }
    ],
}


def make(address: str, arns: Iterable[str]) -> None:
    """Make the roles of these ARNs; ``address`` is moto's, newly started."""
    import boto3

    session = boto3.session.Session("the-cloud", "itself", region_name="us-east-1")
    client = session.client("iam", endpoint_url=address)
    for arn in sorted(arns):
        path, _, name = arn.partition(":role")[2].rpartition("/")
        client.create_role(
            Path=f"{path}/", RoleName=name, AssumeRolePolicyDocument=json.dumps(_TRUST)
        )
