"""Videos that attack, are damaged, or are transparent."""

import io
import struct
import subprocess
import time
import zlib

import numpy as np
import pytest
from PIL import Image

from kerasvit.errors import InputError
from kerasvit.render.video import containers
from kerasvit.render.video.ffmpeg import executable
from kerasvit.render.video.frames import create_video, is_video, open_video

pytest.importorskip("imageio_ffmpeg", reason="needs ffmpeg, the extra video")


def make(path, *options, source="testsrc=size=64x48:rate=10:duration=2"):
    """Let ffmpeg write a video of its own."""
    begin = [executable(), "-v", "error", "-y", "-f", "lavfi", "-i", source]
    subprocess.run([*begin, *options, path], check=True)
    return path


def read(path):
    with open_video(path) as video:
        return np.stack(list(video)), video.notes


def one_line(path):
    started = time.monotonic()
    with pytest.raises(InputError) as caught:
        read(path)
    assert time.monotonic() - started < 10
    assert "\n" not in str(caught.value)
    return str(caught.value)


# ---- files that open others ---------------------------------------------------------------------

LISTS = {
    "ffconcat": "ffconcat version 1.0\nfile '{name}'\n",
    "ffconcat behind a mark of order": "\ufeffffconcat version 1.0\nfile '{name}'\n",
    "ffconcat behind blanks": "\n\n  ffconcat version 1.0\nfile {name}\n",
    "concat without a head": "file '{name}'\n",
    "HLS": "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n{name}\n#EXT-X-ENDLIST\n",
    "HLS behind a mark of order": "\ufeff#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n{name}\n",
    "DASH": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><Period/></MPD>',
    "SDP": "v=0\no=- 0 0 IN IP4 127.0.0.1\nm=video 5004 RTP/AVP 96\n",
    "playlist": "[playlist]\nFile1={name}\n",
    "subtitles": "1\n00:00:00,000 --> 00:00:01,000\n{name}\n",
    "WebVTT": "WEBVTT\n\n00:00.000 --> 00:01.000\n{name}\n",
    "ASX": '<asx version="3.0"><entry><ref href="{name}"/></entry></asx>',
    "IMF": '<CompositionPlaylist xmlns="http://www.smpte-ra.org/schemas/2067-3/2016"/>',
    "metadata": ";FFMETADATA1\ntitle={name}\n",
    "avisynth": 'FFmpegSource2("{name}")\n',
}


@pytest.mark.parametrize("suffix", [".mp4", ".avi", ".mkv"])
@pytest.mark.parametrize("kind", LISTS)
def test_a_list_of_other_files_is_refused_whatever_its_name(tmp_path, kind, suffix):
    secret = tmp_path / "secret.mp4"
    if not secret.exists():
        secret.write_bytes(b"")
    evil = tmp_path / f"evil{suffix}"
    evil.write_text(LISTS[kind].format(name="secret.mp4"))
    assert "no video" in one_line(evil)


def test_the_list_is_one_that_ffmpeg_follows_if_it_is_let(tmp_path):
    make(tmp_path / "secret.mp4")
    evil = tmp_path / "evil.mp4"
    evil.write_text(LISTS["ffconcat"].format(name="secret.mp4"))
    done = subprocess.run([executable(), "-i", evil], capture_output=True, text=True, check=False)
    assert "Video: h264" in done.stderr
    assert "list of other files" in one_line(evil)


@pytest.mark.parametrize("name", ["a%03d.mp4", "a*.mp4", "a?.mp4", "-i.mp4", "a:b.mp4", "a\nb.mp4"])
def test_a_name_is_only_a_name(tmp_path, name):
    make(tmp_path / "a001.mp4", source="color=red:size=64x48:rate=10:duration=1")
    path = make(tmp_path / "plain.mp4", source="color=blue:size=64x48:rate=10:duration=1")
    path = path.rename(tmp_path / name)
    frames, notes = read(path)
    assert notes == []
    assert frames[0, 0, 0, 2] > 200


@pytest.mark.parametrize(
    ("suffix", "reader"),
    [
        (".mp4", "mov"),
        (".mov", "mov"),
        (".3gp", "mov"),
        (".mkv", "matroska"),
        (".webm", "matroska"),
        (".avi", "avi"),
        (".wmv", "asf"),
        (".mpg", "mpeg"),
        (".ts", "mpegts"),
        (".m2ts", "mpegts"),
        (".flv", "flv"),
        (".ogv", "ogg"),
        (".y4m", "yuv4mpegpipe"),
    ],
)
def test_the_first_bytes_tell_the_reader(tmp_path, suffix, reader):
    options = ["-s", "176x144", "-r", "25", "-an"] if suffix == ".3gp" else []
    options += ["-c:v", "libvpx"] if suffix == ".webm" else []
    options += ["-pix_fmt", "yuv420p"] if suffix == ".y4m" else []
    source = "testsrc=size=64x48:rate=25:duration=0.4"
    path = make(tmp_path / f"a{suffix}", *options, source=source)
    assert containers.reader_of(path) == reader
    wrong = path.rename(tmp_path / "other.mp4")
    frames, notes = read(wrong)
    assert len(frames) >= 8, "a file is read whatever its name"
    assert notes == []


# ---- bombs --------------------------------------------------------------------------------------


def gif(count, size):
    stream = io.BytesIO()
    Image.new("P", (1, 1)).save(stream, "GIF")
    one = stream.getvalue()
    start = one.index(b",")
    head = bytearray(one[:start])
    struct.pack_into("<HH", head, 6, *size)
    return bytes(head) + one[start:-1] * count + b";"


