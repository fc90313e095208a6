"""The regional host names of clouds, one by one, from `data/regions.toml`: what our root may sign for."""

import tomllib
from functools import cache
from importlib.resources import files


@cache
def _regions() -> dict[str, dict[str, list[str]]]:
    return tomllib.loads(files("llm_intercept").joinpath("data", "regions.toml").read_text("utf-8"))


def bedrock_hosts() -> tuple[str, ...]:
    regions = _regions()["bedrock"]
    return (
        *(f"bedrock-runtime.{region}.amazonaws.com" for region in regions["runtime"]),
        *(f"bedrock-runtime-fips.{region}.amazonaws.com" for region in regions["fips"]),
        *(f"bedrock-mantle.{region}.api.aws" for region in regions["mantle"]),
    )


def vertex_hosts() -> tuple[str, ...]:
    regions = _regions()["vertex"]
    return (
        "aiplatform.googleapis.com",
        *(f"{location}-aiplatform.googleapis.com" for location in regions["locations"]),
        *(f"aiplatform.{region}.rep.googleapis.com" for region in regions["multi_regions"]),
    )
