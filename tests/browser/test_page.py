"""The page as a visitor meets it, in Chromium over a tiny random model: controls, bad input, hostile text, phones."""

import zipfile
from pathlib import Path

import pytest
from visitor import Visitor

pytestmark = pytest.mark.browser

HOSTILE = "<img src=x onerror=window.hit=1><script>window.hit=1</script> ${window.hit=1} {{value}}"


def test_a_recorded_run_is_there_before_anything_is_pressed(visit, tiny_app):
    visitor = visit(tiny_app)
    assert "Recorded" in visitor.text("#progress")
    assert "held-out rows right" in visitor.text("#headline .headline")
    assert visitor.page.locator("#chips .chip").count() == 10
    visitor.page.wait_for_selector("#plane .main-svg")
    assert visitor.errors == [] and visitor.elsewhere == []


def test_train_pause_step_resume_and_stop(visit, tiny_app):
    visitor = visit(tiny_app)
    visitor.ready()
    visitor.set("steps", "9000")  # a tiny model takes milliseconds a step
    visitor.page.click("#train")
    visitor.settle("#progress", "left")
    visitor.page.click("#pause")
    visitor.settle("#progress", "Paused at step")
    visitor.page.wait_for_timeout(600)  # what was under way when Pause was pressed may come after it; the last word is said then
    visitor.settle("#progress", "Paused at step")
    paused = int(visitor.text("#progress").split("step ")[1].split()[0])
    visitor.page.click("#step")
    visitor.settle("#progress", f"Paused at step {paused + 1} of 9000")
    for _ in range(2):  # again, while the answer to the first press still follows the run
        visitor.page.click("#pause")  # now: Resume
        visitor.settle("#progress", "left")
        visitor.page.click("#pause")
        visitor.settle("#progress", "Paused at step")
    visitor.page.click("#pause")
    visitor.settle("#progress", "left")
    visitor.page.click("#stop")
    visitor.run_ends()
    assert "You stopped it" in visitor.text("#progress")
    assert "held-out rows" in visitor.text("#bars")
    assert visitor.errors == []


def test_step_begins_a_run_of_one_step(visit, tiny_app):
    visitor = visit(tiny_app)
    visitor.ready()
    visitor.page.click("#step")
    visitor.settle("#progress", "Paused at step 1 of")
    visitor.page.click("#stop")
    visitor.run_ends()


def test_zoom_survives_training_and_every_step_is_painted_without_a_new_plot(visit, tiny_app):
    visitor = visit(tiny_app)
    visitor.ready()
    page = visitor.page
    page.evaluate("window.before = document.querySelector('#plane .plot-host')")
    page.evaluate("Plotly.relayout(document.querySelector('#plane .plot-host'), {'xaxis.range': [-1, 1], 'yaxis.range': [-1, 1]})")
    visitor.train(30)
    assert page.evaluate("document.querySelector('#plane .plot-host').layout.xaxis.range") == [-1, 1]
    assert page.evaluate("window.before === document.querySelector('#plane .plot-host')")
    losses = page.evaluate("document.querySelector('#curves .plot-host').data.find(t => t.name === 'training loss').y")
    assert len(losses) == 30
    assert visitor.errors == []


SCRUB = """() => {
  const bar = document.querySelector('#scrubber input[type=range]');
  bar.value = 20;
  bar.dispatchEvent(new Event('input', {bubbles: true}));
}"""


def test_a_scrub_while_the_page_is_still_opening_stays(chromium, tiny_app):
    context = chromium.new_context()
    visitor = Visitor(context.new_page(), tiny_app)
    visitor.page.goto(tiny_app)
    visitor.page.wait_for_selector("#curves .main-svg")
    assert visitor.page.query_selector("#status .ok") is None
    visitor.page.evaluate(SCRUB)
    visitor.ready()
    visitor.settle("#plane .plot-note", "step 20")
    assert visitor.page.input_value("#scrubber input[type=range]") == "20"
    visitor.page.click("#chips .chip >> nth=3")
    visitor.page.wait_for_function("document.querySelector('#plane .plot-host').data.at(-1).marker.size[3] === 16")
    assert "step 20" in visitor.text("#plane .plot-note")
    context.close()


