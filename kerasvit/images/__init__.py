"""Pictures: safe decoding, the releases' preprocessing, and the way back to the original."""

from kerasvit.images.geometry import Geometry as Geometry
from kerasvit.images.inputs import resolve as resolve
from kerasvit.images.preprocessing import Prepared as Prepared
from kerasvit.images.preprocessing import Preprocessing as Preprocessing
from kerasvit.images.reading import read as read
from kerasvit.images.resampling import resize_array as resize_array
from kerasvit.images.samples import SAMPLES as SAMPLES
from kerasvit.images.samples import sample as sample
