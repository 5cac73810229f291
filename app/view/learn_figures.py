"""Figures and drawings of the Learn page, as plain data and escaped HTML. As app.view.figures: no Gradio, no model."""

from collections.abc import Mapping, Sequence
from typing import Any

from app.view.figures import framed, plain, thinned
from app.view.show import HANDCRAFTED, LEARNED, interval, percent, safe
from core.methods import METHODS
from core.models.sizes import Shape
from core.runs.race import Lap, Placed
from core.spectrum import Size

INKS = (LEARNED, *HANDCRAFTED)


def inks(names: Mapping[str, str]) -> dict[str, str]:
    """id -> colour, by place: the others are compared with the first."""
    return {name: INKS[number % len(INKS)] for number, name in enumerate(names)}


def race(names: Mapping[str, str], laps: Sequence[Lap], steps: int) -> dict[str, Any]:
    """The training loss of every entry over steps, drawn together. names: id -> displayed name."""
    colour, traces, stopped = inks(names), [], []
    highest = 0.0
    for name, words in names.items():
        mine = [lap for lap in laps if lap.name == name]
        shown = [mine[number] for number in thinned(len(mine))]
        highest = max([highest, *(lap.loss for lap in mine[:3])])
        stopped += [words for lap in mine if lap.stopped]
        trace = {
            "type": "scatter", "mode": "lines+text", "x": [lap.step for lap in shown], "y": [round(lap.loss, 4) for lap in shown],
            "name": plain(words), "line": {"color": colour[name], "width": 2.5}, "hovertemplate": "step %{x}: loss %{y:.2f}<extra>" + plain(words) + "</extra>",
        }  # fmt: skip
        traces.append(trace)
    layout = framed(
        height=380,
        showlegend=True,
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        xaxis={"range": [0, steps * 1.02], "title": {"text": "step"}},
        yaxis={"range": [0, highest * 1.25 or 1], "title": {"text": "training loss (nats per token)"}},
    )
    now = max((lap.step for lap in laps), default=0)
    latest = {name: next((lap.loss for lap in reversed(laps) if lap.name == name), None) for name in names}
    known = {name: loss for name, loss in latest.items() if loss is not None}
    low = min(known, key=lambda name: known[name]) if known else ""
    title = f"After step {now}, the lowest training loss has “{names[low]}”: {known[low]:.2f}" if low else "The race begins"
    note = "Loss of each batch before its training step; all entries see the same batches."
    note += f" Ended early because the loss diverged: {', '.join(stopped)}." if stopped else ""
    return {"title": title, "note": note, "data": traces, "layout": layout}


def race_table(names: Mapping[str, str], laps: Sequence[Lap], placed: Mapping[str, Placed]) -> str:
    """The result of every entry: on its training rows, and on held-out rows."""
    if not placed:
        return ""
    colour = inks(names)
    misused = any(one.misused for one in placed.values())
    rows = []
    for name, one in placed.items():
        score = one.held_out
        low, high = (100 * end for end in score.interval)
        last = [lap.loss for lap in laps if lap.name == name][-5:]
        loss = f"{sum(last) / len(last):.2f}" if last else "–"
        cells = f'<td class="num">{percent(one.seen.accuracy)}</td><td class="num">{loss}</td><td class="num cost">{one.parameters:,}</td>'
        if misused:
            cells += f'<td class="num">{percent(one.misused.accuracy) if one.misused else "–"}</td>'
        rows.append(
            f'<tr class="contender" style="--c:{colour[name]}"><th scope="row"><i class="dot"></i>{safe(names[name])}</th>'
            f'<td class="barcell"><div class="bar"><b style="width:{100 * score.accuracy:.1f}%"></b><u style="left:{low:.1f}%;width:{max(high - low, 0.5):.1f}%"></u></div></td>'
            f'<td class="num"><strong>{percent(score.accuracy)}</strong> <span class="dim">{interval({"interval": score.interval})}</span></td>{cells}</tr>'
        )
    heads = [
        ("on its training rows", "right answers on its own training rows"),
        ("training loss", "mean of the last five steps, nats per token"),
    ]
    head = "".join(f'<th scope="col" class="num" title="{hint}">{word}</th>' for word, hint in heads)
    head += '<th scope="col" class="num cost" title="trained parameters">parameters</th>'
    head += '<th scope="col" class="num" title="trained correctly, then used with this mistake">right, then misused</th>' if misused else ""
    n = next(iter(placed.values())).held_out.n
    return (
        f'<div class="wide"><table class="bars csv"><caption>Right answers on {n} held-out rows, scored once</caption><thead><tr><th scope="col">entry</th>'
        f'<th scope="col">held-out rows right</th><th scope="col" class="num">% <span class="dim">95 % interval</span></th>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table></div>'
    )


