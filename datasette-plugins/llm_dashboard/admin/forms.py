"""Forms: what a field is, how typed text becomes values, and where what is wrong with it is said.

A form keeps what was typed. What a pydantic model or the management refuses is said at the field that it is
about, and above the form where it is about none of them.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal

from pydantic import BaseModel, ValidationError

from llm_intercept.errors import ConfigError, InterceptError
from llm_intercept.secrecy import said

type Kind = Literal["text", "number", "area", "select", "check", "secret"]
type Options = Sequence[tuple[str, str]]

# for projects and listeners; what stands for "as settings say" comes before them
STORED_ANSWERS: Options = (
    ("off", "Off: every call goes to the provider"),
    ("opt-in", "Only for calls that ask for it"),
    ("on", "On: the same is answered again"),
)
NAMES = "1 to 64 of A-Z a-z 0-9 . _ -"
_COMMAND_CLAUSE = re.compile(r"[;,]\s+(?:or run )?`llm-intercept [^`]*`[^;]*$|\s*\(llm-intercept [^)]*\)")
_AMOUNT = re.compile(r"\$?([0-9][0-9_,]*(?:\.[0-9]+)?)\s*([kmb]?)", re.IGNORECASE)
_UNITS = {"": 1, "k": 10**3, "m": 10**6, "b": 10**9}
_SEPARATORS = re.compile(r"[\n,]")


@dataclass(frozen=True, slots=True)
class Field:
    """One input. `options` are (value, label) of a select, and what a text suggests."""

    name: str
    label: str
    kind: Kind = "text"
    help: str = ""
    options: Options = ()
    placeholder: str = ""
    required: bool = False
    autocomplete: str = "off"
    wide: bool = False


@dataclass(frozen=True, slots=True)
class Section:
    """Fields under one heading. `folded` ones are opened by a click, or when something in them is set."""

    title: str
    fields: Sequence[Field]
    help: str = ""
    folded: bool = False


@dataclass(slots=True)
class Form:
    """`errors` by field; `problem` is about the whole."""

    sections: Sequence[Section]
    values: dict[str, str] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    problem: str = ""

    @property
    def fields(self) -> list[Field]:
        return [each for section in self.sections for each in section.fields]

    @property
    def failed(self) -> bool:
        return bool(self.errors or self.problem)

    def is_open(self, section: Section) -> bool:
        """Nothing that is set, or wrong, is folded away."""
        touched = any(self.values.get(f.name) or f.name in self.errors for f in section.fields)
        return touched or not section.folded

    def take(self, posted: Mapping[str, Sequence[str]]) -> None:
        """What was typed; boxes that are not ticked are not sent. Required fields are checked here."""
        for each in self.fields:
            self.values[each.name] = (posted.get(each.name) or [""])[0].replace("\r\n", "\n").strip()
            if each.required and not self.values[each.name]:
                self.errors[each.name] = "This is needed."

    def text(self, name: str) -> str:
        return self.values.get(name, "")

    def ticked(self, name: str) -> bool:
        return bool(self.text(name))

    def words(self, name: str) -> list[str]:
        """Separated by lines or commas."""
        return [word.strip() for word in _SEPARATORS.split(self.text(name)) if word.strip()]

    def read[T](self, name: str, convert: Callable[[str], T]) -> T | None:
        """The value of a field; None if it is empty, or wrong, which is then said at it."""
        text = self.text(name)
        if not text:
            return None
        try:
            return convert(text)
        except (InterceptError, ValueError) as error:
            self.errors.setdefault(name, worded(error))
            return None

    def model[M: BaseModel](
        self, model: type[M], values: object, places: Mapping[str, str] | None = None
    ) -> M | None:
        """The model of these values, or None; `places` leads from the parts of a model to fields.

        The longest beginning of a place counts: `match.models` before `match`.
        """
        try:
            return model.model_validate(values)
        except ValidationError as error:
            for one in error.errors():
                self._blame([str(part) for part in one["loc"]], _sentence(one), places or {})
            return None

    def refused(self, error: InterceptError, blame: Sequence[tuple[str, str]] = ()) -> None:
        """What the management said; `blame` finds the field by words of the sentence."""
        sentence = worded(error)
        for words, name in blame:
            if words in str(error):
                self.errors.setdefault(name, sentence)
                return
        self.problem = sentence

    def _blame(self, location: list[str], sentence: str, places: Mapping[str, str]) -> None:
        names = {each.name for each in self.fields}
        for length in range(len(location), 0, -1):
            dotted = ".".join(location[:length])
            found = places.get(dotted, dotted)
            if found in names:
                self.errors.setdefault(found, sentence)
                return
        self.problem = sentence


def worded(error: Exception) -> str:
    """The sentence of an error, with a capital, without advice about commands."""
    text = _COMMAND_CLAUSE.sub("", said(str(error))).rstrip(".")
    return f"{text[:1].upper()}{text[1:]}."


def _sentence(error: Any) -> str:
    text = said(str(error["msg"])).removeprefix("Value error, ").removeprefix("Input ")
    return f"{text[:1].upper()}{text[1:]}."


def number_of(count: int, what: str) -> str:
    """`1 token`, `2 tokens`."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def whole(text: str) -> int:
    """A whole number, with or without separators."""
    try:
        return int(text.replace(",", "").replace("_", ""))
    except ValueError:
        raise ConfigError(f"{text!r} is not a whole number") from None


def number(text: str) -> float:
    try:
        found = float(text)
    except ValueError:
        raise ConfigError(f"{text!r} is not a number") from None
    if found != found or found in (float("inf"), float("-inf")):
        raise ConfigError(f"{text!r} is not a number")
    return found


def amount(scale: int) -> Callable[[str], int]:
    """`60`, `100k`, `2.5M`, `$5`: a whole number of whatever `scale` says one is."""

    def convert(text: str) -> int:
        found = _AMOUNT.fullmatch(text)
        if found is None:
            raise ConfigError(f"{text!r} is not an amount; write it like 60, 100k or 2.5M")
        value = Decimal(found[1].replace(",", "").replace("_", "")) * _UNITS[found[2].lower()] * scale
        if value != value.to_integral_value():
            raise ConfigError(f"{text!r} has more decimals than can be counted")
        return int(value)

    return convert


def plain_options(words: Sequence[str], first: str | None = None) -> list[tuple[str, str]]:
    """Options that are called what they are; `first` labels the empty one."""
    found = [(word, word) for word in words]
    return found if first is None else [("", first), *found]
