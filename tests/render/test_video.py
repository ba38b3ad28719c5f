import http.server
import os
import subprocess
import sys
import threading
from fractions import Fraction

import numpy as np
import pytest
from PIL import Image

from kerasvit.errors import InputError, OutputError, UsageError
from kerasvit.render.video import ffmpeg as video_ffmpeg
from kerasvit.render.video import pillow as video_pillow
from kerasvit.render.video.frames import create_video, is_video, open_video
from kerasvit.render.video.series import create_series
from kerasvit.render.video.steady import SteadyRange

BY_FFMPEG = (".mp4", ".mov", ".avi", ".webm", ".mkv")
NTSC = Fraction(30000, 1001)


def pictures(count=12, size=(32, 48)):
    """Frames whose left half is a grey that says their number."""
    frames = np.full((count, *size, 3), 128, np.uint8)
    frames[:, :, : size[1] // 2] = (np.arange(count) * 20)[:, None, None, None]
    return frames


def numbers(frames):
    """Return which of `pictures` each frame is."""
    return [round(float(frame[:, : frame.shape[1] // 2 - 2].mean()) / 20) for frame in frames]


def written(path, frames, rate=25):
    with create_video(path, rate) as write:
        for frame in frames:
            write(frame)
    return path


def converted(source, path, *options):
    """Write another format by ffmpeg itself."""
    command = [video_ffmpeg.executable(), "-v", "error", "-i", source, *options, path]
    subprocess.run(command, check=True)
    return path


def cut(path, share):
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])


def read_all(path):
    with open_video(path) as video:
        return list(video)


@pytest.mark.parametrize("rate", [10, 25, NTSC, 60])
def test_an_mp4_comes_back_with_its_frames_and_its_rate(tmp_path, rate):
    path = written(tmp_path / "a.mp4", pictures(), rate)
    with open_video(path) as video:
        frames = list(video)
        assert (video.rate, video.size, video.count) == (rate, (32, 48), 12)
    assert numbers(frames) == list(range(12))
    assert all(frame.dtype == np.uint8 and frame.shape == (32, 48, 3) for frame in frames)


@pytest.mark.parametrize("suffix", BY_FFMPEG[1:])
def test_other_formats_are_read(tmp_path, suffix):
    source = written(tmp_path / "a.mp4", pictures(), NTSC)
    path = converted(source, tmp_path / f"b{suffix}")
    with open_video(path) as video:
        assert numbers(video) == list(range(12))
        assert video.rate == NTSC
    assert is_video(path)


def test_colours_survive(tmp_path):
    frame = np.zeros((64, 64, 3), np.uint8)
    colours = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 233, 69)]
    for index, colour in enumerate(colours):
        frame[index * 16 : (index + 1) * 16] = colour
    for suffix in (".mp4", ".gif"):
        (read,) = read_all(written(tmp_path / f"a{suffix}", [frame]))
        for index, colour in enumerate(colours):
            shown = read[index * 16 + 4 : index * 16 + 12].reshape(-1, 3)
            np.testing.assert_allclose(shown, [colour] * len(shown), atol=6)


def test_odd_sides_are_padded_by_their_last_row_and_column(tmp_path):
    frame = np.full((33, 47, 3), 40, np.uint8)
    frame[-1], frame[:, -1] = 220, 220
    (read,) = read_all(written(tmp_path / "a.mp4", [frame]))
    assert read.shape == (34, 48, 3)
    np.testing.assert_allclose(read[-1].astype(int), 220, atol=12)
    np.testing.assert_allclose(read[:, -1].astype(int), 220, atol=12)
    (read,) = read_all(written(tmp_path / "a.gif", [frame]))
    np.testing.assert_array_equal(read, frame)


def test_mp4_is_what_browsers_play(tmp_path):
    path = written(tmp_path / "a.mp4", pictures())
    shown = subprocess.run(
        [video_ffmpeg.executable(), "-i", path], capture_output=True, text=True, check=False
    ).stderr
    assert "h264" in shown
    assert "yuv420p(tv, bt709" in shown
    content = path.read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")


@pytest.mark.parametrize("rate", [NTSC, 24, Fraction(25, 2)])
def test_the_delays_of_a_gif_follow_the_rate_without_drifting(tmp_path, rate):
    path = written(tmp_path / "a.gif", pictures(), rate)
    shown = 0
    with Image.open(path) as image:
        for index in range(image.n_frames):
            image.seek(index)
            shown += image.info["duration"]
            assert abs(shown - 1000 * (index + 1) / rate) <= 5
        assert image.n_frames == 12
    with open_video(path) as video:
        assert abs(float(video.rate / rate) - 1) < 0.02
        assert numbers(video) == list(range(12))


def test_a_gif_leaves_out_what_is_faster_than_browsers_show(tmp_path):
    path = written(tmp_path / "a.gif", pictures(), 100)
    with open_video(path) as video:
        assert video.rate == 50
        assert numbers(video) == [0, 2, 4, 6, 8, 10]


@pytest.mark.parametrize("suffix", [".gif", ".png", ".webp"])
def test_pictures_of_different_length_are_repeated(tmp_path, suffix):
    frames = [Image.fromarray(frame) for frame in pictures(3)]
    path = tmp_path / f"a{suffix}"
    options = {"lossless": True} if suffix == ".webp" else {}
    frames[0].save(
        path, save_all=True, append_images=frames[1:], duration=[100, 300, 200], **options
    )
    with open_video(path) as video:
        assert (video.rate, video.size, video.count) == (10, (32, 48), 6)
        assert numbers(video) == [0, 1, 1, 1, 2, 2]
    assert is_video(path)
    frames[0].save(path)
    assert not is_video(path)


def test_an_apng_of_30_pictures_a_second_stays_one(tmp_path):
    frames = [Image.fromarray(frame) for frame in pictures(4)]
    frames[0].save(tmp_path / "a.png", save_all=True, append_images=frames[1:], duration=1000 / 30)
    with open_video(tmp_path / "a.png") as video:
        assert abs(float(video.rate) - 30) < 0.5


def test_transparent_frames_lie_on_white(tmp_path):
    frames = [Image.new("RGBA", (8, 8), (0, 0, 0, 0)), Image.new("RGBA", (8, 8), (9, 9, 9, 255))]
    frames[0].save(
        tmp_path / "a.webp", save_all=True, append_images=frames[1:], duration=50, lossless=True
    )
    first, second = read_all(tmp_path / "a.webp")
    assert (first == 255).all()
    assert (second == 9).all()


def test_a_turned_video_stands_upright(tmp_path):
    source = written(tmp_path / "a.mp4", pictures())
    path = converted(source, tmp_path / "b.mp4", "-c", "copy")
    turned = tmp_path / "c.mp4"
    subprocess.run(
        [
            *(video_ffmpeg.executable(), "-v", "error", "-display_rotation", "90", "-i", path),
            *("-c", "copy", turned),
        ],
        check=True,
    )
    with open_video(turned) as video:
        frame = next(iter(video))
        assert video.size == frame.shape[:2] == (48, 32)


def test_a_rate_that_nobody_meant_is_replaced(tmp_path):
    source = written(tmp_path / "a.mp4", pictures(4), 1000)
    with open_video(source) as video:
        assert video.rate == 30


@pytest.mark.parametrize("suffix", [*BY_FFMPEG, ".gif", ".png", ".webp"])
@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.9])
def test_a_video_that_is_cut_off_gives_what_can_be_read_or_one_line(tmp_path, suffix, share):
    noise = np.random.default_rng(0).integers(0, 255, (12, 32, 48, 3), dtype=np.uint8)
    path = tmp_path / f"a{suffix}"
    if suffix in BY_FFMPEG:
        source = written(tmp_path / "source.mp4", noise)
        path = converted(source, path, *(["-movflags", "+faststart"] if suffix == ".mp4" else []))
    else:
        frames = [Image.fromarray(frame) for frame in noise]
        frames[0].save(path, save_all=True, append_images=frames[1:], duration=40)
    whole = read_all(path)
    assert len(whole) == 12
    cut(path, share)
    # Its index is behind, or it is read whole.
    if suffix in (".webp", ".mov") or share == 0.02:
        with pytest.raises(InputError) as error:
            read_all(path)
        assert str(path) in str(error.value)
        assert "\n" not in str(error.value)
        return
    with open_video(path) as video:
        frames = list(video)
    assert 1 <= len(frames) < 12
    (note,) = video.notes
    assert f" {len(frames)}" in note
    assert "\n" not in note
    # What was read before the cut is what it was.
    np.testing.assert_array_equal(frames[0], whole[0])