def spectrum(sizes: Sequence[Size], name: str) -> dict[str, Any]:
    """How many parameters each method trains, on a logarithmic axis."""
    shown = list(reversed(sizes))
    colour = [INKS[(len(shown) - 1 - number) % len(INKS)] for number in range(len(shown))]
    trace = {
        "type": "bar", "orientation": "h", "x": [size.parameters for size in shown], "y": list(range(len(shown))), "marker": {"color": colour},
        "text": [f"{size.parameters:,}" for size in shown], "textposition": "auto", "textangle": 0, "hoverinfo": "text",
        "hovertext": [plain(f"{size.method}: {size.counted}") for size in shown],
    }  # fmt: skip
    layout = framed(
        height=90 + 46 * len(shown),
        xaxis={
            "type": "log",
            "title": {"text": "trained parameters (each mark is ten times the one before)"},
            "exponentformat": "SI",
            "dtick": 1,
        },
        yaxis={"tickvals": list(range(len(shown))), "ticktext": [plain(size.method) for size in shown], "automargin": True},
    )
    full = sizes[-1].parameters
    title = f"On {name}, a soft prompt trains one parameter per {round(full / max(sizes[0].parameters, 1)):,}" if full else name
    return {"title": title, "note": "Counts by the formulas in the table below.", "data": [trace], "layout": layout}


def sizes_table(sizes: Sequence[Size]) -> str:
    """The same as counts, shares of the model, and sums."""
    full = max(sizes[-1].parameters, 1)
    rows = "".join(
        f"<tr><th scope='row'>{safe(size.method)}</th><td class='num'>{size.parameters:,}</td><td class='num'>{share(size.parameters / full)}</td>"
        f"<td>{safe(size.counted)}</td><td class='dim'>{safe(size.paper)}</td></tr>"
        for size in sizes
    )
    heads = "".join(
        f"<th scope='col' class='{kind}'>{word}</th>"
        for word, kind in (("parameters", "num"), ("share of the model", "num"), ("how they are counted", ""), ("paper", ""))
    )
    return f"<div class='wide'><table class='said csv'><caption>Trained parameters</caption><thead><tr><th scope='col'>method</th>{heads}</tr></thead><tbody>{rows}</tbody></table></div>"


def share(part: float) -> str:
    """A share in percent with two digits that say something.

    >>> share(1.0), share(0.00004283), share(0.0321)
    ('100 %', '0.0043 %', '3.2 %')
    """
    return f"{100 * part:.0f} %" if part >= 0.1 else f"{100 * part:.2g} %"


def diagram(shape: Shape, tokens: int, name: str) -> str:
    """Where a soft prompt's vectors and a K/V prefix go, drawn with a model's real shapes. A block shows its tensor on hover and focus."""
    width, layers = 760, min(3, shape.layers)
    one = f"{shape.kv_heads} K/V heads × {shape.head_dim}"
    made = [
        _drawing("Soft prompt", shape, tokens, layers, width, False, one),
        _drawing("K/V prefix", shape, tokens, layers, width, True, one),
    ]
    return (
        f"<div class='drawings'>{''.join(made)}</div><p class='note'>Drawn for {safe(name)}: {shape.layers} layers, d_model {shape.d_model:,}, {shape.heads} heads, "
        f"{one}. Orange: trained. Grey: frozen. Point at a block, or step through them with the Tab key, to see its tensor. In every layer the "
        "input’s queries attend to K′ = [P<sub>k</sub>; K] and V′ = [P<sub>v</sub>; V]: the prefix’s keys and values first, then the input’s own.</p>"
    )


