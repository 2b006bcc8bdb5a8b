"""The page on a table of pairs."""

import cv2
import numpy as np
import pytest
from browser import PROGRAM, chromium
from prints import ridges

from model.registration import table_page
from model.registration.impression import PreparedImpression
from model.registration.pair_table import ScoreRow
from model.registration.result import Registration
from pipeline.imaging import preprocess
from pipeline.imaging.polarity import Polarity
from pipeline.imaging.resolution import ImageResolution
from pipeline.imaging.warp import pixel_grid


def prepare(image, ppi):
    prepared, resolution = preprocess.prepare(image, ppi), ImageResolution(ppi, "option")
    return PreparedImpression(image.shape, prepared, resolution, Polarity.DARK)


def test_thumbnail_shows_b_in_the_frame_of_a():
    """B is A at twice the resolution; nothing corresponds in the upper third."""
    a, _ = ridges(240, 224, period=30.0, core=(9, 4))
    b = cv2.resize(a, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC)
    map_ab = (2 * pixel_grid(240, 224) + 0.5).astype(np.float32)
    map_ab[:80] = np.nan
    prepared = PreparedImpression(
        a.shape, preprocess.prepare(ridges(240, 224)[0], 500.0), ImageResolution(500.0, "option"),
        Polarity.DARK,
    )  # fmt: skip
    prepared.prepared.image[:] = a
    fine = prepare(ridges(480, 448, period=18.0)[0], 1000.0)
    fine.prepared.image[:] = cv2.resize(
        b, fine.prepared.image.shape[::-1], interpolation=cv2.INTER_AREA
    )
    resolutions = prepared.resolution, fine.resolution
    matches = np.zeros((0, 5), np.float32)
    registration = Registration(map_ab, 0.9, matches, 0.0, resolutions, (480, 448))
    picture = table_page.plot_thumbnail(prepared, fine, registration)
    side = table_page.THUMBNAIL.side
    assert picture.shape == (side, 2 * round(224 / 240 * side) + table_page.THUMBNAIL.gap)
    width = (picture.shape[1] - table_page.THUMBNAIL.gap) // 2
    left, right = picture[:, :width].astype(int), picture[:, -width:].astype(int)
    assert (right[: side // 3 - 1] == table_page.THUMBNAIL.empty).all()
    lower = np.s_[side // 3 + 2 : -2, 2:-2]
    assert np.abs(left[lower] - right[lower]).mean() < 8 < left[lower].std() / 2


@pytest.mark.parametrize("scale", [0.5, 1, 2])
def test_thumbnails_of_any_resolution_are_as_smooth(scale):
    """Both images hold noise, of which a thumbnail shows means over as large a part of the skin."""
    shapes = (960, 896), (round(960 * scale), round(896 * scale))
    a, b = [
        prepare(ridges(*shape)[0], 500 * k) for shape, k in zip(shapes, (1, scale), strict=True)
    ]
    for seed, impression in enumerate((a, b)):
        working = impression.prepared.image
        working[:] = np.random.default_rng(seed).integers(0, 255, working.shape)
    map_ab = (scale * (pixel_grid(*shapes[0]) + 0.5) - 0.5).astype(np.float32)
    resolutions = a.resolution, b.resolution
    nothing = np.zeros((0, 5), np.float32)
    registration = Registration(map_ab, 0.9, nothing, 0.0, resolutions, shapes[1])
    picture = table_page.plot_thumbnail(a, b, registration).astype(int)
    left, right = picture[4:-4, 4:100], picture[4:-4, -100:-4]
    assert left.std() == pytest.approx(right.std(), rel=0.1)


def write_page(folder, count):
    """Rows whose scores fall and rise again; row 2 failed."""
    rows = [
        ScoreRow(k, f"a{k}.png", f"b{k}.png", score=f"{abs(k - 5) / 200}", matches=str(k))
        for k in range(count)
    ]
    rows[2] = ScoreRow(2, "<b>.png", "b2.png", fault="b2.png: no <i> foreground")
    rows[3] = rows[3]._replace(notes="no map: too <u>little</u> in common")
    (folder / "thumbnails").mkdir()
    image = cv2.imencode(".jpg", np.zeros((20, 44), np.uint8))[1].tobytes()
    (folder / "thumbnails/000000.jpg").write_bytes(image)
    table_page.write_table_page(folder, "pairs & more.csv", rows)
    return folder / table_page.PAGE


def test_names_are_no_markup(tmp_path):
    text = write_page(tmp_path, 9).read_text()
    assert "pairs &amp; more.csv" in text
    assert "<b>.png" not in text and "<i>" not in text and "<u>" not in text
    assert "no map: too " in text and "in common" in text


@pytest.mark.skipif(PROGRAM is None, reason="no Chromium here (Debian: apt-get install chromium)")
def test_rows_are_sorted_searched_and_turned_over(tmp_path):
    path = write_page(tmp_path, 150)
    with chromium(tmp_path / "profile") as page:
        page.open(path.as_uri(), 360, 740)

        def column(number):
            cells = f"[...document.querySelectorAll('#rows tr')].map(r => r.cells[{number}]"
            return page.evaluate(f"{cells}.textContent)")

        def click(selector):
            page.evaluate(f"document.querySelector({selector!r}).click()")

        assert column(0) == [f"{k:06d}" for k in range(100)]
        assert column(3)[2] == "–" and "no <i> foreground" in column(2)[2]
        assert column(2)[3].endswith("no map: too <u>little</u> in common")
        click("#next")
        assert column(0) == [f"{k:06d}" for k in range(100, 150)]
        click("th[data-key=score] button")
        scores = [float(text) for text in column(3)]
        assert scores == sorted(scores, reverse=True) and len(scores) == 100
        click("th[data-key=score] button")
        assert column(0)[:3] == ["000005", "000004", "000006"]
        click("#next")
        assert column(3)[-1] == "–"  # the row without a score is last
        page.evaluate(
            "(s => { s.value = 'A14'; s.dispatchEvent(new Event('input')); })"
            "(document.getElementById('search'))"
        )
        assert sorted(column(0)) == ["000014", *(f"{k:06d}" for k in range(140, 150))]
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        assert page.messages == []
