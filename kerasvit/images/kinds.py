"""What a file is by its first bytes, where it is no picture that is read here.

Sources: the PRONOM registry (https://www.nationalarchives.gov.uk/PRONOM), ISO/IEC 14496-12 section
4.3 for the brands of `ftyp`, DICOM PS3.10 section 7.1.
"""

import re

_SAVE = "Save it as PNG or JPEG"
_VIDEO = "Draw it with kerasvit saliency under a video's name, such as .mp4"

# First bytes, what they begin, and what to do with it; the first that fits counts.
_BEGINNINGS: tuple[tuple[bytes, str, str], ...] = (
    (rb"version https://git-lfs", "a git-lfs pointer, not the picture itself", "Run git lfs pull"),
    (rb"%PDF-", "a PDF document, not a picture", "Export the page or the figure as PNG"),
    (rb"%!PS|\xc5\xd0\xd3\xc6", "a PostScript drawing, not a picture", "Export it as PNG"),
    (rb"8BPS", "a Photoshop document, not a picture", "Export it as PNG"),
    (rb"PK\x03\x04", "a zip archive, not a picture", "Unpack it"),
    (rb"\x1f\x8b|BZh|\xfd7zXZ|7z\xbc\xaf|Rar!", "a packed file, not a picture", "Unpack it"),
    (rb"\x1aE\xdf\xa3", "a Matroska or WebM video, not a picture", _VIDEO),
    (rb"RIFF....AVI ", "an AVI video, not a picture", _VIDEO),
    (rb"\x00\x00\x01[\xba\xb3]", "an MPEG video, not a picture", _VIDEO),
    (rb"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "a Windows Media video, not a picture", _VIDEO),
    (rb".{128}DICM", "a DICOM file, not a picture", "Export it as a 16-bit PNG or TIFF"),
    (rb"SIMPLE  =", "a FITS file of astronomy, not a picture", "Export it as a 16-bit PNG or TIFF"),
    (rb"\x89HDF|\x93NUMPY", "a file of arrays, not a picture", "Pass the array from Python"),
    (rb"\x00\x00\x01\x00", "an icon, not a picture", _SAVE),
    (rb"FUJIFILMCCD-RAW|IIRO|IIU\x00|\x00MRM", "a camera's raw file, not a picture", _SAVE),
    (rb"\xff\x0a|\x00\x00\x00\x0cJXL ", "a JPEG XL picture, which is not read here", _SAVE),
    (rb"P[1-7]\s", "a Netpbm picture, which is not read here", _SAVE),
    (rb"#EXTM3U|ffconcat", "a list of other files, not a picture", "Name these files"),
)
_SVG = re.compile(rb"(?is)<svg[\s>]")
_MARKUP = re.compile(rb"\s*(\xef\xbb\xbf)?\s*<")
_FTYP = re.compile(rb"(?s)....ftyp(....)")
_HEIF = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
_AVIF = (b"avif", b"avis")


def kind_of(start: bytes) -> tuple[str, str]:
    """Say what a file is that is no picture, and what to do with it.

    Args:
        start: its first bytes, a thousand or so.

    Returns:
        kind: as a sentence goes on after "is".
        advice: a sentence.
    """
    if not start:
        return "empty", "Check the download"
    for pattern, kind, advice in _BEGINNINGS:
        if re.match(pattern, start, re.S):
            return kind, advice
    if _MARKUP.match(start):
        if _SVG.search(start):
            return "an SVG drawing (XML), which has no pixels", "Export it as PNG"
        return "an HTML or XML page, not a picture", "Check the address that it came from"
    if _FTYP.match(start):
        return "an MP4 or QuickTime video, not a picture", _VIDEO
    kind = "not a picture of a known format, or its header is damaged"
    return kind, "Check the download, or convert the file"


def modern_format(start: bytes) -> str | None:
    """Return `"HEIF"` or `"AVIF"` of a file that begins like one, else None."""
    match = _FTYP.match(start)
    if match is None:
        return None
    length = min(int.from_bytes(start[:4]), len(start))
    brands = [match[1], *(start[place : place + 4] for place in range(16, length, 4))]
    # The brand that leads may be a general one, of pictures in either code.
    if any(brand in _AVIF for brand in brands):
        return "AVIF"
    return "HEIF" if any(brand in _HEIF for brand in brands) else None


def suffix_of(start: bytes) -> str | None:
    """Return the ending that a video's first bytes ask for; None of what is none."""
    if re.match(rb"\x1aE\xdf\xa3", start):
        return ".mkv"
    if re.match(rb"(?s)RIFF....AVI ", start):
        return ".avi"
    if re.match(rb"\x00\x00\x01[\xba\xb3]", start):
        return ".mpg"
    is_video = _FTYP.match(start) and modern_format(start) is None
    return ".mp4" if is_video else None
