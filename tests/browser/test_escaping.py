"""No text that comes from outside ever becomes markup or code, wherever it enters and wherever it is shown, in Chromium."""

import json
import zipfile

import pytest
from test_inspect import press, unfold

pytestmark = pytest.mark.browser

# Each would set window.pwned, or leave an element of the class `planted` behind, if any of it were taken for more than text.
PAYLOADS = {
    "a script": "<script class=planted>window.pwned=1</script>",
    "a picture": "<img class=planted src=x onerror=window.pwned=1>",
    "a drawing": "<svg class=planted onload=window.pwned=1>",
    "a frame": '<iframe class=planted srcdoc="<b>">',
    "the end of a script": "</script><script>window.pwned=1</script>",
    "a link": '<a class=planted href="javascript:pwned=1">',
    "what plotly reads": "<br><b>bold</b><sup>up</sup>%{x}%{y:.2f}",
    "a template's place": "${window.pwned=1}{{window.pwned=1}}{% %}",
    "the end of an attribute": '" onmouseover="window.pwned=1" class="planted',
    "the end of another": "' autofocus onfocus='window.pwned=1",
    "the end of a field": "</textarea></title><u class=planted>",
    "a style": "</style><style class=planted>*{display:none}",
    "a token's button": '<button class=planted data-token="3">',
    "Markdown": "[m](javascript:window.pwned=1) ![i](x) **b**",
    "signs spelled out": "&lt;img src=x onerror=window.pwned=1&gt;&amp;",
    "signs of JSON": "\\u003cimg src=x onerror=pwned=1\\u003e</b>",
    "a turned line": "\u202e<b class=planted>gnp.exe",
}
TEXTS = [*PAYLOADS.values()]
SHOWN = [text.replace("\u202e", "\\u202e") for text in TEXTS]  # the sign that would turn what follows is spelled out
LABELS = ["<i class=planted>yes</i>", '"><u class=planted>no']

WRONG = """() => {
  const planted = '.planted, [onerror], [onmouseover], [onfocus], [srcdoc], a[href^="javascript:"], img[src="x"]';
  const found = [...document.querySelectorAll(planted)];
  const scripts = [...document.querySelectorAll('script, style')].filter((one) => one.textContent.trim().startsWith('window.pwned'));
  return [window.pwned, ...[...found, ...scripts].map((one) => one.outerHTML.slice(0, 200))];
}"""
HOVER = """async ([selector, curve, point]) => {
  const host = document.querySelector(selector + ' .plot-host');
  const trace = host.data[curve];
  const [row, column] = [].concat(point, point);
  if (trace.type === 'heatmap') {  // hovered by place: it has no points
    const place = {xval: trace.x ? trace.x[column] : column, yval: trace.y ? trace.y[row] : row};
    Plotly.Fx.hover(host, place, (trace.xaxis || 'x') + (trace.yaxis || 'y'));
  } else Plotly.Fx.hover(host, [{curveNumber: curve, pointNumber: row}], Object.keys(host._fullLayout._plots));
  await new Promise((then) => setTimeout(then, 70));  // plotly leaves 50 ms between two hovers
  return [...host.querySelectorAll('.hoverlayer .hovertext')].map((one) => one.textContent).join(' ');
}"""


def assert_clean(page):
    assert page.evaluate(WRONG) == [None]


def assert_shown(visitor, selector, texts):
    told = visitor.text(selector)
    assert [text for text in texts if text not in told] == []


def hover(visitor, selector, curve, point):
    """What plotly says of a point (of a heatmap: of row and column)."""
    visitor.page.locator(selector).scroll_into_view_if_needed()
    visitor.page.wait_for_selector(f"{selector} .main-svg")
    return visitor.page.evaluate(HOVER, [selector, curve, point])


def hover_all(visitor, selector):
    """Hover over a few points of every trace of a plot."""
    hosts = f"document.querySelector('{selector} .plot-host')"
    visitor.page.locator(selector).scroll_into_view_if_needed()
    visitor.page.wait_for_selector(f"{selector} .main-svg")
    for curve in range(visitor.page.evaluate(f"{hosts}.data.length")):
        for point in (0, 1):
            hover(visitor, selector, curve, point)
    assert_clean(visitor.page)


def hostile_task() -> bytes:
    """A task file that has the payloads wherever it may have text."""
    rows = [f"{text} {word}" for text in TEXTS for word in ("one", "two")]
    return json.dumps({
        "slug": TEXTS[1], "name": f"{TEXTS[0]} {TEXTS[-1]}", "teaches": " ".join(TEXTS[:4]), "notes": TEXTS, "labels": LABELS,
        "template": f"{TEXTS[7]} {{input}}\n{TEXTS[2]}:", "recipe": {"init": "text", "init_text": "<>&" + TEXTS[8], "virtual_tokens": 12},
        "handcrafted": [{"name": text, "template": f"{text} {{input}} is"} for text in TEXTS],
        "train": [[row, LABELS[i % 2]] for i, row in enumerate(rows)], "validation": [[f"{row} too", LABELS[0]] for row in rows[:4]],
        "held_out": [[text, LABELS[i % 2]] for i, text in enumerate(TEXTS)],
    }).encode()  # fmt: skip


