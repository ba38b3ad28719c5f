"""A visitor's walk over the page, in a real Chromium: what is drawn is what the command draws."""

import importlib.util
import io
import json
import urllib.error
import urllib.request

import numpy as np
import pytest
from gradio_page import AppPage, running_app
from PIL import Image

from kerasvit import look
from kerasvit.images import read
from kerasvit.render.video.frames import create_video, open_video

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def server(chromium, tmp_path_factory):
    if importlib.util.find_spec("gradio") is None:
        pytest.skip("no Gradio: pip install 'kerasvit[app]'")
    folder = tmp_path_factory.mktemp("app")
    with running_app(folder) as server:
        yield server
    assert server.connections() == ""
    assert [path.name for path in (folder / "temporary").iterdir()] == []
    assert sorted(path.name for path in folder.iterdir()) == ["temporary"]


@pytest.fixture
def visitor(chromium, server):
    page = AppPage(*chromium)
    page.enter(server.address)
    yield page
    asked = [address for address in page.addresses() if not address.startswith("blob:")]
    assert [a for a in asked if not a.startswith((server.address, "data:"))] == []


@pytest.fixture
def photograph(tmp_path):
    """A picture of 96x144 pixels, turned by its EXIF tag: the reader must see to that."""
    random = np.random.default_rng(3)
    small = random.integers(0, 256, (6, 9, 3), dtype=np.uint8)
    image = Image.fromarray(small).resize((144, 96), Image.Resampling.BICUBIC)
    exif = Image.Exif()
    exif[0x0112] = 6
    image.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "a b.png", exif=exif)
    return tmp_path / "a b.png"


@pytest.fixture
def film(tmp_path):
    """Ten frames of a square that moves."""
    with create_video(tmp_path / "film.mp4", 10) as write:
        for at in range(10):
            frame = np.full((64, 96, 3), 40, np.uint8)
            frame[20:44, 6 * at : 6 * at + 24] = (220, 120, 30)
            write(frame)
    return tmp_path / "film.mp4"


def test_a_visitors_walk(visitor, server, photograph, tmp_path):
    page = visitor
    page.upload("picture", photograph)
    first = page.changed("shown", "")
    assert read(photograph).shape[:2] == (96, 144)
    assert page.pixels("shown").shape[:2] == (427, 640)
    assert "relevance x attention for" in page.text("#shown_caption")
    assert page.text("#classes").count("%") == 5
    page.save("drawn")

    page.choose("target", "ship")
    page.says("#shown_caption", "for ship")

    page.choose("method", "attention")
    page.says("#shown_caption", "class attention 0 · mean")
    page.slide("block", 2)
    page.says("#shown_caption", "self-attention 2 · mean")
    page.says("#block", "self-attention 2")
    page.pick("head", "3")
    page.says("#shown_caption", "self-attention 2 · head 3")

    before = page.source("shown")
    page.tap("#shown img", 0.3, 0.8)
    page.says("#shown_caption", "from patch 6,3")
    page.changed("shown", before)
    page.save("patch")

    before = page.source("shown")
    page.opened("drawing")
    page.slide("opacity", 1)
    before = page.changed("shown", before)
    page.pick("clip", "clip patches that outshine the rest")
    page.choose("style", "heatmap")
    page.changed("shown", before)

    page.opened("compare")
    page.choose("other_model", "vit_nano")
    page.says("#other_caption", "self-attention 2 · head 0")
    assert page.pixels("other").shape == page.pixels("shown").shape
    page.choose("other_method", "rollout")
    page.says("#other_caption", "rollout · from patch 6,3")
    page.save("compared")

    page.choose("style", "fade")
    page.slide("opacity", 0.7)
    page.pick("clip", "clip patches that outshine the rest")
    page.opened("download")
    page.pick("kinds", "viewer of every score (HTML)")
    page.press("make")
    page.wait("document.querySelectorAll('#files a[href]').length >= 4")
    page.changed("sheet", "")
    page.save("files")
    links = page.links("files")
    wanted = look.saliency(
        photograph, out=tmp_path / "out", method="attention", formats=("png", "npz", "html"),
        layer=2, stage="sa", heads=3, query=(6, 3),
    )  # fmt: skip
    assert len(wanted.files) == len(links) == 4
    for file in wanted.files:
        (address,) = [links[name] for name in links if name.endswith(file.suffixes[-1])
                      and ("overlay" in name) == ("overlay" in file.name)]  # fmt: skip
        _same(page.fetched(address), file)

    assert first.startswith(server.address)
    assert server.seconds < 60
    print(f"\nthe page was there {server.seconds:.1f} s after the start of its process")


def _same(content, file):
    """Check that a download holds what the command wrote; sheets name their picture."""
    if file.suffix == ".npz":
        with np.load(io.BytesIO(content)) as given, np.load(file) as wanted:
            assert given.files == wanted.files
            for name in wanted.files:
                np.testing.assert_array_equal(given[name], wanted[name])
    elif file.suffix == ".png":
        given = np.asarray(Image.open(io.BytesIO(content)))
        np.testing.assert_array_equal(given, np.asarray(Image.open(file)))
    else:
        assert content == file.read_bytes()


def test_a_video_is_drawn(visitor, film, tmp_path):
    page = visitor
    page.tap("#kinds_of_input button[role=tab]:nth-of-type(2)")
    page.upload("video", film)
    page.wait("document.querySelector('#video video')")
    page.pick("mode", "overlay")
    page.press("film")
    page.wait("document.querySelectorAll('#video_files a[href]').length >= 2")
    page.save("video")
    links = page.links("video_files")
    run = look.saliency(film, out=tmp_path / "out", mode="overlay")
    for file in run.files:
        (address,) = [links[name] for name in links if name.endswith(file.suffix)]
        if file.suffix == ".npz":
            _same(page.fetched(address), file)
        else:
            (tmp_path / "given.mp4").write_bytes(page.fetched(address))
            with open_video(tmp_path / "given.mp4") as given, open_video(file) as wanted:
                for one, other in zip(given.frames, wanted.frames, strict=True):
                    np.testing.assert_array_equal(one, other)


