"""The page on a registration: complete in itself, and right in a browser."""

import base64
import json
import re

import cv2
import numpy as np
import pytest
from browser import PROGRAM, chromium
from prints import finger

from model.registration.distortion import nearest_similarity
from model.registration.embedded_map import EmbeddedMapParameters, embed_map
from model.registration.page import write_page
from model.registration.result import Registration, empty_registration
from pipeline.imaging.resolution import ImageResolution
from pipeline.imaging.warp import apply_affine, pixel_grid, rotation

HEIGHT, WIDTH = 210, 190
RESOLUTIONS = ImageResolution(500.0, "option"), ImageResolution(500.0, "option")
PRECISION = 0.02  # px: half a digit of the text, the levels, and the interpolation


def bent_map(height=HEIGHT, width=WIDTH):
    """A rotation with a smooth displacement, in an ellipse."""
    grid = pixel_grid(height, width)
    middle = np.array([width / 2, height / 2])
    map_ab = apply_affine(rotation(0.3, tuple(middle)), grid) + np.array([7.3, -4.1])
    map_ab += 5 * np.sin(grid[..., ::-1] / 40)
    map_ab[(((grid - middle) / (0.4 * middle)) ** 2).sum(-1) > 4] = np.nan
    return map_ab.astype(np.float32)


@pytest.fixture(scope="module")
def images():
    return finger(1, HEIGHT, WIDTH), finger(2, HEIGHT + 20, WIDTH + 30)


@pytest.fixture(scope="module")
def registration(sigma):
    rng = np.random.default_rng(0)
    matches = np.c_[rng.uniform(20, 160, (40, 4)), np.linspace(0.01, 0.99, 40)].astype(np.float32)
    shape_b = HEIGHT + 20, WIDTH + 30
    return Registration(bent_map(), 0.93, matches, 0.3, RESOLUTIONS, shape_b, sigma=sigma)


@pytest.fixture(scope="module")
def sigma():
    return (0.5 + pixel_grid(HEIGHT, WIDTH)[..., 0] / 100).astype(np.float32)