def test_scrub_back_and_a_click_on_a_token_lights_it_everywhere(visit, tiny_app):
    visitor = visit(tiny_app)
    page = visitor.page
    page.evaluate(SCRUB)
    visitor.settle("#plane .plot-note", "step 20")
    page.click("#chips .chip >> nth=3")
    page.wait_for_selector("#chips .chip[aria-pressed=true][data-token='3']")
    page.wait_for_function("document.querySelector('#plane .plot-host').data.at(-1).marker.size[3] === 16")
    visitor.tab("Inspect")
    page.click("#nearest-text-1 button[data-token='5']")
    page.wait_for_selector("#nearest-text-1 tr.lit button[data-token='5']")
    visitor.tab("Train")
    page.wait_for_selector("#chips .chip[aria-pressed=true][data-token='5']")


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("virtual_tokens", "0", "virtual tokens is 0"),
        ("virtual_tokens", "10000", "virtual tokens is 10000"),
        ("learning_rate", "0", "learning rate is 0"),
        ("learning_rate", "11", "learning rate is 11"),
        ("learning_rate", "", "learning rate is empty"),
        ("steps", "-3", "steps is -3"),
        ("steps", "2.5", "steps is 2.5"),
    ],
)
def test_a_bad_setting_gets_a_sentence_and_changes_nothing(visit, tiny_app, name, value, told):
    visitor = visit(tiny_app)
    before = visitor.text("#headline .headline")
    visitor.set(name, value)
    visitor.page.click("#train")
    visitor.settle("#message", told)
    assert visitor.text("#headline .headline") == before
    assert visitor.page.is_enabled("#train")


def test_bad_files_get_a_sentence_and_change_nothing(visit, tiny_app, tmp_path):
    visitor = visit(tiny_app)
    long_cell = b"input,output\n" + b"x" * 2_500_000 + b",y\n"
    for name, data, told in [
        ("empty.csv", b"", "is empty"),
        ("no-answer.csv", b"input,output\na,1\nb,\n", "Row 3"),
        ("columns.csv", b"left,right\na,b\n", "it needs input and output"),
        ("one.csv", b"text,label\n" + b"".join(b"t%d,same\n" % i for i in range(8)), "one label only"),
        ("500.csv", b"text,label\n" + b"".join(b"t%d,l%d\n" % (i, i % 500) for i in range(1500)), "500 different labels"),
        ("empty-label.csv", b"text,label\na,x\nb,\n", "Row 3"),
        ("begins.csv", b"text,label\n" + b"".join(b"t%d,%s\n" % (i, b"no" if i % 2 else b"no way") for i in range(12)), "begin those of"),
        ("gzip.csv", b"\x1f\x8b\x08\x00rest", "compressed"),
        ("excel.csv", b"PK\x03\x04rest", "compressed or office file"),
        ("nul.csv", b"input,output\na\0,b\n", "binary"),
        ("utf16.csv", "input,output\na,b\n".encode("utf-16"), "UTF-16"),
        ("quote.csv", b'input,output\n"a,b\n', "well-formed"),
        ("twice.csv", b"input,output,output\na,b,c\n", "two columns of the same name"),
        ("million.csv", b"input,output\n" + b"a,b\n" * 1_000_000, "larger than 2 MB"),
        ("cell.csv", long_cell, "larger than 2 MB"),
    ]:
        visitor.bring(name, data, tmp_path)
        visitor.settle("#task-message", told)
        assert visitor.page.is_disabled("#use-task")
    visitor.tab("Train")
    assert "promise" in visitor.text("#examples")


def test_pasted_rows_become_a_task_with_its_tokens_in_sight(visit, tiny_app, tmp_path):
    visitor = visit(tiny_app)
    visitor.ready()
    page = visitor.page
    visitor.tab("Your task")
    words = "red blue sea fox dog sun moon tree book =1+1 😀🎈 مرحبا"  # the last three are text like any other
    page.fill("#paste textarea", "\n".join(f"{word} -> {word}s" for word in words.split()))
    page.click("#read-rows")
    visitor.settle("#task-preview", "the model gets")
    assert "held out" in visitor.text("#task-preview")
    page.fill("#task-template textarea", "Plural of {input}:")
    visitor.settle("#task-preview", "␣")
    page.fill("#task-template textarea", "no place")
    visitor.settle("#task-message", "{input} 0 times")
    page.fill("#task-template textarea", "Word {input} gives")
    page.wait_for_selector("#use-task:not([disabled])")
    visitor.use()
    visitor.settle("#examples", "reds")
    visitor.train(3)
    visitor.tab("Your task")
    with page.expect_download() as download:
        page.click("#task-download a")
    path = tmp_path / "mine.task.json"
    download.value.save_as(path)
    visitor.bring("again.json", path.read_bytes(), tmp_path)
    visitor.settle("#task-preview", "the model gets")
    assert visitor.errors == []


