"""What one visitor of the page may ask for, so that it stays usable for the others."""

# Of one upload, a picture or a video, in bytes.
MAX_UPLOAD = 100 * 2**20
# Width x height of a picture; the cameras of telephones reach 50 million.
MAX_PIXELS = 60_000_000
# Of a video: twenty seconds at thirty frames a second.
MAX_FRAMES = 600
# Scores of all blocks with their gradients, in bytes: a ViT-L/14 at 518 pixels takes 5.8 GB.
MAX_SCORES = 8 * 2**30
# Requests that wait for the model before a further one is turned away.
MAX_WAITING = 32

KEPT_MODELS = 3
KEPT_PICTURES = 2
KEPT_MAPS = 24
# Folders of files that were made for downloads.
KEPT_DOWNLOADS = 12
# Seconds after which an upload or a download is removed while the page runs.
KEPT_SECONDS = 3600

# The longest side of a picture on the page, in pixels, and what small ones are enlarged to.
LONGEST_SIDE, SHORTEST_LONG_SIDE = 960, 640
