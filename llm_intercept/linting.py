"""Which streams are checked against the grammar of their dialect, and what of it ends on the row."""

from llm_intercept.exchange import Exchange
from llm_intercept.settings import LintSettings
from llm_intercept.store.rows import ViolationRow
from llm_intercept.wire import lint
from llm_intercept.wire.tap import Tap
from llm_intercept.wire.translation import Translation

# Operations whose streams the grammars describe; Anthropic's old text completions are none of them.
_DESCRIBED = frozenset(("chat", "responses", "messages", "generate", "converse", "invoke"))


class Share:
    """Every so many-eth, evenly: of a share of 0.01 each hundredth, without a draw."""

    def __init__(self, share: float) -> None:
        self._share = share
        self._due = 0.0

    def takes(self) -> bool:
        self._due += self._share
        if self._due < 1.0:
            return False
        self._due -= 1.0
        return True


class Linting:
    """`attach` once for each answer that streams, before its first byte."""

    def __init__(self, settings: LintSettings) -> None:
        self._theirs = Share(settings.sample)
        self._ours = Share(settings.own)

    def attach(self, exchange: Exchange, tap: Tap) -> None:
        """The provider's frames come from the tap that reads them anyway, ours from the encoder."""
        if exchange.endpoint.operation in _DESCRIBED and self._theirs.takes():
            # A request that we write always asks for it.
            asks = exchange.hide_usage or exchange.asks_usage or exchange.translation is not None
            framed = exchange.endpoint.operation == "invoke"  # its events come in Amazon's frames
            dialect = exchange.endpoint.dialect if framed else exchange.answer_dialect
            tap.lint = lint.watch("provider", dialect, asks_usage=asks)
        translation = exchange.translation
        if isinstance(translation, Translation) and translation.stream and self._ours.takes():
            # Where the provider tells no usage there is none to tell, whoever asked for it.
            translation.lint = lint.watch("ours", translation.client.NAME, asks_usage=False)


def found(exchange: Exchange) -> list[ViolationRow]:
    """Of an exchange that is over. A stream that somebody cut or stopped is not blamed for having no end."""
    watched = [exchange.tap.lint if exchange.tap else None]
    if isinstance(exchange.translation, Translation):
        watched.append(exchange.translation.lint)
    rows = []
    for one in watched:
        if one is None:
            continue
        if not exchange.ended_by and not (exchange.stopped and one.side == "provider"):
            one.close()
        rows += [
            ViolationRow(exchange.id, one.side, one.dialect, v.event, v.sentence) for v in one.violations
        ]
    return rows
