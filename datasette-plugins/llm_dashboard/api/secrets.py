"""The keys that encrypt what is stored: how old they are, what they have encrypted, and a new one."""

from pydantic import Field

from llm_dashboard.api.maintenance import table
from llm_dashboard.api.operation import Call, Model, Nothing, View
from llm_intercept.manage import Management
from llm_intercept.manage.secrets import Secrets


class KeyView(View):
    """An encryption key, without the key."""

    id: str
    made: str = Field(description="empty: nobody wrote it down")
    front: bool = Field(description="it encrypts; the others only decrypt")
    values: int = Field(description="how much that is stored it has encrypted")


class Keys(View):
    """The encryption keys, and whether everything can be decrypted."""

    keys: list[KeyView]
    behind: int = Field(description="values that an old key has encrypted")
    lost: int = Field(description="values that no key opens")


class Rotate(Model):
    """What to change."""

    new_key: bool = Field(True, description="put a new key in front; else only encrypt everything with it")
    drop_old: bool = Field(False, description="then remove the keys that nothing needs any more")


class Rotated(View):
    """What was done."""

    key: str = Field(description="the id of the new key; empty: none was made")
    renewed: int = Field(description="values that were encrypted anew")
    dropped: list[str] = Field(description="ids of keys that are gone")


@table.get(
    "/maintenance/secret", "Show encryption keys", Keys, command="secret check", commands=("secret show-age",)
)
def keys(management: Management, call: Call[Nothing, Nothing]) -> object:
    """How old they are, and how much each has encrypted. Decrypts everything that is stored. Admins only."""
    secrets = _secrets(management, call)
    states = secrets.states(call.actor)
    behind = sum(state.values for state in states if not state.front)
    return {"keys": states, "behind": behind, "lost": secrets.lost(call.actor)}


@table.post(
    "/maintenance/secret/rotate",
    "Change the encryption key",
    Rotated,
    body=Rotate,
    where="here",
    command="secret rotate",
)
async def rotate(call: Call[Nothing, Rotate]) -> object:
    """Everything is encrypted anew; tokens stay valid and nothing has to be restarted. Backups from before
    need the key of their time. Admins only."""
    now, wanted = call.now_us / 1e6, call.body
    return await call.stage.manage(
        lambda management: _secrets(management, call).rotate(
            call.actor, now, new_key=wanted.new_key, drop_old=wanted.drop_old
        )
    )


def _secrets(management: Management, call: Call[Nothing, Nothing] | Call[Nothing, Rotate]) -> Secrets:
    return Secrets(management.desk, call.stage.home.leases)
