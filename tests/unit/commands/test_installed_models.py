"""python -m app models: what is on this machine, read from files without loading any."""

import shutil

import huggingface_hub
from command_line import call, error
from tiny_models import make, save_tiny

from app.__main__ import main
from core.models import installed


def test_folders_are_described_by_their_files(capsys, tmp_path):
    folder = save_tiny(tmp_path / "tiny")
    (found,) = call(capsys, "models", folder)["models"]
    parameters = make("llama", max_position_embeddings=2048).model.num_parameters()
    assert found["architecture"] == "llama" and found["parameters"] == parameters and found["memory"] == 4 * parameters
    assert found["disk"] == (folder / "model.safetensors").stat().st_size
    (folder / "model.safetensors").write_bytes(b"broken")
    assert call(capsys, "models", folder)["models"][0]["parameters"] is None
    assert "holds no model" in error(capsys, "models", tmp_path)


def test_what_is_installed_is_the_package_and_the_hubs_cache(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.utils._cache_manager.HF_HUB_CACHE", str(tmp_path), raising=False)
    monkeypatch.setattr(installed, "packaged_gguf", lambda: None)
    assert call(capsys, "models")["models"] == []
    assert main(["models"]) == 0 and "No model is installed" in capsys.readouterr().out
    repo = tmp_path / "models--owner--tiny"
    (repo / "refs").mkdir(parents=True)
    (repo / "refs/main").write_text("a" * 40)
    shutil.move(save_tiny(tmp_path / "made"), repo / "snapshots" / ("a" * 40))
    (repo / "blobs").mkdir()
    (found,) = call(capsys, "models")["models"]
    assert (found["name"], found["where"]) == ("owner/tiny", "the Hub's cache") and found["parameters"] > 0
    assert main(["models"]) == 0 and "owner/tiny" in capsys.readouterr().out
