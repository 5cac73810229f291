"""By what labels of unequal length are best compared: sum, mean per token, or contextual calibration; on eight sets of labels.

python tests/benchmarks/label_scores.py [--rows 40] [--learned 0] [--only NAME ...] [--model MODEL]

The labels of built-in tasks are put in other words, of more and less tokens, and two sets of rows are written for this. What a task
of one's own is compared with (no prompt, an instruction, worked examples), or a prompt trained for `--learned` steps, is scored on
the same held-out rows by each rule. Also shown: how often the shortest label was chosen, and how often it is right.
"""

import argparse
import sys
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from core.display import text_table
from core.models.language_model import load_model
from core.recipe import Recipe
from core.scoring.contender import bare, by_one_score, written
from core.scoring.score import score
from core.tasks.built_in import built_in
from core.tasks.own_prompts import own_prompts
from core.tasks.split import split_table
from core.tasks.task import Example, Task
from core.training.training import Training

RULES = ("sum", "mean", "calibrated")
RENAMED = {  # name: built-in task, and its labels in other words
    "news, long names": (
        "news",
        {"world": "international politics", "sports": "sports", "business": "business and finance", "science": "science"},
    ),
    "news, two long": (
        "news",
        {"world": "world", "sports": "results of sports events", "business": "business", "science": "science and technology"},
    ),
    "questions": (
        "question-type",
        {
            "person": "person",
            "place": "place or location",
            "number": "number",
            "time": "time",
            "reason": "reason why",
            "thing": "some other thing",
        },
    ),
    "sentiment, not": ("sentiment", {"positive": "positive", "negative": "not positive"}),
    "sentiment, words": ("sentiment", {"positive": "a good review", "negative": "bad"}),
    "sentiment, equal": ("sentiment", {"positive": "good", "negative": "bad"}),
}
REQUESTS = {
    "card arrival": [
        "my new card is still not here",
        "when will the card come",
        "how long does the post take for a card",
        "waiting for my card",
    ],
    "lost or stolen card": ["I can't find my card", "someone took my wallet and card", "my card was stolen", "I left my card on a train"],
    "refund": ["I want my money back", "please return the payment", "can you give me the money back", "the shop owes me for the jacket"],
    "change of address": ["I have moved to another street", "my flat is a new one", "send letters to my new home", "we live in Leeds now"],
    "exchange rate": ["how many dollars for a euro", "what is a pound worth today", "euro to yen, please", "is the rate better tomorrow"],
}
LANGUAGES = {
    "English": ["the house is small", "where are you going", "we eat at seven", "it rains again", "he sold the car"],
    "French": ["la maison est petite", "où vas-tu", "nous mangeons à sept heures", "il pleut encore", "il a vendu la voiture"],
    "Brazilian Portuguese": ["a casa é pequena", "aonde você vai", "comemos às sete", "está chovendo de novo", "ele vendeu o carro"],
    "German": ["das Haus ist klein", "wohin gehst du", "wir essen um sieben", "es regnet wieder", "er hat das Auto verkauft"],
}


def tasks(most: int) -> dict[str, Task]:
    """The sets of labels, with up to `most` held-out rows each."""
    found = {}
    for name, (slug, words) in RENAMED.items():
        task = built_in(slug)
        parts = {
            part: tuple(Example(row.input, words[row.output]) for row in getattr(task, part))
            for part in ("train", "validation", "held_out")
        }
        found[name] = Task(name, name, "{input}\nLabel:", **parts, labels=tuple(sorted(words.values())))
    for name, groups in (("requests", REQUESTS), ("languages", LANGUAGES)):
        rows = [Example(text, label) for label, texts in groups.items() for text in texts]
        (train, validation, held_out), _ = split_table(rows, True)
        found[name] = Task(name, name, "{input}\nLabel:", train[:8], (), (*train[8:], *validation, *held_out), tuple(sorted(groups)))
    return {name: replace(task, held_out=task.held_out[:most]) for name, task in found.items()}


def main() -> None:
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--rows", type=int, default=40)
    made.add_argument("--learned", type=int, default=0, help="steps of a soft prompt that is scored, too; 0: none")
    made.add_argument("--only", action="append", default=[], help="a set of labels (may be repeated)")
    made.add_argument("--model", default="")
    options = made.parse_args()
    lm = load_model(options.model, dtype="float32")
    rows, sums = [], {rule: [0.0, 0] for rule in RULES}
    for name, task in tasks(options.rows).items():
        if options.only and name not in options.only:
            continue
        prompts = own_prompts(task)[:2]
        shortest = min(task.labels, key=lambda label: len(lm.tokenise(" " + label)))
        contenders = [] if options.learned else [bare(task), *(written(task, prompt) for prompt in prompts)]
        if options.learned:
            training = Training(lm, task, Recipe(steps=options.learned))
            training.advance(training.start(), options.learned)
            contenders.append(training.contender())
        for contender in contenders:
            cells = [name, contender.name.partition(":")[0][:30]]
            for rule in RULES:
                found = score(lm, by_one_score([contender], rule)[0], task.held_out, task.labels)
                chosen = sum(max(range(len(task.labels)), key=lambda i: r.shares[i]) == task.labels.index(shortest) for r in found.results)
                cells += [f"{found.accuracy:.0%}", f"{chosen / found.n:.0%}"]
                sums[rule] = [sums[rule][0] + found.accuracy, sums[rule][1] + 1]
            cells.append(f"{sum(row.output == shortest for row in task.held_out) / len(task.held_out):.0%}")
            rows.append(tuple(cells))
            print(*cells, sep=" | ", flush=True, file=sys.stderr)
    rows.append(("mean", "", *(text for rule in RULES for text in (f"{sums[rule][0] / sums[rule][1]:.1%}", "")), ""))
    heads = ("labels", "prompt", *(text for rule in RULES for text in (rule, "shortest")), "right")
    print(text_table(heads, rows))


if __name__ == "__main__":
    main()
