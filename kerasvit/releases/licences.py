"""Licences that say more than "do what you like": where their terms stand."""

from kerasvit.releases.schema import Release

# By identifier. What is made of such weights, and their copies, stay under the same terms.
TERMS = {
    "dinov3-license": "https://ai.meta.com/resources/models-and-libraries/dinov3-license/",
    "sapiens2-license": "https://github.com/facebookresearch/sapiens2/blob/main/LICENSE.md",
    "cc-by-nc-4.0": "https://creativecommons.org/licenses/by-nc/4.0/",
}


def licence_of(release: Release) -> str:
    """Return the licence of a release in words, with the address of terms of its own."""
    name = release.licence or "no licence that is stated"
    terms = TERMS.get(name)
    return f"{name}, whose terms bind their user: {terms}" if terms else name
