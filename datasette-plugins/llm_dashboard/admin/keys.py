"""Keys of providers: the list with their health, storing one, trying it, switching and removing it."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from datasette import Response
from pydantic import SecretStr

from llm_dashboard import clock, targets
from llm_dashboard.admin import filtering
from llm_dashboard.admin.forms import Field, Form, Section, number_of, whole
from llm_dashboard.admin.once import Once
from llm_dashboard.admin.visit import Visit
from llm_intercept.errors import ConfigError, NotFound
from llm_intercept.keytest import KeyTest, run_test
from llm_intercept.manage import Management
from llm_intercept.providers.base import Provider
from llm_intercept.store import pools
from llm_intercept.store.audit_rows import Thing
from llm_intercept.store.credentials import Credential, StoredCredential

PATH = "/-/llm/manage/keys"
_BLAME = (
    ("cannot be the name of a key", "name"),
    ("has a key named", "name"),
    ("key is empty", "secret"),
    ("a key of ", "secret"),
    ("this JSON is", "secret"),
    ("credential ", "secret"),
    ("base URL", "base_url"),
    ("weight", "weight"),
    ("pool", "pool"),
)


_kept: Once[tuple[str, str]] = Once()  # (provider, key) that was tested and is not stored yet
_trials: Once[KeyTest] = Once()


async def page(visit: Visit) -> Response:
    (found, asked), known = await asyncio.gather(
        visit.ask(lambda m: (m.keys.list(visit.actor), m.control.breakers.asked())),
        visit.usage(pools.read_keys),
    )
    now, chosen = clock.now(), filtering.chosen(visit, "provider", "state")
    lines = [targets.key_line(key, known, asked, now) for key in found]
    titles = {name: provider.title for name, provider in visit.stage.registry.providers.items()}
    return await visit.page(
        "keys",
        lines=[line for line in lines if _fits(line, chosen)],
        titles=titles,
        providers=filtering.different(key.provider for key in found),
        states=("in use", "cooling", "not used"),
        chosen=chosen,
        filtered=any(chosen.values()),
    )


def _fits(line: targets.KeyLine, chosen: Mapping[str, str]) -> bool:
    key = line.key
    state = "not used" if not key.enabled else "cooling" if line.cooling_until else "in use"
    return (
        filtering.has_words(chosen["q"], key.provider, key.name, key.pool, key.base_url)
        and filtering.fits(chosen["provider"], key.provider)
        and filtering.fits(chosen["state"], state)
    )


async def new(visit: Visit) -> Response:
    form, trial, kept = Form(_sections(visit), {"name": "default", "weight": "1", "try": "yes"}), None, ""
    if visit.posting:
        posted = await visit.posted()
        form.take(posted)
        secret = _secret(visit, form, (posted.get("kept") or [""])[0])
        if "test" in posted:
            trial = await _trial(visit, form, secret)
        else:
            made = await _made(visit, form, secret)
            if made is not None:
                return made
        if secret and "secret" not in form.errors:
            kept = _kept.put(visit.login, (form.text("provider"), secret))
    return await visit.form(
        form,
        title="New key",
        about="A key of yours at a provider. It is encrypted, used in place of tokens, and never shown.",
        submit="Store key",
        second=("test", "Test before storing"),
        trial=trial,
        kept=kept,
        back=PATH,
        place="Keys",
    )


def _secret(visit: Visit, form: Form, kept: str) -> str:
    """What was pasted, or what was pasted before and is kept here; it is in no page that is sent back."""
    pasted = form.values.pop("secret", "")
    if pasted:
        return pasted
    provider, secret = _kept.take(visit.login, kept) or ("", "")
    if kept and provider != form.text("provider"):
        form.errors["secret"] = "Paste the key again: it was kept for a few minutes, and for one provider."
        return ""
    return secret


async def _made(visit: Visit, form: Form, secret: str) -> Response | None:
    """None if it was refused, which the form then says."""
    provider, options = form.text("provider"), _options(form)
    made = await visit.submit(
        form, lambda m: m.keys.create(visit.actor, provider, SecretStr(secret), **options), _BLAME
    )
    if made is None:
        return None
    tried = await _tried(visit, made.provider, made.name) if form.ticked("try") else None
    said = f"The key {made.hint} of {made.provider} is stored, and used from the next call on."
    bad = tried is not None and not tried.ok
    return visit.to(PATH, f"{said} {tried.sentence}" if tried else said, bad=bad)


async def _trial(visit: Visit, form: Form, secret: str) -> KeyTest | None:
    """What the provider says to a key that is not stored; None if the form has to say something first."""
    found = visit.stage.provider(form.text("provider"))
    needed = found is not None and not found.key_optional and not form.text("base_url")
    if needed and not secret:
        form.errors.setdefault("secret", "The key is empty; paste it to test it.")
    if form.errors.keys() & {"provider", "secret"} or found is None:
        return None
    form.errors.clear()  # what else is missing is asked for when it is stored
    key = StoredCredential(found.name, "unsaved", SecretStr(secret), form.text("base_url") or None)
    try:
        await visit.ask(lambda m: m.desk.check(visit.actor, "key.test", "keys", Thing("key", found.name)))
        return await _sent(visit, found, key)
    except ConfigError as error:
        form.refused(error, _BLAME)
        return None


async def edit(visit: Visit) -> Response:
    key = await _key(visit)
    start = {"weight": str(key.weight), "pool": key.pool, "base_url": key.base_url or ""}
    form = Form([Section("Its use", _USE), _REPLACING], start)
    if visit.posting:
        form.take(await visit.posted())
        changes = _changes(form, key)

        def work(m: Management) -> Credential:
            return m.keys.change(visit.actor, key.provider, key.name, **changes)

        changed = await visit.submit(form, work, _BLAME)
        if changed is not None:
            return visit.to(PATH, f"The key {changed.hint} is changed, from the next call on.")
    return await visit.form(
        form,
        title=f"{key.provider} / {key.name}",
        badge=("in use", "good") if key.enabled else ("not used", "quiet"),
        acts=[(f"{_path(key)}/test?from=page", "Test", "One request that costs nothing")],
        trial=_trials.take(visit.login, visit.arg("trial")),
        about=f"{key.hint}, stored {key.created_at[:10]} (UTC).",
        submit="Save",
        back=PATH,
        place="Keys",
        also=[
            (
                "Remove",
                "Deletes the key here for good; at its provider it goes on to work.",
                f"{_path(key)}/delete",
                "Remove key",
            )
        ],
    )


async def switch(visit: Visit) -> Response:
    """Enable, disable or try."""
    if not visit.posting:
        return visit.to(PATH)
    provider, name, action = visit.var("provider"), visit.var("name"), visit.var("action")
    if action == "test":
        tried = await _tried(visit, provider, name)
        if visit.arg("from") == "page":
            return visit.to(f"{PATH}/{provider}/{name}/edit?trial={_trials.put(visit.login, tried)}")
        return visit.to(PATH, tried.sentence, bad=not tried.ok)
    on = action == "enable"
    key = await visit.ask(lambda m: (m.keys.enable if on else m.keys.disable)(visit.actor, provider, name))
    return visit.to(
        PATH, f"The key {key.hint} of {key.provider} is {'in use again' if on else 'not used any more'}."
    )


async def delete(visit: Visit) -> Response:
    key = await _key(visit)
    if visit.posting:
        await visit.ask(lambda m: m.keys.delete(visit.actor, key.provider, key.name))
        return visit.to(PATH, f"The key {key.hint} of {key.provider} is removed.")
    others = await visit.ask(lambda m: len(m.keys.list(visit.actor, key.provider)) - 1)
    return await visit.page(
        "confirm",
        title=f"Remove the key {key.hint}?",
        sentences=[
            f"It is the key {key.name} of {key.provider}. It cannot be brought back from here.",
            f"What stays of {key.provider}: {number_of(others, 'other key')}."
            if others
            else f"It is the only one: calls to {key.provider} with a token are refused without it.",
        ],
        button="Remove",
        back=PATH,
        place="Keys",
    )


_KEY_HELP = (
    "As the provider gave it to you. Vertex: the JSON of a service account; Bedrock: an API key, or "
    "ACCESS:SECRET of a pair."
)


def _sections(visit: Visit) -> list[Section]:
    providers = sorted(visit.stage.registry.providers.values(), key=lambda p: p.title.lower())
    options = [("", "Choose one"), *((p.name, p.title) for p in providers if not p.key_optional)]
    options += [(p.name, f"{p.title} (needs none)") for p in providers if p.key_optional]
    return [
        Section(
            "Key",
            (
                Field("provider", "Provider", "select", options=options, required=True),
                Field("secret", "Key", "secret", _KEY_HELP),
                Field("name", "Name", help="To tell keys of one provider apart."),
                Field("base_url", "Base URL", help="For a relay or a region. Empty: the provider's own."),
            ),
        ),
        Section(
            "Its use", (*_USE, Field("try", "Try it at once, with a request that costs nothing", "check"))
        ),
    ]


_USE = (
    Field("weight", "Weight", "number", "Its share beside the provider's other keys."),
    Field("pool", "Pool", help="Routes may ask for the keys of a pool. Empty: it is in every pool."),
)


_REPLACING = Section(
    "Another key in its place",
    (
        Field("secret", "New key", "secret", "Empty: the key stays."),
        Field(
            "base_url", "Base URL", help="Can be changed together with the key. Empty: the provider's own."
        ),
    ),
    "What was learnt of the key before, as that it is used up, is forgotten with it.",
)


def _changes(form: Form, key: Credential) -> dict[str, Any]:
    """The pasted key is in no page that is sent back."""
    secret, url = form.values.pop("secret", ""), form.text("base_url")
    return {
        "weight": form.read("weight", whole),
        "pool": form.text("pool"),
        "secret": SecretStr(secret) if secret else None,
        "base_url": None if url == (key.base_url or "") else url,
    }


def _options(form: Form) -> dict[str, Any]:
    weight = form.read("weight", whole)
    return {
        "name": form.text("name") or "default",
        "base_url": form.text("base_url") or None,
        "weight": 1 if weight is None else weight,
        "pool": form.text("pool"),
    }


async def _tried(visit: Visit, provider: str, name: str) -> KeyTest:
    """One cheap request to the provider. It may repeat what it was sent: that is taken out."""

    def look(m: Management) -> tuple[Provider, StoredCredential]:
        m.desk.check(visit.actor, "key.test", "keys", Thing("key", f"{provider}/{name}"))
        known = m.registry.providers.get(provider)
        if known is None:
            raise NotFound(f"there is no provider {provider!r}")
        return known, m.control.credentials.opened(provider, name)

    known, key = await visit.ask(look)
    return await _sent(visit, known, key)


async def _sent(visit: Visit, provider: Provider, key: StoredCredential) -> KeyTest:
    """What the provider repeats of the key is taken out."""
    stage = visit.stage
    found = await run_test(stage.registry, provider, key, stage.settings, stage.home, clock.now() / 1e6)
    secret = key.secret.get_secret_value().strip()
    return replace(found, sentence=found.sentence.replace(secret, "[the key]")) if secret else found


async def _key(visit: Visit) -> Credential:
    return await visit.ask(lambda m: m.keys.get(visit.actor, visit.var("provider"), visit.var("name")))


def _path(key: Credential) -> str:
    return f"{PATH}/{key.provider}/{key.name}"