def apng(count, size):
    """An APNG that says so many frames."""
    stream = io.BytesIO()
    images = [Image.new("L", (4, 4), shade) for shade in range(3)]
    images[0].save(stream, "PNG", save_all=True, append_images=images[1:])
    content = bytearray(stream.getvalue())
    for name, data in ((b"IHDR", struct.pack(">II", *size)), (b"acTL", struct.pack(">I", count))):
        place = content.index(name)
        length = int.from_bytes(content[place - 4 : place])
        content[place + 4 : place + 4 + len(data)] = data
        checksum = zlib.crc32(bytes(content[place : place + 4 + length]))
        content[place + 4 + length : place + 8 + length] = struct.pack(">I", checksum)
    return bytes(content)


@pytest.mark.parametrize(
    "content",
    [
        gif(1, (65535, 65535)),
        gif(2000, (9000, 9000)),
        gif(100_001, (1, 1)),
        apng(3, (60_000, 60_000)),
        apng(2**31 - 1, (4, 4)),
        apng(5000, (9000, 9000)),
    ],
    ids=["canvas", "frames of a large canvas", "frames", "PNG canvas", "PNG frames", "PNG both"],
)
def test_an_animation_that_is_too_much_is_refused_before_it_is_decoded(tmp_path, content):
    path = tmp_path / "bomb.gif"
    path.write_bytes(content)
    started = time.process_time()
    assert "refused" in one_line(path) or "no video" in one_line(path)
    assert time.process_time() - started < 3
    started = time.process_time()
    is_video(path)
    assert time.process_time() - started < 1


# ---- damage -------------------------------------------------------------------------------------


def test_damaged_blocks_leave_the_other_frames(tmp_path):
    path = make(tmp_path / "a.mp4", "-pix_fmt", "yuv420p", "-g", "5", "-movflags", "+faststart")
    whole, notes = read(path)
    assert (len(whole), notes) == (20, [])
    content = bytearray(path.read_bytes())
    start = content.index(b"mdat")
    place = start + (len(content) - start) * 6 // 10
    content[place : place + 40] = bytes(40)
    path.write_bytes(content)
    frames, notes = read(path)
    assert 15 <= len(frames) <= 20
    assert "damaged" in notes[0]
    for frame, before in zip(frames[:8], whole[:8], strict=True):
        np.testing.assert_array_equal(frame, before)


def test_a_video_without_a_readable_frame_is_refused(tmp_path):
    path = make(tmp_path / "a.mp4", "-pix_fmt", "yuv420p", "-movflags", "+faststart")
    content = path.read_bytes()
    start = content.index(b"mdat") + 4
    path.write_bytes(content[:start] + bytes(len(content) - start))
    assert "cannot be read" in one_line(path)


# ---- transparency -------------------------------------------------------------------------------

# Black on the left; on the right transparent, with green hidden below.
HALF = (
    "color=black:size=64x48:rate=10:duration=1,format=yuva420p,"
    "geq=lum='if(lt(X,32),16,140)':cb='if(lt(X,32),128,54)':cr='if(lt(X,32),128,34)'"
    ":a='if(lt(X,32),255,0)'"
)


@pytest.mark.parametrize(
    ("suffix", "options"),
    [
        (".webm", ("-c:v", "libvpx", "-auto-alt-ref", "0", "-pix_fmt", "yuva420p")),
        (".webm", ("-c:v", "libvpx-vp9", "-pix_fmt", "yuva420p")),
        (".mkv", ("-c:v", "ffv1", "-pix_fmt", "yuva420p")),
        (".mov", ("-c:v", "prores_ks", "-profile:v", "4444", "-pix_fmt", "yuva444p10le")),
        (".mov", ("-c:v", "qtrle", "-pix_fmt", "argb")),
        (".mov", ("-c:v", "png", "-pix_fmt", "rgba")),
    ],
)
def test_what_is_transparent_in_a_video_is_white(tmp_path, suffix, options):
    path = make(tmp_path / f"a{suffix}", *options, source=HALF)
    frames, notes = read(path)
    assert notes == []
    assert len(frames) == 10
    assert frames[:, :, 40:].min() > 245
    assert frames[:, :, :24].max() < 30


def test_white_on_transparency_is_shown_on_black_all_through(tmp_path):
    white = (
        HALF.replace("16,140", "235,140").replace("128,54", "128,128").replace("128,34", "128,128")
    )
    path = make(tmp_path / "a.mov", "-c:v", "qtrle", "-pix_fmt", "argb", source=white)
    frames, _ = read(path)
    assert frames[:, :, :24].min() > 230
    assert frames[:, :, 40:].max() < 20
    logos = [Image.new("RGBA", (12, 8), (255, 255, 255, 0)) for _ in range(3)]
    for index, logo in enumerate(logos[1:]):
        logo.paste((255, 255, 255, 255), (index, 1, index + 4, 5))
    for name in ("a.gif", "a.png", "a.webp"):
        options = {"lossless": True} if name.endswith("webp") else {}
        options |= {"disposal": 2} if name.endswith("gif") else {}
        logos[0].save(
            tmp_path / name, save_all=True, append_images=logos[1:], duration=100, **options
        )
        frames, _ = read(tmp_path / name)
        assert frames[0].max() == 0, name
        assert frames[-1].max() == 255, name
    logos[2].paste((200, 0, 0, 255), (0, 0, 2, 2))
    logos[0].save(tmp_path / "b.png", save_all=True, append_images=logos[1:], duration=100)
    assert read(tmp_path / "b.png")[0][0].min() == 255, "one picture that is seen on white decides"


def test_what_is_written_comes_back_without_a_note(tmp_path):
    with create_video(tmp_path / "a.mp4", 25) as write:
        for shade in range(0, 200, 20):
            write(np.full((32, 48, 3), shade, np.uint8))
    assert read(tmp_path / "a.mp4")[1] == []