@pytest.mark.parametrize("name", ["a.mp4", "a.gif"])
@pytest.mark.parametrize("content", [b"", b"<html>not found</html>", b"GIF89a", bytes(5000)])
def test_what_is_no_video_is_named(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match="no video"):
        read_all(tmp_path / name)


@pytest.mark.parametrize("suffix", [".mp4", ".gif"])
def test_frames_larger_than_a_picture_may_be_are_refused_before_one_is_read(
    tmp_path, monkeypatch, suffix
):
    path = written(tmp_path / f"a{suffix}", pictures(2))
    for module in (video_ffmpeg, video_pillow):
        monkeypatch.setattr(module, "MAX_MOVING_PIXELS", 32 * 48)
    assert len(read_all(path)) == 2
    for module in (video_ffmpeg, video_pillow):
        monkeypatch.setattr(module, "MAX_MOVING_PIXELS", 32 * 48 - 1)
    with pytest.raises(InputError, match=r"refused.*48 x 32") as error:
        read_all(path)
    assert "\n" not in str(error.value)


def test_a_picture_of_a_gif_beyond_its_screen_counts(tmp_path):
    """Pillow makes the screen larger: a few bytes would ask for a gibibyte and a half."""
    path = written(tmp_path / "a.gif", pictures(2))
    content = bytearray(path.read_bytes())
    place = content.rindex(b"\x2c\x00\x00\x00\x00")  # the second picture's descriptor
    content[place + 5 : place + 9] = (9_000).to_bytes(2, "little") * 2
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"refused.*9000 x 9000"):
        read_all(path)


