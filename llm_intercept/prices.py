"""The price list that comes with the package (`data/prices.toml`): what genai-prices cannot know."""

import tomllib
from importlib.resources import files

from llm_intercept.settings import PriceOverride


def built_in() -> list[PriceOverride]:
    text = (files("llm_intercept") / "data" / "prices.toml").read_text("utf-8")
    return [PriceOverride.model_validate(entry) for entry in tomllib.loads(text)["prices"]]