def _drawing(title: str, shape: Shape, tokens: int, layers: int, width: int, prefix: bool, one: str) -> str:
    rows, height = [], 70 * (layers + 1) + 60
    names = ["input embeddings", *(f"layer {number + 1}" if number < layers - 1 else f"layer {shape.layers}" for number in range(layers))]
    for number, name in enumerate(names):
        y = height - 60 - 70 * number
        rows.append(f"<text x='8' y='{y + 26}' class='label'>{name}</text>")
        if number == 0:
            if not prefix:
                rows.append(
                    _block(
                        140,
                        y,
                        170,
                        "trained",
                        f"P: {tokens} × {shape.d_model:,}",
                        f"the soft prompt, [{tokens}, {shape.d_model:,}]: {tokens * shape.d_model:,} trained parameters",
                    )
                )
            rows.append(
                _block(330, y, 400, "frozen", f"input: n × {shape.d_model:,}", f"the input's embeddings, [n, {shape.d_model:,}], frozen")
            )
            continue
        each = tokens * shape.kv_heads * shape.head_dim
        for part, x in (("k", 140), ("v", 440)):
            word = "keys" if part == "k" else "values"
            size = f"[{tokens}, {shape.kv_heads}, {shape.head_dim}]"
            hint = (
                f"{name}: the prefix's {word}, {size}: {each:,} trained parameters"
                if prefix
                else f"{name}: the {word} that the soft prompt's vectors get here, {size}: computed by the frozen model, not trained"
            )
            rows.append(_block(x, y, 110, "trained" if prefix else "passed", f"P{part}", hint))
            capital = part.upper()
            rows.append(
                _block(
                    x + 114,
                    y,
                    176,
                    "frozen",
                    f"{capital}: n × {one.split(' K/V')[0]} × {shape.head_dim}",
                    f"{name}: the input's own {word}, [n, {shape.kv_heads}, {shape.head_dim}]",
                )
            )
    flow = f"<path class='flow' d='M{width - 16} {height - 40} V30' />"
    total = tokens * (shape.layers * 2 * shape.kv_heads * shape.head_dim if prefix else shape.d_model)
    words = f"{title}: {total:,} trained parameters"
    return f"<figure class='drawing'><figcaption>{words}</figcaption><svg viewBox='0 0 {width} {height}' role='group' aria-label='{words}'>{flow}{''.join(rows)}</svg></figure>"


def _block(x: int, y: int, width: int, kind: str, label: str, hint: str) -> str:
    return (
        f"<g class='block {kind}' tabindex='0' role='img' aria-label='{safe(hint)}'><title>{safe(hint)}</title><rect x='{x}' y='{y}' width='{width}' height='42' rx='5' />"
        f"<text x='{x + width / 2}' y='{y + 26}'>{safe(label)}</text><text class='tip' x='140' y='18'>{safe(hint)}</text></g>"
    )


def textbook(shape: Shape, tokens: Sequence[int]) -> str:
    """Soft prompts and prefixes of several lengths, as textbooks list them."""
    heads = "".join(f"<th scope='col' class='num'>{count}</th>" for count in tokens)
    lines = [method for method in METHODS.values() if not method.defaults["mlp"]]
    rows = "".join(
        f"<tr><th scope='row'>{one.label}</th>{''.join(f'<td class=num>{one.parameter_count(shape, n):,}</td>' for n in tokens)}</tr>"
        for one in lines
    )
    return f"<div class='wide'><table class='said csv'><caption>By the number of virtual tokens</caption><thead><tr><th scope='col'>virtual tokens</th>{heads}</tr></thead><tbody>{rows}</tbody></table></div>"
