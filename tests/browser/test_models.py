"""A server that offers two models, in Chromium: choosing one, training on it, and going back to the other."""

from collections.abc import Callable
from pathlib import Path

import pytest
from serving import serve
from tiny_models import make
from visitor import Visitor

pytestmark = pytest.mark.browser


def test_a_visitor_changes_the_model_and_each_keeps_its_own_runs(visit: Callable[..., Visitor], tiny_folder: str, tmp_path: Path) -> None:
    other = tmp_path / "another-model"
    made = make("gpt2", n_positions=2048)
    made.model.save_pretrained(other)
    made.tokenizer.save_pretrained(other)
    for address in serve("--model", tiny_folder, "--model", str(other), "--dtype", "float32"):
        visitor = visit(address)
        visitor.ready()
        visitor.train(3)
        visitor.choose("model", "another-model")
        visitor.page.wait_for_selector("#status summary:has-text('another-model')")  # it is loaded
        visitor.train(2)
        visitor.tab("Compare")
        visitor.settle("#contenders", "run 2")
        assert "run 1" not in visitor.text("#contenders")
        visitor.tab("Inspect")
        visitor.choose("inspect-run", "run 1")  # a run brings its model
        visitor.settle("#status", "tiny-model")
        visitor.tab("Train")
        assert "tiny-model" in visitor.page.input_value("#model input")
        visitor.tab("Inspect")
        path = visitor.prepare("#save", tmp_path / "prompt.zip")
        visitor.tab("Train")
        visitor.choose("model", "another-model")
        visitor.settle("#status", "another-model")
        visitor.tab("Inspect")
        visitor.load(path)  # so does a saved prompt
        visitor.loaded(1)
        visitor.settle("#inspect-message", "It was trained on tiny-model")
        visitor.settle("#status", "tiny-model")
        visitor.shoot("two-models")
        assert visitor.errors == []
