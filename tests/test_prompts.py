from pathlib import Path

import pytest

from llm_intercept.errors import ConfigError
from llm_intercept.prompts import with_prompts
from llm_intercept.settings import ModelsSettings


def test_files_become_texts_wherever_they_are_named(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("für alle")
    (tmp_path / "b.md").write_text("opus")
    given = {
        "system_file": "a.md",
        "tiers": {"big": {"system_file": str(tmp_path / "b.md")}},
        "projects": {"p": {"system_file": "b.md", "tiers": {"small": {"system_file": "a.md"}}}},
    }
    found = with_prompts(ModelsSettings.model_validate(given), tmp_path)
    assert (found.system, found.tiers.big.system, found.tiers.middle.system) == ("für alle", "opus", "")
    assert (found.projects["p"].system, found.projects["p"].tiers.small.system) == ("opus", "für alle")
    assert "system_file" not in found.model_dump_json(exclude_defaults=True)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    tiers = {"big": {"system_file": "no.md"}}
    settings = ModelsSettings.model_validate({"projects": {"p": {"tiers": tiers}}})
    with pytest.raises(ConfigError, match=r"models\.projects\.p\.tiers\.big\.system_file: .*no\.md"):
        with_prompts(settings, tmp_path)