def test_a_playlist_reaches_for_nothing(tmp_path):
    """ffmpeg follows the addresses in what it takes for a playlist, whatever the file's name."""
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_error(404)

        def log_message(self, *arguments):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/secret"
        path = tmp_path / "list.m3u8"
        path.write_text(
            f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{address}.ts\n#EXT-X-ENDLIST\n"
        )
        with pytest.raises(InputError), video_ffmpeg.reader(path) as clip:
            list(clip.frames)
        assert asked == []
        # The playlist is one that ffmpeg follows where it may.
        allowed = ("-protocol_whitelist", "file,http,tcp")
        command = [
            video_ffmpeg.executable(),
            "-v",
            "quiet",
            *allowed,
            "-i",
            path,
            "-f",
            "null",
            "-",
        ]
        subprocess.run(command, timeout=60, check=False)
        server.shutdown()
    assert set(asked) == {"/secret.ts"}


def test_ffmpeg_opens_files_and_pipes_and_nothing_else(tmp_path):
    """By default it opens more from a local file: encrypted parts, data inside addresses."""
    options = video_ffmpeg._input(written(tmp_path / "a.mp4", pictures(2)))
    place = options.index("-protocol_whitelist")
    assert options[place + 1] == "file,pipe"
    assert place < options.index("-i")


