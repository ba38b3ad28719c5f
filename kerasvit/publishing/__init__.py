"""Publishing models: `kerasvit push`."""

from kerasvit.publishing.card import model_card
from kerasvit.publishing.hub import push, write_folder

__all__ = ["model_card", "push", "write_folder"]
