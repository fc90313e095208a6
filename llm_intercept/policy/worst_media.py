"""What calls for pictures and speech may take at most: their tokens are not those of their words.

A picture's tokens depend on its quality; sound is counted by its length, of which its bytes tell. All of it
is generous: nobody says before what a provider will count.
"""

import re
from collections.abc import Mapping

from llm_intercept.wire.fields import count, items, parse_object, text

IMAGE = {"low": 600, "medium": 2_400}  # tokens of output for one of this quality
BEST_IMAGE = 9_400  # of any other quality, or none that is named
PARTIAL_IMAGE = 150  # shown while the picture is being made
GIVEN_IMAGE = 6_500  # tokens of input for one to start from
BYTES_PER_HEARD = 250  # of compressed sound, for one token
SPOKEN = 20  # tokens of speech for one of text, spoken slowly

_FIELD = rb'name="%s"\r\n\r\n([0-9a-z]{1,10})\r\n'


def media(operation: str, body: bytes, words: int) -> tuple[int, int]:
    """(tokens of input beside the words, tokens of output) of a call for `images` or `audio`."""
    form = body[:2] == b"--"
    if operation == "audio":
        return (_heard(body), _heard(body)) if form else (0, SPOKEN * words)
    asked = _form(body) if form else parse_object(body)
    wanted = max(1, count(asked.get("n")) or 1)
    one = IMAGE.get(text(asked.get("quality"), 20), BEST_IMAGE)
    one += PARTIAL_IMAGE * min(10, count(asked.get("partial_images")) or 0)
    given = body.count(b'filename="') if form else len(items(asked.get("images")))
    return GIVEN_IMAGE * given, one * wanted


def answers(body: bytes, choices: int) -> int:
    """How many texts the legacy completions make: for each prompt the best of several."""
    asked = parse_object(body)
    prompts = items(asked.get("prompt"))
    several = len(prompts) if prompts and not isinstance(prompts[0], int) else 1
    return several * max(1, choices, count(asked.get("best_of")) or 1)


def _heard(body: bytes) -> int:
    return -(-len(body) // BYTES_PER_HEARD)


def _form(body: bytes) -> Mapping[str, object]:
    """Of a multipart form what decides about the price."""
    found = {}
    for name in ("n", "quality", "partial_images"):
        said = re.search(_FIELD % name.encode(), body)
        value = said[1].decode() if said else ""
        found[name] = int(value) if value.isdigit() else value
    return found