def test_a_missing_file_and_a_folder_are_named(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        read_all(tmp_path / "a.mp4")
    with pytest.raises(InputError, match="not a file"):
        read_all(tmp_path)
    assert not is_video(tmp_path / "a.mp4")


def test_names_that_look_like_options_or_addresses_are_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("-y.mp4", "http:a.mp4", "a%03d.mp4"):
        written(name, pictures(2))
        assert numbers(read_all(name)) == [0, 1]


def test_a_video_that_is_not_read_to_its_end_leaves_no_process(tmp_path):
    path = written(tmp_path / "a.mp4", pictures(200, (64, 64)) % 251)
    others = children()  # of other tests, such as multiprocessing's own
    with open_video(path) as video:
        next(iter(video))
        running = children() - others
        assert running
    assert not children() & running


def children():
    """Return the process ids of our children."""
    if not os.path.isdir(f"/proc/{os.getpid()}/task"):
        pytest.skip("needs /proc")
    with open(f"/proc/{os.getpid()}/task/{os.getpid()}/children") as file:
        return set(file.read().split())


def interrupted():
    yield pictures()[0]
    raise KeyboardInterrupt("stopped")


def overwritten(path, frames):
    with create_video(path, 25, overwrite=True) as write:
        for frame in frames:
            write(frame)


@pytest.mark.parametrize("suffix", [".mp4", ".gif"])
def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    path.write_bytes(b"old")
    with pytest.raises(OutputError, match="exists"):
        written(path, pictures())
    for frames, error in (
        (interrupted(), KeyboardInterrupt),
        ([*pictures(1), *pictures(1, (16, 16))], InputError),
        ([], InputError),
    ):
        with pytest.raises(error, match=r"one size|at least one frame|stopped"):
            overwritten(path, frames)
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == [path.name]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full, a full disk")
def test_a_full_disk_is_one_line_and_leaves_the_old_file(tmp_path, monkeypatch):
    output = video_ffmpeg._output
    monkeypatch.setattr(
        video_ffmpeg, "_output", lambda *a: [*output(*a)[:-1], "-flush_packets", "1", "/dev/full"]
    )
    path = tmp_path / "a.mp4"
    noise = np.random.default_rng(0).integers(0, 255, (60, 64, 64, 3), dtype=np.uint8)
    with pytest.raises(OutputError, match="could not be written"):
        written(path, noise)
    assert os.listdir(tmp_path) == []


def test_without_ffmpeg_the_extra_is_named_before_any_work(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    with pytest.raises(UsageError, match=r'pip install "kerasvit\[video\]"'):
        create_video(tmp_path / "a.mp4", 25).__enter__()
    assert numbers(read_all(written(tmp_path / "a.gif", pictures()))) == list(range(12))


def test_an_unknown_suffix_and_rate_are_refused(tmp_path):
    with pytest.raises(UsageError, match=r"\.mp4 or \.gif"):
        written(tmp_path / "a.avi", pictures())
    with pytest.raises(UsageError, match="rate"):
        written(tmp_path / "a.gif", pictures(), 0)


def test_the_range_of_colours_changes_slowly_and_follows_a_new_scene():
    rng = np.random.default_rng(0)
    steady = SteadyRange(25, seconds=1)
    ranges = []
    for index in range(150):
        scene = 1.0 if index < 50 else 5.0
        steady.normalise(scene * rng.uniform(0.0, 1.0, (8, 8)))
        ranges.append(steady.range[1])
    own = np.diff(ranges[:50])
    assert np.abs(own).max() < 0.01, "noise of one frame moves the range by under 1 %"
    assert ranges[50] < 1.3
    assert 0.6 < (ranges[50 + 24] - 1) / 4 < 0.7, "63 % after the time constant"
    assert ranges[-1] > 4.7


def test_a_value_keeps_its_colour_while_the_rest_of_the_map_changes():
    steady = SteadyRange(25)
    values = np.linspace(0, 1, 256).reshape(16, 16)
    before = steady.normalise(values)[8, 8]
    values[0, 0] = 50
    assert abs(steady.normalise(values)[8, 8] - before) < 0.01


def test_flat_signed_and_broken_maps():
    assert (SteadyRange(25).normalise(np.full((3, 4), 0.2)) == 0).all()
    shown = SteadyRange(25, from_zero=True).normalise(np.array([[-1.0, 0.0], [0.5, 1.0]]))
    assert shown[0].tolist() == [0, 0]
    assert shown[1, 1] == 1
    with pytest.raises(InputError, match="finite"):
        SteadyRange(25).normalise(np.array([[np.nan, 1]]))


def test_a_series_is_the_arrays_stacked(tmp_path):
    values = np.random.default_rng(0).normal(size=(7, 3, 4)).astype(np.float32)
    with create_series(tmp_path / "a.npz", {"rate": np.array(25.0)}) as append:
        for index, value in enumerate(values):
            append(values=value.T.copy().T, index=np.array(index))
    with np.load(tmp_path / "a.npz", allow_pickle=False) as arrays:
        np.testing.assert_array_equal(arrays["values"], values)
        np.testing.assert_array_equal(arrays["index"], np.arange(7))
        assert arrays["rate"] == 25


def test_a_series_of_unlike_elements_leaves_no_file(tmp_path):
    def write(*elements):
        with create_series(tmp_path / "a.npz", {}) as append:
            for element in elements:
                append(**element)

    for wrong in ({"values": np.zeros(3)}, {"others": np.zeros(2)}):
        with pytest.raises(InputError, match="series"):
            write({"values": np.zeros(2)}, wrong)
    assert os.listdir(tmp_path) == []