@pytest.fixture(scope="module")
def page_file(images, registration, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "registration.html"
    names = ("a/<b>&.png", "c/d.png")
    write_page(path, names, images, registration, (None, None), ["warning: <i>"])
    return path


def decode(embedded):
    """The nodes of an embedded map, float64 [rows, columns, 2]."""
    levels = np.frombuffer(base64.b64decode(embedded["nodes"]), "<u2")
    shape = embedded["rows"], embedded["columns"], 2
    return np.array(embedded["low"]) + embedded["unit"] * levels.reshape(shape)


@pytest.mark.parametrize(
    ("shape", "most"), [((HEIGHT, WIDTH), 512), ((HEIGHT, WIDTH), 20), ((41, 57), 512)]
)
def test_embedded_map_is_the_map(shape, most):
    map_ab = bent_map(*shape)
    similarity = nearest_similarity(map_ab)
    embedded = embed_map(map_ab, similarity, None, EmbeddedMapParameters(most_nodes=most))
    nodes, step = decode(embedded), embedded["step"]
    assert (embedded["rows"] - 1) * step >= shape[0] - 1
    assert (embedded["columns"] - 1) * step >= shape[1] - 1
    at_nodes = map_ab[::step, ::step]
    mapped = np.isfinite(at_nodes[..., 0])
    inner = nodes[: mapped.shape[0], : mapped.shape[1]]
    assert np.abs(inner - at_nodes)[mapped].max() < embedded["unit"]
    assert embedded["unit"] < 0.01
    # next to the mapped region the nodes continue it
    border = cv2.dilate(mapped.astype(np.uint8), np.ones((3, 3))).astype(bool) & ~mapped
    y, x = np.nonzero(border)
    full = rotation(0.3, (shape[1] / 2, shape[0] / 2))
    grid = pixel_grid(*shape)
    smooth = apply_affine(full, grid) + [7.3, -4.1] + 5 * np.sin(grid[..., ::-1] / 40)
    expected = smooth[y * step, x * step]
    assert np.hypot(*(inner[y, x] - expected).T).max() < 0.3 * step


def test_a_map_of_few_pixels_is_embedded():
    map_ab = np.full((30, 30, 2), np.nan, np.float32)
    map_ab[8, 8], map_ab[12, 12] = (1, 2), (5, 6)
    map_ab[9, 9] = (2, 3)
    assert np.isfinite(decode(embed_map(map_ab, nearest_similarity(map_ab)))).all()


def test_the_page_needs_nothing_else(page_file):
    text = page_file.read_text()
    without_data = re.sub(r"data:image/png;base64,[\w+/=]+", "", text)
    addresses = re.findall(r"(?:src|href)\s*=\s*[\"']([^\"']*)", without_data)
    assert set(addresses) <= {""}
    assert "url(" not in without_data and "@import" not in without_data
    assert set(re.findall(r"https?://[^\"' ]+", without_data)) == {"http://www.w3.org/2000/svg"}
    assert "<b>&.png" not in text and "&lt;b&gt;&amp;.png" in text
    assert "warning: &lt;i&gt;" in text
    assert "Same finger: 0.93" in text


def test_a_page_without_a_map(images, tmp_path):
    registration = empty_registration(
        (HEIGHT, WIDTH), 0.01, RESOLUTIONS, (9, 9), True, "no ridges agree"
    )
    write_page(tmp_path / "r.html", ("a", "b"), images, registration)
    text = (tmp_path / "r.html").read_text()
    assert "No map: no ridges agree" in text
    assert 'id="slider"' not in text and 'id="grid"' not in text
    assert json.loads(re.search(r'id="data">(.*?)</script>', text)[1])["map"] is None


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    if PROGRAM is None:
        pytest.skip("no Chromium here (Debian: apt-get install chromium)")
    with chromium(tmp_path_factory.mktemp("profile")) as page:
        yield page


@pytest.fixture
def page(browser, page_file):
    browser.open(page_file.as_uri(), 1000, 900)
    return browser


def text_of(page, id_):
    return page.evaluate(f"document.getElementById('{id_}').textContent")


def stage_box(page):
    return page.evaluate(
        "(b => [b.x, b.y, b.width, b.height])"
        "(document.getElementById('stage').getBoundingClientRect())"
    )


def numbers(text):
    return [float(number) for number in re.findall(r"-?\d+(?:\.\d+)?", text)]


def stage_pixels(page):
    page.point(1, 1)
    page.evaluate("document.getElementById('cross_a').hidden = true")
    return cv2.imdecode(np.frombuffer(page.screenshot("#stage"), np.uint8), cv2.IMREAD_GRAYSCALE)


def test_hover_shows_the_place_in_b(page, registration, sigma):
    left, top, width, height = stage_box(page)
    for x, y in ((95, 105), (60, 80), (121, 144), (80, 60)):
        page.point(left + (x + 0.5) * width / WIDTH, top + (y + 0.5) * height / HEIGHT)
        shown_x, shown_y, b_x, b_y, deviation = numbers(text_of(page, "place"))
        assert (shown_x, shown_y) == (x, y)
        assert (b_x, b_y) == pytest.approx(registration.map_ab[y, x], abs=PRECISION)
        assert deviation == pytest.approx(sigma[y, x], abs=PRECISION)
    page.point(left + 2, top + 2)
    assert "nothing corresponds" in text_of(page, "place")
    assert page.evaluate("document.getElementById('cross_b').hidden")


def test_every_mapped_pixel_is_interpolated_right(page, registration):
    """The script's map at all pixels, not only at nodes."""
    script = (
        f"(() => {{ const rows = []; for (let y = 0; y < {HEIGHT}; y += 3)"
        f" for (let x = 0; x < {WIDTH}; x += 3)"
        " rows.push(isMapped(x, y) ? positionInB(x, y) : [null, null]); return rows; })()"
    )
    computed = np.array(page.evaluate(script), float).reshape(HEIGHT // 3, -1, 2)
    expected = registration.map_ab[::3, ::3]
    np.testing.assert_array_equal(np.isfinite(computed), np.isfinite(expected))
    mapped = np.isfinite(expected[..., 0])
    inner = cv2.erode(mapped.astype(np.uint8), np.ones((5, 5))).astype(bool)
    distance = np.hypot(*np.moveaxis(computed - expected, -1, 0))
    assert distance[inner].max() < PRECISION
    assert distance[mapped].max() < 1.0  # at the border a node beyond it is extrapolated


def test_slider_moves_the_border_between_a_and_b(page):
    page.evaluate("document.getElementById('slider').focus()")
    page.press("End")
    only_a = stage_pixels(page)
    page.evaluate("document.getElementById('slider').focus()")
    page.press("Home")
    only_b = stage_pixels(page)
    middle = np.s_[: len(only_a), 5:-5]
    assert np.abs(only_a[middle].astype(int) - only_b[middle]).mean() > 10
    for _ in range(30):
        page.press("ArrowRight")
    assert page.evaluate("document.getElementById('slider').value") == "30"
    mixed, border = stage_pixels(page), 0.3 * only_a.shape[1]
    left, right = np.s_[:, 5 : int(border) - 3], np.s_[:, int(border) + 4 : -5]
    np.testing.assert_allclose(mixed[left], only_a[left], atol=3)
    np.testing.assert_allclose(mixed[right], only_b[right], atol=3)


def test_space_bar_blinks(page):
    split = "document.getElementById('stage').style.getPropertyValue('--split')"
    page.evaluate("document.activeElement.blur()")
    page.press(" ")
    assert page.evaluate("document.getElementById('blink').getAttribute('aria-pressed')") == "true"
    script = (
        "new Promise(done => { const seen = new Set(); const watch = setInterval(() => {"
        f" seen.add({split});"
        " if (seen.size > 1) { clearInterval(watch); done([...seen].sort()); } }, 20); })"
    )
    assert page.evaluate(script) == ["0%", "100%"]
    page.press(" ")
    assert page.evaluate(split) == "50%"


def test_keys_move_the_point_and_every_control_has_focus(page, registration):
    page.evaluate("document.getElementById('stage').focus()")
    page.press("ArrowRight")
    page.press("ArrowDown", modifiers=8)
    x, y, b_x, b_y, _ = numbers(text_of(page, "place"))
    assert (x, y) == (WIDTH // 2 + 1, HEIGHT // 2 + 10)
    assert (b_x, b_y) == pytest.approx(registration.map_ab[int(y), int(x)], abs=PRECISION)
    page.evaluate("document.querySelector('input[name=view]').focus()")
    reached = []
    for _ in range(4):
        page.press("Tab")
        reached.append(page.evaluate("document.activeElement.id"))
    assert reached == ["slider", "blink", "stage", "least"]


def test_matches_are_chosen_by_probability(page):
    page.evaluate(
        "(s => { s.value = 0.5; s.dispatchEvent(new Event('input')); })"
        "(document.getElementById('least'))"
    )
    assert text_of(page, "shown") == "≥ 0.50: 20 of 40"
    hidden = "[...document.querySelectorAll('#matches g')].filter(g => g.style.display === 'none')"
    assert page.evaluate(f"{hidden}.length") == 20


def test_views_replace_each_other(page):
    pictures = {}
    for view in ("stored", "even", "ridges"):
        page.evaluate(f"document.querySelector('input[value={view}]').click()")
        pictures[view] = stage_pixels(page)
        visible = "[...document.querySelectorAll('#other img')].filter(i => i.offsetWidth).length"
        assert page.evaluate(visible) == 1
    assert np.abs(pictures["stored"].astype(int) - pictures["ridges"]).mean() > 5
    assert np.abs(pictures["even"].astype(int) - pictures["ridges"]).mean() > 5


@pytest.mark.parametrize("width", [360, 1200])
def test_nothing_is_wider_than_the_window(page, width):
    page.resize(width, 740)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    narrow = "[...document.querySelectorAll('input[type=range], button')].map(e => e.offsetWidth)"
    assert min(page.evaluate(narrow)) >= 90
    assert page.evaluate("document.querySelectorAll('#grid path').length") > 2


def test_print_hides_the_controls(page):
    page.call("Emulation.setEmulatedMedia", media="print")
    hidden = "[...document.querySelectorAll('.controls, .place')].every(e => !e.offsetHeight)"
    assert page.evaluate(hidden)
    assert page.evaluate("document.querySelector('.print-only img').offsetHeight") > 100
    page.call("Emulation.setEmulatedMedia", media="")


def test_no_script_fails_and_nothing_is_asked_for(page):
    assert page.messages == []
    assert [url for url in page.requests if not url.startswith(("data:", "file:"))] == []
