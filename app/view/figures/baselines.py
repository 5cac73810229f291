"""Dashed lines for what was not trained, in figures of accuracy."""

from collections.abc import Mapping
from typing import Any

from app.view.colours import PLAIN
from app.view.figures.drawing import plain, scatter
from app.view.text import percent

NEAR = 0.06  # lines less than this apart share a label


def baseline_lines(shares: Mapping[str, float], ends: tuple[float, float], label_left: bool = False) -> list[dict[str, Any]]:
    """A dashed line at each share (0 to 1), from end to end, with its name at one end; those that nearly meet share a label."""
    groups: list[list[tuple[str, float]]] = []
    for name, share in sorted(shares.items(), key=lambda pair: pair[1]):
        if groups and share - groups[-1][-1][1] < NEAR:
            groups[-1].append((name, share))
        else:
            groups.append([(name, share)])
    return [_line(share, plain(name), plain(", ".join(one for one, _ in group)) if place == 0 else "", ends, label_left)
            for group in groups for place, (name, share) in enumerate(group)]  # fmt: skip


def _line(share: float, name: str, label: str, ends: tuple[float, float], label_left: bool) -> dict[str, Any]:
    side = "right" if label_left else "left"  # of its end: into the figure
    return scatter(
        list(ends),
        [round(100 * share, 2)] * 2,
        "lines+text",
        name=name,
        text=[label, ""] if label_left else ["", label],
        textposition=f"bottom {side}" if share > 0.5 else f"top {side}",
        textfont={"size": 11, "color": PLAIN},
        line={"color": PLAIN, "width": 1.5, "dash": "dash"},
        hovertemplate=f"{name}: {percent(share)}<extra></extra>",
        showlegend=False,
    )
