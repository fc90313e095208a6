"""What the rest of the package says to people at a command line, said to those who call the API."""

import re
from dataclasses import dataclass

from llm_dashboard.api.operation import Operation
from llm_dashboard.api.problem import Problem

_COMMAND = re.compile(
    r"`?llm-intercept ((?:[a-z-]+ )*[a-z-]+)(?: [^`]*)?`|llm-intercept (user set) \S+ --inactive"
)
_OPTIONS = (
    ("; pass it with --key-env NAME or --key-stdin", ""),
    ("leave --port out", "leave it out"),
    ("give one with --port N", "give one"),
    ("say --project or give its id", "give its id"),
    ("choose another --name", "choose another name"),
)


@dataclass(frozen=True, slots=True)
class Wording:
    """`operations` in the order in which paths are looked for: those without a parameter first."""

    operations: tuple[Operation, ...]

    def told(self, problem: Problem) -> Problem:
        text = _COMMAND.sub(self._instead, problem.message)
        for said, meant in _OPTIONS:
            text = text.replace(said, meant)
        return Problem(problem.code, text, problem.field, problem.headers)

    def _instead(self, found: re.Match[str]) -> str:
        """The operation that does the same; the command itself where there is none."""
        words = (found[1] or found[2]).split()
        for length in range(len(words), 0, -1):
            operation = self._doing(words[:length])
            if operation is not None:
                return f"`{operation.method} /-/api{operation.path}`"
        return found[0]

    def _doing(self, words: list[str]) -> Operation | None:
        for operation in self.operations:
            for command in (operation.command, *operation.commands):
                if [word for word in command.split() if not word.startswith("--")] == words:
                    return operation
        return None
