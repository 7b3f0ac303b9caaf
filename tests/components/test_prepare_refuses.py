"""What prepare refuses: in one sentence, by file and row, leaving nothing."""

import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from components import contract
from tests.raw import (
    GREY,
    LABELS,
    PNG,
    SMALL,
    Make,
    content,
    cut,
    holding,
    labels,
    npz,
    parquet,
    pictures,
    run,
    within,
)

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
