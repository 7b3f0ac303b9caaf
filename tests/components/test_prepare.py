"""prepare as a step: what it writes, what it refuses, and that it is all or nothing."""

import hashlib
import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from components import contract, prepare
from training.fingerprint import md5_of
from training.sources import catalogue

ROOT = Path(__file__).parents[2]
DIGITS_MD5 = "9b335364a7bfd63947c7480a5bd51f2d"
RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (20, 4, 4)).astype(np.uint8)
LABELS = np.arange(20) % 2

Make = Callable[[Path], Path]


def run(data: object, out: Path, *more: str) -> int:
    argv = ["--data", str(data), "--dataset", str(out), *more]
    with pytest.raises(SystemExit) as ended:
        contract.run(lambda: prepare.main(argv))
    assert isinstance(ended.value.code, int)
    return ended.value.code


def written(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(out.iterdir())}


def schema_of(out: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((out / "schema.json").read_text())
    return found


def npz(**stored: Any) -> Make:
    def make(folder: Path) -> Path:
        np.savez(folder / "d.npz", **stored)
        return folder / "d.npz"

    return make


def parquet(**columns: Any) -> Make:
    def make(folder: Path) -> Path:
        pq.write_table(pa.table(columns), folder / "d.parquet", row_group_size=6)
        return folder / "d.parquet"

    return make


def content(name: str, raw: bytes) -> Make:
    def make(folder: Path) -> Path:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(raw)
        return folder / Path(name).parts[0]

    return make


def pictures(*, size: int = 4, mode: str = "L", **others: tuple[int, str]) -> Make:
    """A folder of one class and, by name, pictures of another size and mode in it."""

    def make(folder: Path) -> Path:
        (folder / "pics" / "cat").mkdir(parents=True)
        for name in ("1", "2", "3"):
            each, kind = others.get(f"p{name}", (size, mode))
            Image.new(kind, (each, each)).save(folder / "pics" / "cat" / f"{name}.png")
        return folder / "pics"

    return make


def within(name: str, raw: bytes | None) -> Make:
    """A folder of pictures with one more file, or an empty folder."""

    def make(folder: Path) -> Path:
        data = pictures()(folder)
        if raw is None:
            (data / name).mkdir(parents=True)
        else:
            (data / name).parent.mkdir(parents=True, exist_ok=True)
            (data / name).write_bytes(raw)
        return data

    return make


def cut(make: Make, size: int) -> Make:
    def shortened(folder: Path) -> Path:
        file = make(folder)
        file.write_bytes(file.read_bytes()[:size])
        return file

    return shortened


def holding(value: float, row: int = 7, kind: str = "float32") -> Any:
    pixels = (GREY / 256).astype(kind)
    pixels[row, 1, 2] = value
    return pixels


def labels(value: float, row: int = 7) -> Any:
    found = LABELS.astype(int if float(value).is_integer() else float)
    found[row] = value
    return found


def png(size: int) -> bytes:
    raw = io.BytesIO()
    Image.fromarray(RNG.integers(0, 256, (size, size)).astype(np.uint8)).save(raw, "PNG")
    return raw.getvalue()


PNG, SMALL = png(40), png(4)

REFUSED: dict[str, tuple[Make, str]] = {
    # .npz
    "npz empty": (content("d.npz", b""), r"d\.npz is empty"),
    "npz truncated": (cut(npz(images=GREY), 300), r"d\.npz is not an \.npz file, or the end"),
    "npz not zip": (content("d.npz", b"hello" * 50), r"d\.npz is not an \.npz file"),
    "npz without images": (npz(a=GREY, b=GREY), r"d\.npz holds a, b; it needs images"),
    "npz no rows": (npz(images=GREY[:0]), r"d\.npz, images is empty: its shape is 0 x"),
    "npz one row": (npz(images=GREY[:1]), r"d\.npz holds one row"),
    "npz NaN": (npz(images=holding(np.nan)), r"images\[7\] holds NaN"),
    "npz infinity": (npz(images=holding(np.inf)), r"images\[7\] holds infinity"),
    "npz negative": (npz(images=holding(-0.5)), r"images\[7\] holds -0\.5; .* x / 2 \+ 0\.5"),
    "npz negative whole": (npz(x=holding(-3, kind="int16")), r"x\[7\] holds -3; pixels are 0 or"),
    "npz too bright": (
        npz(images=holding(1.5)),
        r"images\[7\] holds 1\.5; fractions are in 0\.\.1",
    ),
    "npz 16 bit": (npz(images=holding(300, kind="uint16")), r"images\[7\] holds 300; the most is"),
    "npz above levels": (
        npz(images=holding(17, kind="uint8"), levels=17),
        r"images\[7\] holds 17; the most is 16",
    ),
    "npz levels": (npz(images=GREY, levels=1000), "levels must be one whole number from 2 to 256"),
    "npz objects": (
        npz(images=np.array([GREY[0], GREY[1, :2]], object)),
        "images holds Python objects or rows",
    ),
    "npz words": (npz(images=np.full((20, 4, 4), "a")), "images holds <U1, which are no pixels"),
    "npz flat": (npz(images=GREY.reshape(20, 16)), r"the shape 20 x 16; images are \(n, height"),
    "npz ambiguous": (npz(images=GREY[:, :3, None, :3]), "channels may come first or last"),
    "npz few labels": (npz(x=GREY, y=LABELS[:9]), "y has the shape 9; 20 rows need 20 labels"),
    "npz label negative": (npz(x=GREY, y=labels(-1)), r"y\[7\] is -1; labels are 0\.\.65535"),
    "npz label high": (
        npz(x=GREY, y=labels(2), classes=["cat", "dog"]),
        r"y\[7\] is 2; labels are 0\.\.1",
    ),
    "npz label NaN": (npz(x=GREY, y=labels(np.nan)), r"y\[7\] is nan; labels are whole"),
    "npz label fraction": (npz(x=GREY, y=labels(0.5)), r"y\[7\] is 0\.5; labels are whole"),
    "npz label alone": (npz(x=GREY, y=labels(5)), "the class 5 has one row, row 7"),
    "npz mixed parts": (
        npz(x_train=GREY, x_test=GREY / 255),
        "x_train holds uint8 of .* make them alike",
    ),
    # .parquet
    "parquet empty": (content("d.parquet", b""), r"d\.parquet is empty"),
    "parquet truncated": (cut(parquet(image=GREY.tolist()), 200), r"d\.parquet is damaged or no"),
    "parquet no rows": (
        parquet(image=pa.array([], pa.list_(pa.uint8()))),
        r"d\.parquet holds no rows",
    ),
    "parquet one row": (parquet(image=GREY[:1].tolist()), r"d\.parquet holds one row"),
    "parquet one text": (parquet(text=["a"]), r"d\.parquet holds one row"),
    "parquet columns": (parquet(a=[1], b=[2]), "has the columns a, b; it needs image or text"),
    "parquet both": (parquet(image=[[1]] * 2, text=["a"] * 2), "it needs image or text, one of"),
    "parquet null": (parquet(image=[*GREY[:7].tolist(), None]), r"row 7 has no image"),
    "parquet null pixel": (parquet(image=[[1]] * 8 + [[None]]), r"row 8 has no pixel"),
    "parquet mixed size": (
        parquet(image=[*GREY[:7].reshape(7, 16).tolist(), [1] * 9]),
        r"row 7 has a list of 9 where",
    ),
    "parquet mixed groups": (
        parquet(image=[*GREY[:6].reshape(6, 16).tolist(), [1] * 9]),
        r"row 6 has 9 pixels where",
    ),
    "parquet NaN": (parquet(image=holding(np.nan).tolist()), r"d\.parquet, row 7 holds NaN"),
    "parquet negative": (parquet(image=holding(-2, kind="int8").tolist()), r"row 7 holds -2"),
    "parquet not square": (parquet(image=[[1] * 15] * 3), "images of 15 pixels are not square"),
    "parquet words": (parquet(image=[["a"]] * 3), "row 0 holds string, which are no pixels"),
    "parquet number": (parquet(image=[1, 2]), "holds int64; an image is a list of pixels"),
    "parquet picture": (parquet(image=[PNG] * 7 + [PNG[:40]]), r"row 7 is damaged|row 7 is not"),
    "parquet label null": (
        parquet(image=GREY[:8].tolist(), label=[0] * 7 + [None]),
        "row 7 has no label",
    ),
    "parquet label": (
        parquet(image=GREY[:8].tolist(), label=[0] * 7 + [-1]),
        "row 7: the label is -1",
    ),
    "parquet text empty": (parquet(text=["a"] * 9 + [""]), r"row 9 holds an empty text"),
    "parquet text null": (parquet(text=["a"] * 9 + [None]), r"row 9 has no text"),
    "parquet text number": (parquet(text=[1, 2]), "the column text holds int64, which is no text"),
    # .txt
    "txt empty": (content("d.txt", b""), r"d\.txt is empty"),
    "txt mark alone": (content("d.txt", b"\xef\xbb\xbf"), r"d\.txt is empty"),
    "txt one letter": (content("d.txt", b"a"), r"d\.txt holds one row"),
    "txt not UTF-8": (content("d.txt", b"ok\nb\xe9\n"), r"d\.txt, line 2 is not UTF-8 \(byte 4\)"),
    "txt binary": (content("d.txt", b"ok\n\nb\0\n"), r"d\.txt, line 3 holds a zero character"),
    # folders
    "folder empty": (content("pics/.hidden", b""), "pics is empty"),
    "folder class empty": (within("dog", None), "pics/dog is empty"),
    "folder size": (pictures(p2=(5, "L")), r"cat/2\.png is L 5x5, and .*cat/1\.png is L 4x4"),
    "folder mode": (pictures(p3=(4, "RGB")), r"cat/3\.png is RGB 4x4, and .*1\.png is L 4x4"),
    "folder alpha": (pictures(mode="RGBA"), r"cat/1\.png is of mode RGBA; convert all to L"),
    "folder 16 bit": (pictures(p1=(4, "I;16")), r"cat/1\.png is of mode I;16; convert"),
    "folder truncated": (within("cat/4.png", PNG[:-30]), r"cat/4\.png is damaged"),
    "folder no picture": (within("cat/4.txt", b"hello"), r"cat/4\.txt is not a picture"),
    "folder empty picture": (within("cat/4.png", b""), r"cat/4\.png is empty"),
    "folder beside": (within("readme.txt", b"x"), r"readme\.txt lies beside class folders"),
    "folder nested": (within("cat/more/1.png", PNG), "cat/more is a folder within a class"),
    "folder alone": (within("dog/1.png", SMALL), "the class dog has one row, row 3"),
    # no data at all
    "unknown": (lambda _: Path("mnits"), "did you mean mnist"),
    "kind": (content("d.csv", b"1"), r"d\.csv is of no known kind"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_bad_data_is_refused_by_file_and_row(
    case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make, why = REFUSED[case]
    out = tmp_path / "made" / "dataset"
    assert run(make(tmp_path), out) == contract.BAD_INPUT
    said = capsys.readouterr().err.strip()
    assert re.search(why, said), said
    assert len(said.splitlines()) == 1
    assert not out.exists()
    assert not (out.parent.exists() and list(out.parent.iterdir()))


@pytest.mark.parametrize(
    "more", [["--seed", "x"], ["--seed", "-1"], ["--what", "1"], ["--data", ""]]
)
def test_misuse_is_one_sentence(
    more: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = npz(images=GREY)(tmp_path)
    assert run(data, tmp_path / "out", *more) == contract.BAD_INPUT
    assert len(capsys.readouterr().err.strip().splitlines()) == 1


def test_the_digits_by_default(tmp_path: Path) -> None:
    out = tmp_path / "out"
    prepare.main(["--dataset", str(out), "--md5", DIGITS_MD5])
    assert list(written(out)) == ["schema.json", "statistics.json", "test.parquet", "train.parquet"]
    found = schema_of(out)
    assert found["source"] == {
        "data": "digits", "kind": "digits", "md5": DIGITS_MD5, "pin": DIGITS_MD5
    }  # fmt: skip
    assert (found["shape"], found["levels"], found["modality"]) == ([1, 8, 8], 17, "image")
    assert {part: at["rows"] for part, at in found["splits"].items()} == {
        "train": 1347,
        "test": 450,
    }
    train = pq.read_table(out / "train.parquet")
    assert (
        {name: str(train.schema.field(name).type) for name in train.column_names}
        == {
            "image": "fixed_size_list<element: uint8>[64]",
            "label": "int64",
        }
        == found["columns"]
    )
    pixels = np.array(train["image"].to_pylist())
    told = json.loads((out / "statistics.json").read_text())["train"]
    assert told["rows"] == 1347
    (channel,) = told["pixels"]["channels"]
    mean, std = pytest.approx(pixels.mean()), pytest.approx(pixels.std())
    assert channel == {"min": 0, "max": 16, "mean": mean, "std": std}
    assert told["pixels"]["histogram"] == np.bincount(pixels.ravel(), minlength=17).tolist()
    assert told["labels"]["3"] == train["label"].to_pylist().count(3)


KINDS: dict[str, Make] = {
    "npz": npz(images=GREY, labels=LABELS),
    "fractions": npz(images=RNG.random((20, 5, 6, 3))),
    "parquet": parquet(image=GREY.tolist(), label=["cat", "dog"] * 10),
    "texts": parquet(text=[f"text {n} é" for n in range(20)]),
    "txt": content("d.txt", "one\ntwo\nthree é\n".encode() * 9),
    "pics": pictures(mode="RGB"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_data_gives_the_same_bytes_wherever_it_lies(kind: str, tmp_path: Path) -> None:
    found = []
    for place in ("one", "two/deeper"):
        (tmp_path / place).mkdir(parents=True)
        data = KINDS[kind](tmp_path / place)
        os.utime(data, (1, 1))
        assert run(data, tmp_path / place / "out", "--seed", "3", "--md5", md5_of(data)) == 0
        found.append(written(tmp_path / place / "out"))
    assert found[0] == found[1]


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_written_can_be_read_and_says_what_it_is(kind: str, tmp_path: Path) -> None:
    data = KINDS[kind](tmp_path)
    assert run(data, tmp_path / "out") == 0
    found = schema_of(tmp_path / "out")
    told = json.loads((tmp_path / "out" / "statistics.json").read_text())
    for part, at in found["splits"].items():
        table = pq.read_table(tmp_path / "out" / at["file"])
        assert len(table) == at["rows"] == told[part]["rows"] > 0
        assert {f.name: str(f.type) for f in table.schema} == found["columns"]
    assert found["source"]["md5"] == md5_of(data)
    again = tmp_path / "again"
    assert run(tmp_path / "out" / "train.parquet", again) == 0  # its metadata tell its shape
    for word in ("modality", "shape", "levels", "classes"):
        assert schema_of(again).get(word) == found.get(word)


def test_a_pin_that_does_not_match_is_refused_naming_both(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, pin = npz(images=GREY)(tmp_path), "0" * 32
    assert run(data, tmp_path / "out", "--md5", pin) == contract.BAD_INPUT
    said = capsys.readouterr().err
    assert f"has md5 {md5_of(data)}, but {pin} is pinned" in said
    assert f"pipelines data pull {data}" in said
    assert f"pipelines data add {data}" in said
    assert not (tmp_path / "out").exists()


def test_a_set_from_the_net_is_prepared_from_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "To be, or not to be\n" * 50
    file = tmp_path / "cache" / "trefoil" / "data" / "small" / "input.txt"
    file.parent.mkdir(parents=True)
    file.write_text(text)
    table = tmp_path / "table.toml"
    checksum = hashlib.sha256(text.encode()).hexdigest()
    table.write_text(
        '[small]\nkind = "text"\nhome = "http://127.0.0.1:1/"\nclasses = []\n'
        f'[small.files]\n"input.txt" = "sha256:{checksum}"\n'
    )
    monkeypatch.setattr(catalogue.find, "__defaults__", (table,))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert run("small", tmp_path / "out") == 0
    found = schema_of(tmp_path / "out")
    assert (found["name"], found["source"]["kind"]) == ("small", "online")
    assert found["source"]["md5"] == md5_of(file)


@pytest.mark.parametrize("moment", ["statistics", "tables"])
def test_a_killed_step_leaves_nothing_and_the_next_is_whole(moment: str, tmp_path: Path) -> None:
    code = (
        "import os, signal, sys\n"
        "from components import prepare\n"
        "from training import schema\n"
        f"schema.{moment} = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        "prepare.main(sys.argv[1:])\n"
    )
    out = tmp_path / "out"
    words = ["--data", "digits", "--dataset", str(out)]
    killed = subprocess.run([sys.executable, "-c", code, *words], cwd=ROOT, check=False)
    assert killed.returncode == -9
    assert not out.exists()
    assert run("digits", out) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_the_default_needs_neither_scikit_learn_nor_pandas(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from components import prepare\n"
        f"prepare.main(['--dataset', {str(tmp_path / 'out')!r}])\n"
        "heavy = {'sklearn', 'scipy', 'pandas', 'torch', 'dvc', 'mlflow', 'PIL'}\n"
        "print(heavy & set(sys.modules))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True
    )
    assert done.stdout == "set()\n"


def test_the_run_is_told_of_its_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TREFOIL_TRACKING", str(tmp_path / "spool"))
    monkeypatch.setenv("TREFOIL_STEP", "prepare")
    assert run("digits", tmp_path / "out", "--md5", DIGITS_MD5) == 0
    lines = (tmp_path / "spool" / "prepare.jsonl").read_text()
    assert f'"digest": "{DIGITS_MD5}"' in lines or f'"digest":"{DIGITS_MD5}"' in lines
