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


def test_set_wants_something_to_change(cli) -> None:
    assert "--capture" in cli("project", "set", "default", code=2).stderr


def test_creating_twice_is_an_error(cli) -> None:
    cli("project", "create", "demo")
    assert "exists already" in cli("project", "create", "Demo", code=1).stderr
