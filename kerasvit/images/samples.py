"""Photographs for a first look: those inside the scikit-image wheel. Nothing is fetched."""

import importlib.util
import pathlib

from kerasvit.errors import UsageError

# Name: (file in skimage/data, what it shows, licence). Each licence is the one that the docstring
# of the function of that name in skimage.data states (scikit-image 0.26).
_FILES = {
    "astronaut": ("astronaut.png", "the astronaut Eileen Collins, NASA", "public domain"),
    "camera": ("camera.png", "a man behind a camera, grey, by Lav Varshney", "CC0"),
    "chelsea": ("chelsea.png", "Chelsea the cat, by Stefan van der Walt", "CC0"),
    "coffee": ("coffee.png", "a cup of coffee, by Rachel Michetti", "CC0"),
    "coins": ("coins.png", "Greek coins, grey, Brooklyn Museum", "no known copyright restrictions"),
    "hubble_deep_field": ("hubble_deep_field.jpg", "galaxies, NASA", "public domain"),
    "retina": ("retina.jpg", "the back of a human eye, by Mikael Häggström", "CC0"),
    "rocket": ("rocket.jpg", "the launch of a Falcon 9, SpaceX", "public domain"),
}

SAMPLES: dict[str, str] = {
    name: f"{subject} ({licence})" for name, (_, subject, licence) in _FILES.items()
}


def sample(name: str) -> pathlib.Path:
    """Return the path of a photograph that the installed scikit-image ships.

    Args:
        name: a key of `SAMPLES`.

    Returns:
        Path of an existing file inside the installed package.

    Raises:
        UsageError: if the name is unknown, or scikit-image or its file is not installed.
    """
    if name not in _FILES:
        raise UsageError(f"There is no sample {name!r}. Choose one of: {', '.join(_FILES)}.")
    # The package is found, not imported: its import is slow and nothing of it is called.
    spec = importlib.util.find_spec("skimage")
    for folder in (spec and spec.submodule_search_locations) or ():
        path = pathlib.Path(folder, "data", _FILES[name][0])
        if path.is_file():
            return path
    found = "without this file" if spec else "nowhere"
    raise UsageError(
        f"The sample {name!r} comes with scikit-image. Received: scikit-image installed {found}. "
        'Install it with: pip install "kerasvit[samples]"'
    )