def test_faults_are_one_line_on_the_page_and_the_next_picture_is_drawn(
    visitor, photograph, tmp_path
):
    page = visitor
    (tmp_path / "<b>bad.png").write_bytes(photograph.read_bytes()[:200])
    page.upload("picture", tmp_path / "<b>bad.png")
    page.says("#problem", "bad.png")
    line = page.text("#problem")
    assert "/tmp" not in line
    assert str(tmp_path) not in line
    assert page.run("document.querySelectorAll('#problem b').length") == 0
    page.save("fault")
    page.tap("#examples button")
    page.changed("shown", "")
    assert page.text("#problem") == ""


def test_a_telephones_width_needs_no_sideways_scrolling(chromium, server, visitor, photograph):
    page = visitor
    page.enter(server.address, 390, 844, mobile=True)
    page.upload("picture", photograph)
    page.changed("shown", "")
    page.save("phone")
    assert page.run("document.documentElement.scrollWidth") <= 390
    assert page.run("document.querySelector('#shown img').getBoundingClientRect().width") > 300


PROBES = [
    "gradio_api/file=/etc/passwd",
    "gradio_api/file=../../../../etc/passwd",
    "gradio_api/file=%2e%2e/%2e%2e/%2e%2e/etc/passwd",
    "gradio_api/file=kerasvit/app/server.py",
    "gradio_api/file=//etc/passwd",
    "gradio_api/file=http://example.com/",
    "static/../../server.py",
    "assets/..%2f..%2f..%2fblocks.py",
    "gradio_api/proxy=https://example.com/",
    "custom_component/..%2f..%2fserver.py",
    "docs",
]


def _status(address, **headers):
    try:
        with urllib.request.urlopen(urllib.request.Request(address, headers=headers)) as answer:
            return answer.status, answer.read(), answer.headers
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read(), error.headers


@pytest.mark.parametrize("probe", PROBES)
def test_paths_outside_are_refused(server, probe):
    status, content, _ = _status(server.address + probe)
    assert status in (403, 404, 400, 422, 405), probe
    assert b"root:" not in content
    assert b"import" not in content


def test_only_this_computers_names_are_answered_and_browsers_fetch_from_here_alone(server):
    status, _, headers = _status(server.address)
    assert status == 200
    assert "default-src 'self'" in headers["Content-Security-Policy"]
    assert _status(server.address, Host="elsewhere.example:7860")[0] == 421
    assert _status(server.address, Host="127.0.0.1.elsewhere.example")[0] == 421


def _drawing(server):
    """Return the number of the event that draws, and the values of its widgets."""
    config = json.loads(_status(server.address + "config")[1])
    values = {part["id"]: part["props"].get("value") for part in config["components"]}
    (event,) = [event for event in config["dependencies"]
                if len(event["inputs"]) == 15 and "change" in str(event["targets"])]  # fmt: skip
    return event["id"], [values[number] for number in event["inputs"]]


def _answered(server, data):
    """Return what the page's server says to values that no page would send."""
    number, _ = _drawing(server)
    body = {"data": data, "fn_index": number, "session_hash": "visitor", "trigger_id": None}
    request = urllib.request.Request(
        server.address + "gradio_api/queue/join",
        json.dumps(body).encode(),
        {"Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request):
            pass
        place = server.address + "gradio_api/queue/data?session_hash=visitor"
        with urllib.request.urlopen(place, timeout=60) as stream:
            return b"".join(stream).decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.read().decode()


@pytest.mark.parametrize("path", ["/etc/passwd", "pyproject.toml", "/tmp/../etc/passwd"])
def test_a_call_cannot_name_a_file_of_this_computer(server, path):
    _, values = _drawing(server)
    file = {"path": path, "meta": {"_type": "gradio.FileData"}}
    answer = _answered(server, [file, *values[1:]])
    assert '"success":false' in answer.replace(" ", "")
    assert "root:" not in answer


def test_a_call_cannot_name_a_model_that_is_not_offered(server, photograph):
    _, values = _drawing(server)
    answer = _answered(server, [None, values[1], "/etc/passwd", *values[3:]])
    assert '"success":false' in answer.replace(" ", "")


def test_uploads_are_limited(server):
    from kerasvit.app.limits import MAX_UPLOAD

    head = b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.png"\r\n\r\n'
    body = head + bytes(MAX_UPLOAD + 1) + b"\r\n--x--\r\n"
    request = urllib.request.Request(
        server.address + "gradio_api/upload",
        body,
        {"Content-Type": "multipart/form-data; boundary=x"},
    )
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request)
    with caught.value as error:
        assert error.code == 413


def test_two_pictures_are_compared_patch_by_patch(visitor, photograph, tmp_path):
    page = visitor
    other = tmp_path / "other.png"
    Image.fromarray(np.ascontiguousarray(read(photograph)[:, :90, :])).save(other)
    page.opened("comparison")
    page.upload("first_picture", photograph)
    page.upload("second_picture", other)
    page.wait("document.querySelectorAll('#comparison img').length >= 2")
    page.press("compare_two")
    page.wait("document.querySelector('#alike iframe')")
    frame = page.run("document.querySelector('#alike iframe').srcdoc")
    assert "a b.png" in frame
    assert "other.png" in frame
    page.save("alike")
