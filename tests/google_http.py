"""The HTTP library that the installed google-genai takes clients of; an older one on Python 3.12."""

import importlib
from typing import Any, get_args

from google.genai import types

_kinds = get_args(types.HttpOptions.model_fields["httpx_client"].annotation)
httpx: Any = importlib.import_module(_kinds[0].__module__.partition(".")[0])
