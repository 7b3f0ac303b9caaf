"""A model as SageMaker fetches it: one archive in the bucket, called by what is in it."""

from __future__ import annotations

import gzip
import tarfile
import tempfile
from collections.abc import Iterable
from pathlib import Path

from infra.aws.errors import told
from infra.aws.serving.requests import Serving
from infra.aws.session import Aws
from infra.storage import tree, tree_digest


def put(aws: Aws, model: Path, serving: Serving) -> str:
    """The archive's address; uploaded unless it is there. Raises TrefoilError."""
    files = tree(model)
    key = f"{serving.prefix.strip('/')}/models/{tree_digest(files)}/model.tar.gz"
    where = f"s3://{serving.bucket}/{key}"
    there = aws.find("s3", "head_object", f"look for {where}", Bucket=serving.bucket, Key=key)
    if there is None:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "model.tar.gz"
            pack(model, sorted(files), file)
            _upload(aws, file, key, serving)
    return where


def pack(model: Path, names: Iterable[str], file: Path) -> None:
    """The same bytes for the same files: neither times nor owners."""
    with (
        file.open("wb") as raw,
        gzip.GzipFile("", "wb", compresslevel=6, fileobj=raw, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w") as archive,
    ):
        for name in names:
            info = tarfile.TarInfo(name)
            info.size, info.mode = (model / name).stat().st_size, 0o644
            with (model / name).open("rb") as content:
                archive.addfile(info, content)


def _upload(aws: Aws, file: Path, key: str, serving: Serving) -> None:
    from boto3.exceptions import S3UploadFailedError
    from botocore.exceptions import BotoCoreError, ClientError

    extra = {"ChecksumAlgorithm": "SHA256"}
    if serving.kms_key:
        extra |= {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": serving.kms_key}
    try:
        aws.client("s3").upload_file(str(file), serving.bucket, key, ExtraArgs=extra)
    except (BotoCoreError, ClientError, S3UploadFailedError) as error:
        raise told(error, f"take the model to s3://{serving.bucket}/{key}") from error
