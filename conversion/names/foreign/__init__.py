"""Tables of foreign names, a module for each source, and the engine that reads them as timm's."""

from kerasvit.conversion.names.foreign.renaming import in_timm_names

__all__ = ["in_timm_names"]