def test_labels_can_be_given_other_words(visit, tiny_app, tmp_path):
    visitor = visit(tiny_app)
    visitor.ready()
    rows = "".join(f"text number {'abcdefghijklmnop'[i]},{i % 2}\n" for i in range(16))
    visitor.bring("digits.csv", f"text,label\n{rows}".encode(), tmp_path)
    visitor.settle("#task-preview", "and chooses among")
    assert visitor.page.input_value("#label-words textarea") == "0 = 0\n1 = 1"
    visitor.page.fill("#label-words textarea", "0 = good\n1 = bad")
    visitor.settle("#task-preview", "good")
    visitor.page.fill("#label-words textarea", "0 = same\n1 = same")
    visitor.page.wait_for_selector("#task-message .message")
    visitor.page.fill("#label-words textarea", "0 good")
    visitor.settle("#task-message", "Line 1")
    assert visitor.page.is_disabled("#use-task")


def test_a_contest_with_everybody(visit, tiny_app):
    visitor = visit(tiny_app)
    visitor.ready()
    page = visitor.page
    visitor.train(5)
    visitor.tab("Compare")
    idle = "#stop-scoring[disabled]"
    page.click("#score-all")
    visitor.settle("#contenders", "always")
    page.wait_for_selector(idle)
    page.click("button:has-text('worked examples')")
    page.click("#score-few")
    visitor.settle("#contenders", "mean of 3")
    page.wait_for_selector(idle)
    page.fill("#few-k input", "0")
    page.click("#score-few")
    visitor.settle("#compare-message", "choose a whole number from 1 to 32")
    page.click("button:has-text('variants of a written prompt')")
    page.click("#score-chat")
    visitor.settle("#compare-message", "no chat template")
    page.click("#score-calibrated")
    visitor.settle("#compare-message", "choose a task with labels")
    page.click("button:has-text('seeds and controls')")
    page.click("#score-controls")
    visitor.settle("#contenders", "snapped")
    visitor.settle("#contenders", "random vectors")
    page.wait_for_selector(idle)
    page.click("#more-seeds")
    visitor.settle("#contenders", "seeds of run 1")
    page.wait_for_selector(idle)
    page.click("#train-shuffled")
    visitor.settle("#contenders", "on shuffled answers")
    page.wait_for_selector(idle)
    assert "against" in visitor.text("#verdict") and "No difference" in visitor.text("#verdict")  # a random model knows nothing
    visitor.shoot("compare-contest")
    visitor.tab("Rows")
    page.click("#grid .cell >> nth=0")
    visitor.settle("#cell", "most likely next tokens")
    page.wait_for_selector(idle)
    visitor.shoot("compare-rows")
    visitor.tab("Measures")
    page.wait_for_selector("#reliability .main-svg")
    visitor.tab("Plot")
    page.wait_for_selector("#intervals .main-svg")
    with page.expect_download() as download:
        page.click("#contenders a.download >> nth=0")
    assert "snapped" in Path(download.value.path()).read_text("utf-8")
    with page.expect_download() as download:
        page.hover("#intervals .plot-host")
        page.click("#intervals .modebar-btn[data-title='Download as HTML']")
    assert "Plotly.newPlot" in Path(download.value.path()).read_text("utf-8")
    assert visitor.errors == []


