#!/usr/bin/env python3
"""Stands in for the docker program: notes what it is asked, and answers as FAKE_DOCKER says."""

import json
import os
import sys
from pathlib import Path

place = Path(os.environ["FAKE_DOCKER"])
words = sys.argv[1:]
told = {"words": words, "buildkit": os.environ.get("DOCKER_BUILDKIT")}
told["links"] = os.environ.get("PIP_FIND_LINKS")
for word in words:
    name, _, value = word.partition("=")
    if name == "--file":
        told["dockerfile"] = Path(value).read_text()
    if name == "--iidfile":
        Path(value).write_text("sha256:" + "ab" * 32)
with (place / "asked").open("a") as asked:
    asked.write(json.dumps(told) + "\n")
answers = json.loads((place / "answers").read_text())
out, err, code = answers.get(" ".join(words[:2]), answers.get(words[0], ["", "", 0]))
print(out)
print(err, file=sys.stderr)
sys.exit(code)