def test_texts_of_a_task_a_prompt_and_a_file_stay_texts_on_every_page(visitor, tmp_path):
    page = visitor.page
    visitor.bring("hostile.task.json", hostile_task(), tmp_path)
    visitor.settle("#task-preview", "training rows as tokens")
    assert_shown(visitor, "#task-preview", [SHOWN[0], *SHOWN])
    page.wait_for_timeout(300)
    visitor.use()
    visitor.settle("#examples", TEXTS[0])
    assert_shown(visitor, "#examples", SHOWN[:4])
    visitor.train(3)
    assert_shown(visitor, "#headline", [SHOWN[0], SHOWN[-1]])
    assert_shown(visitor, "#bars", SHOWN)
    lines = page.evaluate("document.querySelector('#curves .plot-host').data.length")
    told = [hover(visitor, "#curves", curve, 1) for curve in range(lines)]
    assert [text for text in SHOWN if not any(text in one for one in told)] == []
    hover_all(visitor, "#plane")
    assert_clean(page)

    visitor.tab("Compare")
    page.fill("#own-prompt textarea", f"{' '.join(TEXTS)} {{input}}")
    page.click("#score-prompt")
    visitor.scored("mine 1")
    page.click("#score-all:not([disabled])")
    visitor.scored("always")
    assert_shown(visitor, "#contenders", SHOWN)
    page.click("#written summary")
    assert_shown(visitor, "#written", [f"{text} {{input}} is" for text in SHOWN])
    assert_shown(visitor, "#verdict", SHOWN)
    page.fill("#ask-text textarea, #ask-text input", " ".join(TEXTS))
    page.click("#ask")
    visitor.settle("#answers", TEXTS[0])
    visitor.scored()
    visitor.tab("Rows")
    visitor.settle("#grid", TEXTS[0])
    assert_shown(visitor, "#grid", [*SHOWN, *LABELS])
    page.click("#grid .cell >> nth=0")
    visitor.settle("#cell", "most likely next tokens")
    visitor.scored()
    page.click("#grid-label input")
    page.wait_for_selector("ul[role=listbox] li")
    assert_clean(page)
    page.keyboard.press("Escape")
    visitor.tab("Measures")
    hover_all(visitor, "#reliability")
    assert_shown(visitor, "#measures", SHOWN)
    visitor.tab("Confusion")
    hover_all(visitor, "#confusion")
    assert LABELS[0] in hover(visitor, "#confusion", 0, [0, 0])
    visitor.tab("Plot")
    visitor.page.wait_for_selector("#intervals .main-svg")
    ticks = page.evaluate("[...document.querySelectorAll('#intervals .ytick')].map((one) => one.textContent)")
    assert [text for text in SHOWN if len(text) <= 43 and text not in ticks] == []
    told = [hover(visitor, "#intervals", 0, point) for point in range(len(ticks))]
    assert [text for text in SHOWN if not any(text in one for one in told)] == []
    page.click("#look input")
    page.wait_for_selector("ul[role=listbox] li")
    assert_clean(page)
    page.keyboard.press("Escape")
    page.hover("#intervals .plot-host")
    figure = visitor.download("#intervals .modebar-btn[data-title='Download as HTML']", tmp_path / "figure.html")
    saved = page.context.new_page()
    saved.goto(figure.as_uri())
    saved.wait_for_selector("#plot .main-svg")
    assert_clean(saved)
    saved.close()

    visitor.tab("Inspect")
    page.wait_for_selector("#nearest-text-1 tbody tr")
    assert_shown(visitor, "#nearest-text-1", ["<", ">", "&", '"'])  # the very tokens of the text that the vectors started from
    for name in ("snap", "vectors", "attention", "hears"):
        press(visitor, name)
        assert_clean(page)
    for name in ("snap", "attention"):
        assert any(text in visitor.text(f"#{name}-text-1") for text in SHOWN)
    for name in ("nearest", "vectors", "attention", "hears"):
        hover_all(visitor, f"#{name}-plot-1")
    page.click("#plane-extras label:has-text('words of prompts')")
    page.wait_for_function("document.querySelector('#plane-plot-1 .plot-host').data.some((one) => (one.name || '').includes('&lt;'))")
    hover_all(visitor, "#plane-plot-1")
    unfold(visitor, "between")
    page.click("#between-other input")
    page.click("ul[role=listbox] li >> nth=2")  # the words of a prompt
    press(visitor, "between")
    hover_all(visitor, "#between-plot-1")
    unfold(visitor, "wayward")
    page.fill("#wayward-sentence input, #wayward-sentence textarea", TEXTS[0])
    page.fill("#wayward-gammas input, #wayward-gammas textarea", "0 5")
    page.fill("#wayward-steps input", "2")
    page.click("#go-wayward:not([disabled])")
    visitor.settle("#wayward-text-1", "scored once")
    page.wait_for_selector("#go-wayward:not([disabled])")
    hover_all(visitor, "#wayward-plot-1")

    # The prompt as a file, with the payloads in all that it tells of itself.
    with zipfile.ZipFile(visitor.prepare("#save", tmp_path / "prompt.zip")) as files:
        parts = {name: files.read(name) for name in files.namelist()}
    record = json.loads(parts["recipe.json"])
    record["base"] |= {"name": TEXTS[1], "weights": TEXTS[2], "device": TEXTS[3]}
    record["task"] |= {"name": TEXTS[4], "slug": TEXTS[5], "labels": LABELS}
    record["recipe"] |= {"task": TEXTS[6], "model": TEXTS[7], "init_text": " ".join(TEXTS)}
    record |= {"template": " ".join(TEXTS) + " {input}", "trained_on": TEXTS, "versions": {text: text for text in TEXTS}, "scores": TEXTS}
    path = tmp_path / f"{TEXTS[1]}.zip"
    with zipfile.ZipFile(path, "w") as files:
        for name, data in (parts | {"recipe.json": json.dumps(record).encode()}).items():
            files.writestr(name, data)
    visitor.load(path)
    visitor.loaded(1)
    visitor.settle("#inspect-message", TEXTS[5])
    page.wait_for_selector("#go-vectors:not([disabled])")
    visitor.choose("inspect-beside", "run 1")
    page.wait_for_selector("#nearest-text-2 table.tokens", state="visible")
    assert "img" in visitor.text("#nearest-text-1 .slot-name")
    press(visitor, "vectors")
    assert_clean(page)
    (tmp_path / f"{TEXTS[2]}.zip").write_bytes(b"no zip")
    visitor.load(tmp_path / f"{TEXTS[2]}.zip")
    visitor.settle("#inspect-message", "not a readable zip")
    for name in ("Train", "Compare", "Your task", "Inspect"):
        visitor.tab(name)
        page.wait_for_timeout(300)
        assert_clean(page)


