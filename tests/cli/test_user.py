def test_create_list_show_set_remove(cli, cli_json) -> None:
    made = cli_json("user", "create", "ada", "--email", "ada@example.com", "--role", "admin")
    assert (made["name"], made["email"], made["role"], made["active"]) == (
        "ada",
        "ada@example.com",
        "admin",
        True,
    )
    assert "Created the user bob (member)" in cli("user", "create", "bob").stdout
    assert [user["name"] for user in cli_json("user", "list")] == ["ada", "bob"]
    assert "ada@example.com" in cli("user", "list").stdout
    cli("project", "create", "demo", "--owner", "ada", "--member", "bob")
    cli("token", "create", "--project", "demo", "--name", "laptop", "--user", "bob")
    shown = cli_json("user", "show", "bob")
    assert [p["name"] for p in shown["owned_or_member_of"]] == ["demo"]
    assert [t["name"] for t in shown["their_tokens"]] == ["laptop"]
    assert "laptop" in cli("user", "show", "bob").stdout
    assert cli_json("user", "set", "bob", "--role", "viewer", "--inactive")["role"] == "viewer"
    assert cli_json("token", "show", "laptop")["state"] == "inactive"
    assert "has 1 working tokens" in cli("user", "remove", "bob", "--yes", code=1).stderr
    cli("token", "revoke", "laptop")
    assert "Delete the user bob?" in cli("user", "remove", "bob", stdin="n\n", code=1).stderr
    assert cli_json("user", "remove", "bob", "--yes")["name"] == "bob"
    assert [user["name"] for user in cli_json("user", "list")] == ["ada"]


def test_nobody_yet(cli) -> None:
    assert "llm-intercept user create" in cli("user", "list").stdout


def test_what_is_wrong_is_said(cli) -> None:
    cli("user", "create", "ada")
    assert "say what to change" in cli("user", "set", "ada", code=2).stderr
    assert "no user 'nobody'" in cli("user", "show", "nobody", code=3).stderr
    assert "admin" in cli("user", "create", "x", "--role", "king", code=2).stderr
