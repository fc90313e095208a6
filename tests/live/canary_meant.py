"""The few places where a secret is meant to be, each with the reason; each must be needed."""

from tests.live.canary import Meant
from tests.live.canary_calls import SERVED
from tests.live.canary_sights import ROLES

ITS_OWN = "the provider that it belongs to, in a header"
CALLED = "a client's own key goes to the provider that the client called"
BODY = "bodies pass as they are, to the provider and back to the one who sent them"
BYTES = "what a provider says when all is well passes byte by byte, should it repeat its own key"
ONCE = "shown once, to the one who made it"
ASKED = "the answer is about the model that was asked for, and is not kept"
PRINTED = "it is printed by the program that has it"
NAMED = "a client's own key in place of a name goes where the client called"
_NAMES = ("anthropic body", "gemini head", "openai body", "openai head")
HOLDER = "who has the link has it in the form as well"
MEANT: tuple[Meant, ...] = (
    *(Meant(f"key.{name}*", f"upstream {name} head*", ITS_OWN) for name in SERVED[:-2] if name != "bedrock"),
    Meant("key.unsaved", "upstream openai head*", "it is tried at its provider before it is stored"),
    Meant("oidc.secret", "upstream oidc head*", "the provider that it belongs to"),
    Meant("webhook.url", "upstream webhook head*", "the address of the web hook itself"),
    *(Meant("header.all", f"upstream {name} head*", "set for every model") for name in SERVED[:-2]),
    Meant("prompt.system", "upstream anthropic body*", BODY),
    Meant("header.tier", "upstream anthropic head*", "set for a tier that anthropic serves"),
    *(
        Meant(f"own.{name}", f"upstream {provider} head*", CALLED)
        for provider, names in {
            "openai": ("openai", "refused", "back", "tunnel", "recorded", "in path"),
            "anthropic": ("moved",),
            "gemini": ("query",),
        }.items()
        for name in names
    ),
    *(Meant(name, "upstream openai body*", BODY) for name in ("body.*", "own.as model")),
    *(Meant(name, "upstream openai body*", BODY) for name in ("token.pasted", "apitoken.admin")),
    *(Meant(name, "answer bodies*", BODY) for name in ("body.*", "token.pasted", "apitoken.admin")),
    Meant("own.*", "answer own*", BODY),
    Meant("body.socket", "answer socket", BODY),
    Meant("own.recorded", "upstream openai body*", BODY),
    *(Meant(name, "terminal record", PRINTED) for name in ("own.recorded", "cassette.body")),
    *(Meant("cassette.*", f"upstream openai {part}*", BODY) for part in ("head", "body")),
    *(Meant("own.as a *", f"upstream {part}*", NAMED) for part in _NAMES),
    Meant("key.bedrock session", "upstream bedrock head*", ITS_OWN),
    Meant("own.session", "upstream bedrock head*", CALLED),
    *(Meant(name, "answer bodies*", BYTES) for name in ("key.openai.*", "header.all")),
    *(Meant(name, "answer errors back*", BYTES) for name in ("key.openai.*", "key.anthropic", "header.all")),
    Meant("header.all", "answer own*", BYTES),
    Meant("header.all", "terminal record", BYTES),
    Meant("token.cli", "cli token create *", ONCE),
    Meant("token.api", "api member POST /tokens*", ONCE + ", and again for its idempotency key"),
    Meant("token.imported by API", "api admin POST /import/tokens", ONCE),
    Meant("token.page", "page member get /-/llm/manage/tokens/secret", ONCE),
    *(Meant(f"apitoken.{who}", f"page {who} get /-/llm/account/tokens", ONCE) for who in ROLES[1:]),
    Meant("link.login", "cli dashboard --login-link", ONCE),
    Meant("link.setup", "cli dashboard --setup-link", ONCE),
    Meant("link.setup", "page admin * /-/llm/setup*", HOLDER),
    *(Meant(f"link.{who}", f"cli user invite {who}", ONCE) for who in ROLES[3:]),
    *(Meant(f"link.{who}", f"page {who} get /-/llm/invite", HOLDER) for who in ROLES[3:]),
    *(
        Meant(f"cookie.{who}", f"page {who} {way} headers*", "given to the browser that logs in")
        for who, way in {
            "owner": "get /-/llm/login",
            "admin": "post /-/llm/setup",
            "member": "post /-/llm/invite",
            "viewer": "post /-/llm/invite",
        }.items()
    ),
    Meant("wrong.*", "api admin POST /routes/explain*", ASKED),
    Meant("wrong.*", "cli route explain *", ASKED),
    *(Meant(name, "environ *", "given as a variable") for name in ("key.groq", "oidc.secret")),
    Meant("datasette.secret", "environ up*", "how Datasette is given it"),
    *(
        Meant(name, "file config.toml*", "the operator wrote it there")
        for name in ("header.*", "webhook.*", "prompt.*")
    ),
    Meant("secret.key", "file secret.key*", "its own file"),
)
