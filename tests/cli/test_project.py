def test_create_list_show_set(cli, cli_json) -> None:
    made = cli_json("project", "create", "demo", "--capture", "errors")
    assert (made["name"], made["capture"], made["active"]) == ("demo", "errors", True)
    assert [p["name"] for p in cli_json("project", "list")] == ["default", "demo"]
    cli("token", "create", "--project", "demo", "--name", "laptop")
    shown = cli_json("project", "show", "demo")
    assert [t["name"] for t in shown["tokens"]] == ["laptop"]
    assert "laptop" in cli("project", "show", "demo").stdout
    assert cli_json("project", "set", "demo", "--capture", "default", "--inactive")["active"] is False
    assert cli_json("project", "show", "demo")["capture"] is None
    assert "as in settings" in cli("project", "list").stdout


def test_which_answers_are_stored(cli, cli_json) -> None:
    assert cli_json("project", "create", "demo", "--cache", "opt-in")["cache"] == "opt-in"
    assert cli_json("project", "set", "demo", "--cache", "off")["cache"] == "off"
    assert cli_json("project", "set", "demo", "--hangup", "drain")["cache"] == "off"
    assert cli_json("project", "set", "demo", "--cache", "default")["cache"] is None
    assert cli_json("project", "create", "other")["cache"] is None
    assert "--cache" in cli("project", "set", "demo", "--cache", "yes", code=2).stderr


def test_set_wants_something_to_change(cli) -> None:
    assert "--capture" in cli("project", "set", "default", code=2).stderr


def test_creating_twice_is_an_error(cli) -> None:
    cli("project", "create", "demo")
    assert "exists already" in cli("project", "create", "Demo", code=1).stderr


def test_owner_members_and_policy(cli, cli_json) -> None:
    for name in ("ada", "bob"):
        cli("user", "create", name)
    restricted = ("--allow-model", "gpt-4o-*", "--limit-parameter", "max_tokens=max:4096")
    made = cli_json("project", "create", "demo", "--owner", "ada", "--hangup", "drain", *restricted)
    assert (made["owner"], made["members"], made["hangup"]) == ("ada", [], "drain")
    assert made["policy"] == {"models": ["gpt-4o-*"], "parameters": {"max_tokens": {"max": 4096}}}
    changed = cli_json("project", "set", "demo", "--member", "bob", "--allow-model", "claude-*")
    assert changed["members"] == ["bob"]
    assert changed["policy"]["models"] == ["claude-*"]
    assert changed["policy"]["parameters"] == {"max_tokens": {"max": 4096}}
    shown = cli("project", "show", "demo").stdout
    assert "models: claude-*" in shown
    assert "max_tokens: at most 4096" in shown
    changed = cli_json("project", "set", "demo", "--remove-member", "bob", "--owner", "", "--unrestricted")
    assert (changed["owner"], changed["members"], changed["policy"]) == ("", [], {})
    assert "no user 'nobody'" in cli("project", "set", "demo", "--owner", "nobody", code=3).stderr
