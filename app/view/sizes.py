"""How many parameters each way of adapting a model trains, as tables, and where they go in the model, as a drawing."""

from collections.abc import Sequence

from app.view.html import Html, join, note, table, tag, wide
from core.finetuning.parameters import Size
from core.methods import METHODS
from core.models.sizes import Shape

WIDTH, HEIGHT = 760, 70  # pixels: of a drawing, and of a layer in it
DRAWN = 3  # layers, at most


def share(part: float) -> str:
    """A share in percent with two digits that say something.

    >>> share(1.0), share(0.00004283), share(0.0321)
    ('100 %', '0.0043 %', '3.2 %')
    """
    return f"{100 * part:.0f} %" if part >= 0.1 else f"{100 * part:.2g} %"


def sizes_table(sizes: Sequence[Size]) -> Html:
    """Each method's trained parameters, its share of the model, and how both are counted."""
    full = max(sizes[-1].parameters, 1)
    rows = [
        [size.method, f"{size.parameters:,}", share(size.parameters / full), size.counted, tag("span", size.paper, class_="dim")]
        for size in sizes
    ]
    heads = ["method", "parameters", "share of the model", "how they are counted", "paper"]
    return wide(table(heads, rows, "Trained parameters", numbers=(1, 2)))


def textbook(shape: Shape, tokens: Sequence[int]) -> Html:
    """Soft prompts and prefixes of several lengths, as textbooks list them."""
    methods = [method for method in METHODS.values() if not method.defaults["mlp"]]
    rows = [[one.label, *(f"{one.parameter_count(shape, n):,}" for n in tokens)] for one in methods]
    return wide(table(["virtual tokens", *tokens], rows, "By the number of virtual tokens", numbers=range(1, len(tokens) + 1)))


# --- the drawing ------------------------------------------------------------------------------------------------------


def diagram(shape: Shape, tokens: int, name: str) -> Html:
    """Where a soft prompt's vectors and a K/V prefix go, drawn with a model's real shapes. A block shows its tensor on hover and focus."""
    drawings = tag("div", _drawing(shape, tokens, prefix=False), _drawing(shape, tokens, prefix=True), class_="drawings")
    words = Html(
        "Drawn for {}: {} layers, d_model {:,}, {} heads, {}. Orange: trained. Grey: frozen. Point at a block, or step through them with "
        "the Tab key, to see its tensor. In every layer the input’s queries attend to K′ = [P<sub>k</sub>; K] and V′ = [P<sub>v</sub>; V]: "
        "the prefix’s keys and values first, then the input’s own."
    ).format(name, shape.layers, shape.d_model, shape.heads, f"{shape.kv_heads} K/V heads × {shape.head_dim}")
    return drawings + note(words)


def _drawing(shape: Shape, tokens: int, prefix: bool) -> Html:
    shown = min(DRAWN, shape.layers)
    height = HEIGHT * (shown + 1) + 60
    numbers = [*range(1, shown), shape.layers]  # the first layers, and the last
    layers = ["input embeddings", *(f"layer {number}" for number in numbers)]
    rows = []
    for place, name in enumerate(layers):
        y = height - 60 - HEIGHT * place
        rows.append(tag("text", name, x=8, y=y + 26, class_="label"))
        rows.append(_layer(shape, tokens, name, y, prefix) if place else _embeddings(shape, tokens, y, prefix))
    total = tokens * (shape.layers * 2 * shape.kv_heads * shape.head_dim if prefix else shape.d_model)
    words = f"{'K/V prefix' if prefix else 'Soft prompt'}: {total:,} trained parameters"
    flow = tag("path", class_="flow", d=f"M{WIDTH - 16} {height - 40} V30")
    drawing = tag("svg", flow, *rows, viewBox=f"0 0 {WIDTH} {height}", role="group", aria_label=words)
    return tag("figure", tag("figcaption", words), drawing, class_="drawing")


def _embeddings(shape: Shape, tokens: int, y: int, prefix: bool) -> Html:
    d = f"{shape.d_model:,}"
    hint = f"the soft prompt, [{tokens}, {d}]: {tokens * shape.d_model:,} trained parameters"
    prompt = None if prefix else _block(140, y, 170, "trained", f"P: {tokens} × {d}", hint)
    return join([prompt, _block(330, y, 400, "frozen", f"input: n × {d}", f"the input's embeddings, [n, {d}], frozen")])


def _layer(shape: Shape, tokens: int, name: str, y: int, prefix: bool) -> Html:
    """A layer's keys and values: those of the prompt, and the input's own."""
    each = f"{tokens * shape.kv_heads * shape.head_dim:,}"
    size = f"[{tokens}, {shape.kv_heads}, {shape.head_dim}]"
    blocks = []
    for part, word, x in (("k", "keys", 140), ("v", "values", 440)):
        hint = (
            f"{name}: the prefix's {word}, {size}: {each} trained parameters"
            if prefix
            else f"{name}: the {word} that the soft prompt's vectors get here, {size}: computed by the frozen model, not trained"
        )
        own = f"{name}: the input's own {word}, [n, {shape.kv_heads}, {shape.head_dim}]"
        blocks.append(_block(x, y, 110, "trained" if prefix else "passed", f"P{part}", hint))
        blocks.append(_block(x + 114, y, 176, "frozen", f"{part.upper()}: n × {shape.kv_heads} × {shape.head_dim}", own))
    return join(blocks)


def _block(x: int, y: int, width: int, kind: str, label: str, hint: str) -> Html:
    return tag(
        "g",
        tag("title", hint),
        tag("rect", x=x, y=y, width=width, height=42, rx=5),
        tag("text", label, x=x + width / 2, y=y + 26),
        tag("text", hint, class_="tip", x=140, y=18),
        class_=f"block {kind}",
        tabindex=0,
        role="img",
        aria_label=hint,
    )
