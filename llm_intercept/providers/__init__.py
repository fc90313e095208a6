"""Where LLM traffic goes: one file for each provider, found by scanning this package. See `base.Provider`."""

from llm_intercept.providers.registry import Registry

__all__ = ["Registry"]
