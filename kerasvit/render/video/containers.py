"""Which of ffmpeg's readers may open a file: decided here, from its first bytes.

Left to itself ffmpeg takes a text for a list of other files, whatever its name, and opens those:
its readers of lists (ffconcat, HLS, DASH, SDP, subtitles, numbered pictures) are never reached.

Sources: ISO/IEC 14496-12 section 4.2; RFC 8794 section 8.1; ISO/IEC 13818-1 sections 2.4.3 and
2.5.3; Microsoft's ASF specification section 10.1; RFC 3533 section 6.
"""

import os
import re

from kerasvit.errors import InputError
from kerasvit.images.kinds import kind_of

_BOXES = rb"ftyp|moov|mdat|free|skip|wide|pnot|uuid|styp|moof|sidx"
_READERS = (
    (rb"....(?:" + _BOXES + rb")", "mov"),
    (rb"\x1aE\xdf\xa3", "matroska"),
    (rb"RIFF....AVI ", "avi"),
    (rb"\x00\x00\x01\xba", "mpeg"),
    (rb"\x00\x00\x01\xb3", "mpegvideo"),
    (rb"\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9\x00\xaa\x00\x62\xce\x6c", "asf"),
    (rb"FLV\x01", "flv"),
    (rb"OggS\x00", "ogg"),
    (rb"DKIF\x00\x00", "ivf"),
    (rb"YUV4MPEG2 ", "yuv4mpegpipe"),
    (rb"G.{187}G.{187}G", "mpegts"),
    (rb"....G.{191}G.{191}G", "mpegts"),
)
_START = 1024


def reader_of(path: str | os.PathLike[str]) -> str:
    """Return the name of ffmpeg's reader for a file.

    Args:
        path: the file.

    Raises:
        InputError: if it begins like no container of videos.
    """
    try:
        with open(path, "rb") as file:
            start = file.read(_START)
    except OSError as error:
        raise InputError(
            f"The video {str(path)!r} cannot be read. Received: {error.strerror}. Check the file."
        ) from error
    for pattern, reader in _READERS:
        if re.match(pattern, start, re.S):
            return reader
    kind, _ = kind_of(start)
    kind = "a list or an unknown format" if kind.startswith("not a picture") else kind
    raise InputError(
        f"The video {str(path)!r} cannot be read: it is no video, but {kind}. A video is "
        "MP4, QuickTime, Matroska, WebM, AVI, MPEG, WMV, FLV or Ogg. "
        f"Received: first bytes {start[:16]!r}. Check or convert the file."
    )
