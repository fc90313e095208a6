"""Entry for `datasette --plugins-dir`, which loads single files only: registers the package beside it.

The package is loaded by its path. Putting this folder on `sys.path` instead would let this very file
shadow the `llm_intercept` package.
"""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

from datasette.plugins import pm

NAME = "llm_dashboard"


def _load() -> ModuleType:
    if NAME in sys.modules:
        return sys.modules[NAME]
    folder = Path(__file__).resolve().parent / NAME
    spec = importlib.util.spec_from_file_location(
        NAME, folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    if spec is None or spec.loader is None:
        raise ImportError(f"no package {NAME} beside {__file__}")
    sys.modules[NAME] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


_dashboard = _load()
if not pm.is_registered(_dashboard):
    pm.register(_dashboard, name=NAME)
