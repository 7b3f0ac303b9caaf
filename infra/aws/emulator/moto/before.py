"""What there must be in an account before a run: terraform makes it in a real one.

moto's IAM lets anybody do anything.
"""

from __future__ import annotations

import contextlib
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


def bucket(account: str, region: str, name: str) -> None:
    """Make a bucket, where there is none of that name and there can be one."""
    from moto.s3.exceptions import InvalidBucketName
    from moto.s3.models import s3_backends

    backend = s3_backends[account]["aws"]
    if name not in backend.buckets:
        with contextlib.suppress(InvalidBucketName):  # requests that name it are refused, in words
            backend.create_bucket(name, region)


def roles(account: str, arns: Iterable[str]) -> None:
    """Make the roles of these ARNs."""
    from moto.iam.models import iam_backends

    for arn in sorted(arns):
        path, _, name = arn.partition(":role")[2].rpartition("/")
        iam_backends[account]["aws"].create_role(
            role_name=name,
            assume_role_policy_document=json.dumps(_TRUST),
            path=f"{path}/",
            permissions_boundary=None,
            description="",
            tags=[],
            max_session_duration=None,
        )
