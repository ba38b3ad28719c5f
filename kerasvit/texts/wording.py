"""Small words of messages and tables: numbers with their nouns."""


def counted(count: int, noun: str) -> str:
    """Return `"1 picture"` or `"3 pictures"`.

    Args:
        count: how many.
        noun: in the singular; those in -s, -x and -ch get -es, those in consonant and y get -ies.
    """
    return f"{count} {noun if count == 1 else plural(noun)}"


def plural(noun: str) -> str:
    """Return the plural of a noun."""
    if noun.endswith(("s", "x", "ch", "sh")):
        return f"{noun}es"
    if noun.endswith("y") and noun[-2:-1] not in "aeiou":
        return f"{noun[:-1]}ies"
    return f"{noun}s"