def test_hostile_text_is_shown_as_it_is_everywhere(visit, tiny_app, tmp_path):
    visitor = visit(tiny_app)
    visitor.ready()
    page = visitor.page
    spelled = "abcdefghijkl"
    rows = "".join(f'"{HOSTILE} {spelled[i]}",{"<b>one</b>" if i % 2 else "<i>two</i>"}\n' for i in range(12))
    visitor.bring("<img src=x onerror=window.hit=1>.csv".replace("/", ""), ("text,label\n" + rows).encode(), tmp_path)
    visitor.settle("#task-preview", "the model gets")
    visitor.use()
    visitor.settle("#examples", "<script>window.hit=1</script>")
    visitor.train(3)
    visitor.tab("Compare")
    page.fill("#own-prompt textarea", HOSTILE + " {input}")
    page.click("#score-prompt")
    visitor.settle("#contenders", "mine 1")
    page.wait_for_selector("#stop-scoring[disabled]")
    page.click("#written summary")
    assert HOSTILE in visitor.text("#written")
    page.fill("#ask-text textarea, #ask-text input", HOSTILE)
    page.click("#ask")
    visitor.settle("#answers", "<script>")
    page.wait_for_selector("#stop-scoring[disabled]")
    visitor.tab("Rows")
    visitor.settle("#grid", "<script>")
    page.click("#grid .cell >> nth=0")
    visitor.settle("#cell", "<script>")
    visitor.tab("Confusion")
    page.wait_for_selector("#confusion .main-svg")
    page.hover("#confusion .plot-host")
    visitor.tab("Inspect")
    page.wait_for_selector("#nearest-text-1 tbody tr")
    page.wait_for_timeout(500)
    assert page.evaluate("window.hit") is None
    assert page.locator("img[src=x]").count() == 0
    assert visitor.errors == []


def test_your_own_prompt_without_input_gets_a_sentence(visit, tiny_app):
    visitor = visit(tiny_app)
    visitor.tab("Compare")
    visitor.page.fill("#own-prompt textarea", "no place")
    visitor.page.click("#score-prompt")
    visitor.settle("#compare-message", "{input} 0 times")


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (390, True)])
def test_a_report_is_one_file_that_opens_without_a_network(visit, tiny_app, tmp_path, width, dark):
    visitor = visit(tiny_app, width, dark)  # the recording will do
    page = visitor.page
    visitor.tab("Inspect")
    page.click("#report")
    page.wait_for_selector("#download:visible")
    with page.expect_download() as download:
        page.click("#download")
    path = tmp_path / "report.html"
    download.value.save_as(path)
    page.context.set_offline(True)
    opened, errors, asked = page.context.new_page(), [], []
    opened.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    opened.on("pageerror", lambda error: errors.append(str(error)))
    opened.on("request", lambda request: asked.append(request.url))
    opened.goto(path.as_uri())
    opened.wait_for_selector("#plot-curves .main-svg")
    opened.wait_for_selector("#plot-plane .main-svg")
    assert "held-out rows right" in opened.inner_text("h1") and opened.locator("#nearest tbody tr").count() == 10
    assert opened.evaluate("document.documentElement.scrollWidth") <= width
    paper = opened.evaluate("getComputedStyle(document.body).backgroundColor")
    assert paper == ("rgb(18, 24, 31)" if dark else "rgb(255, 255, 255)")
    opened.emulate_media(media="print")
    assert opened.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert errors == [] and all(url.startswith(("file:", "data:", "blob:")) for url in asked)
    opened.close()


def test_save_load_and_snap(visit, tiny_app, tmp_path):
    visitor = visit(tiny_app)
    visitor.ready()
    page = visitor.page
    visitor.train(5)
    visitor.tab("Inspect")
    page.click("#go-snap:not([disabled])")
    visitor.settle("#snap-text-1", "control 3")
    page.click("#save")
    page.wait_for_selector("#download:visible")
    wide = "[...document.querySelectorAll('.picker button')].filter((one) => one.scrollWidth > one.clientWidth).map((one) => one.id)"
    assert page.evaluate(wide) == [], "a button's words stand outside of it"
    with page.expect_download() as download:
        page.click("#download")
    path = tmp_path / "prompt.zip"
    download.value.save_as(path)
    page.set_input_files("#load-prompt input[type=file], input[type=file] >> nth=-1", str(path))
    page.wait_for_function("document.querySelector('#inspect-run input').value.startsWith('loaded 1')")
    (tmp_path / "bad.zip").write_bytes(b"not a zip")
    page.wait_for_function("!document.querySelector('#load-prompt').disabled")
    page.set_input_files("#load-prompt input[type=file], input[type=file] >> nth=-1", str(tmp_path / "bad.zip"))
    visitor.settle("#inspect-message", "not a readable zip")
    with zipfile.ZipFile(path) as full:
        assert {"adapter_model.safetensors", "recipe.json", "README.md", "run.json"} <= set(full.namelist())
    with zipfile.ZipFile(path) as full, zipfile.ZipFile(tmp_path / "plain.zip", "w") as plain:
        for name in full.namelist():
            if name != "recipe.json":
                plain.writestr(name, full.read(name))
    page.wait_for_function("!document.querySelector('#load-prompt').disabled")
    page.set_input_files("#load-prompt input[type=file], input[type=file] >> nth=-1", str(tmp_path / "plain.zip"))
    visitor.settle("#inspect-message", "no recipe.json")
    page.fill("#load-template textarea, #load-template input", "no place")
    page.click("#use-template")
    visitor.settle("#inspect-message", "{input} 0 times")
    page.fill("#load-template textarea, #load-template input", "{input} gives")
    page.click("#use-template")
    page.wait_for_function("document.querySelector('#inspect-run input').value.startsWith('loaded 2')")
    page.wait_for_selector("#load-template", state="hidden")
    assert visitor.errors == []