def test_columns_names_of_files_and_pasted_rows_stay_texts(visitor, tmp_path):
    page = visitor.page

    def quoted(*cells: str) -> str:
        return ",".join('"' + cell.replace('"', '""') + '"' for cell in cells) + "\n"

    head = quoted(*TEXTS[:6])
    rows = "".join(quoted(f"{text} {i}", f"out {text}", *TEXTS[:4]) for i, text in enumerate(TEXTS))
    name = TEXTS[1]
    visitor.bring(f"{name}.csv", (head + rows).encode(), tmp_path)
    visitor.settle("#task-preview", "training rows as tokens")
    assert_shown(visitor, "#task-rows", [*(show[:39] for show in SHOWN[:6]), *SHOWN[:5]])
    assert_clean(page)
    for label in ("input-column", "output-column"):
        page.click(f"#{label} input")
        page.wait_for_selector("ul[role=listbox] li")
        assert_clean(page)
        page.keyboard.press("Escape")
    assert "img" in visitor.text("#task-preview h2")
    for number, label in enumerate(TEXTS[:3]):  # refused, with a name that is markup
        visitor.bring(f"{label.replace('/', '')}.csv", (quoted(label, f"{number}") + "a,b\n").encode(), tmp_path)
        visitor.settle("#task-message", "different rows")
        assert_clean(page)

    # Tokens: markup, line breaks, halves of an emoji, a sign that turns the line; each of them alone in the preview.
    half = "\ud83d".encode("utf-8", "replace").decode()
    odd = ["<b>", "<script>", "a\nb", "\U0001f469\u200d\U0001f467", "\u202ex", half, "&lt;", '"', "'", "${1}"]
    visitor.bring("tokens.csv", ("input,output\n" + "".join(quoted(f"{text} {i}", text) for i, text in enumerate(odd))).encode(), tmp_path)
    visitor.settle("#task-preview", "training rows as tokens")
    tokens = page.evaluate("[...document.querySelectorAll('#task-preview .tok')].map((one) => one.textContent)")
    assert {"<", ">"} <= {token.strip("␣") for token in tokens} and not any("\n" in token or "\u202e" in token for token in tokens)
    page.fill("#task-template textarea", f"{TEXTS[0]} {{input}} {TEXTS[1]}")
    page.wait_for_timeout(1500)
    assert_clean(page)
    page.fill("#task-template textarea", f"{TEXTS[2]} no place")
    visitor.settle("#task-message", "{input} 0 times")
    assert TEXTS[2] in visitor.text("#task-message")
    page.fill("#task-template textarea", "")
    page.fill("#paste textarea", "\n".join(f"{text} -> {text} {i}" for i, text in enumerate(TEXTS)))
    visitor.settle("#task-preview", "held out")
    assert_clean(page)
    page.wait_for_selector("#use-task:not([disabled])")
    visitor.use()
    visitor.settle("#examples", "→")
    visitor.train(3)
    visitor.tab("Compare")
    page.click("#score-all:not([disabled])")
    visitor.scored("always")
    visitor.tab("Rows")
    visitor.settle("#grid", "click a cell")
    assert_clean(page)
