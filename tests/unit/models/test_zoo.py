"""A few architectures of the zoo, each run in another way: what docs/models.md says of them is so."""

from pathlib import Path

import pytest
from zoo import measure

PAGE = (Path(__file__).resolve().parents[3] / "docs/models.md").read_text("utf-8")


@pytest.mark.parametrize(
    "kind, soft, prefix",
    [
        ("mpt", "exact", "exact"),  # no positions
        ("roberta", "exact", "exact"),  # counts its positions from another number
        ("deepseek_v3", "exact", "refused"),  # keys and values of different sizes
        ("qwen3_next", "exact", "refused"),  # recurrent layers beside attention
        ("gemma4_text", "exact", "refused"),  # layers that read the token ids, too
        ("mistral3", "exact", "exact"),  # the text part of a model with images
        ("xlnet", "refused", "refused"),  # sees the tokens after it
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_a_sample_of_the_zoo_is_as_the_page_says(kind, soft, prefix):
    row = measure(kind)
    assert (row.soft, row.prefix) == (soft, prefix), row.way
    assert f"| {kind} | {row.name} | {soft} | {prefix} |" in PAGE