def test_a_prefix_says_that_it_has_no_words_and_shows_its_layers(visit, tiny_app):
    visitor = visit(tiny_app)
    visitor.ready()
    page = visitor.page
    page.click("#set-method label:has-text('K/V prefix')")
    page.wait_for_function("document.querySelector('#set-learning_rate input').value === '0.01'")
    visitor.train(4)
    assert "no nearest tokens" in visitor.text("#chips")
    visitor.tab("Inspect")
    visitor.settle("#nearest-text-1", "no vocabulary to project")
    page.click("#part label:has-text('keys')")
    visitor.settle("#plane-plot-1 .plot-title", "how the keys vary")
    assert visitor.errors == []


def test_two_tabs_do_not_see_each_other(visit, tiny_app):
    one, two = visit(tiny_app), visit(tiny_app)
    one.ready()
    one.train(4)
    assert "Recorded" in two.text("#progress")
    two.tab("Inspect")
    two.page.wait_for_timeout(300)
    assert "recording" in two.page.input_value("#inspect-run input")


@pytest.mark.parametrize(("width", "dark"), [(390, False), (390, True), (768, False), (1280, False), (1280, True), (1920, False)])
def test_no_page_is_wider_than_the_screen(visit, tiny_app, width, dark):
    visitor = visit(tiny_app, width, dark)
    for name in ("Train", "Compare", "Inspect", "Your task", "Learn"):
        visitor.tab(name)
        visitor.page.wait_for_timeout(400)
        visitor.shoot(f"{name.lower()}-{width}-{'dark' if dark else 'light'}")
        assert visitor.page.evaluate("document.documentElement.scrollWidth") <= width + 2
    assert visitor.errors == []


def test_a_reload_in_mid_run_goes_on_where_it_was(visit, tiny_app):
    visitor = visit(tiny_app)
    visitor.ready()
    page = visitor.page
    visitor.set("steps", "9000")
    visitor.set("virtual_tokens", "7")
    page.click("#train")
    visitor.settle("#progress", "left")
    page.reload()
    page.wait_for_selector("#curves .main-svg")
    visitor.settle("#progress", "Paused at step")
    visitor.errors.clear()  # the old page's stream was cut off, which its Gradio says
    assert page.input_value("#set-virtual_tokens input") == "7" and not page.is_visible("#offer")
    step = int(visitor.text("#progress").split("step ")[1].split()[0])
    page.click("#pause")  # now: Resume
    visitor.settle("#progress", "left")
    page.click("#stop")
    visitor.run_ends()
    assert page.evaluate("document.querySelector('#curves .plot-host').data.find(t => t.name === 'training loss').x.at(-1)") > step
    assert visitor.errors == []


def test_a_closed_tab_can_be_brought_back(visit, tiny_app):
    visitor = visit(tiny_app)
    visitor.ready()
    visitor.train(4)
    again = visitor.page.context.new_page()
    visitor.page.close()
    visitor.page = again
    for _ in range(20):  # until the server has noticed
        visitor.open()
        visitor.page.wait_for_timeout(1000)
        if visitor.page.is_visible("#offer"):
            break
    visitor.settle("#offer", "step 4 of 4")
    visitor.page.click("#bring-back")
    visitor.settle("#progress", "s of training")
    assert not visitor.page.is_visible("#offer")
