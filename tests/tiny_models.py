"""Tiny random models of five architectures with a small real tokenizer, and tiny tasks: built in code, in milliseconds."""

from functools import cache
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from torch import Tensor
from transformers import (
    AutoModelForCausalLM,
    Gemma3TextConfig,
    GPT2Config,
    GPTNeoXConfig,
    LlamaConfig,
    PreTrainedTokenizerFast,
    Qwen3Config,
)

from core.methods import METHODS
from core.models.language_model import LanguageModel
from core.prefix import Prefix, prefix_of
from core.tasks.task import Example, Handcrafted, Task

ARCHITECTURES = ("gpt2", "llama", "neox", "qwen3", "gemma3")
SLIDING_WINDOW = 8  # of Gemma's first layer: shorter than many a prefix
SENTENCES = (
    "the quick brown fox jumps over the lazy dog and runs away from the garden",
    "she sells sea shells by the sea shore, yes and no, good and bad, red and blue",
    "Word: jump gives jumped. Word: walk gives walked. Word: play gives played.",
    "Question: what is the capital of France? Answer: Paris is the capital of France",
    "one two three four five six seven eight nine ten eleven twelve",
    "call() run() go() stop() jump() walk() play() end() sea() shore()",
    "a review of a film that was very good but too long; Label: positive or negative",
)


@cache
def tokenizer(bos: bool = False) -> PreTrainedTokenizerFast:
    """A byte-level BPE learned from a few sentences, 340 tokens; with `bos`, one that puts <bos> before every text."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=340, special_tokens=["<eos>", "<bos>"], initial_alphabet=alphabet, show_progress=False)
    made.train_from_iterator(SENTENCES, trainer)
    if bos:
        token = ("<bos>", made.token_to_id("<bos>"))
        made.post_processor = processors.TemplateProcessing(single="<bos> $A", pair="<bos> $A <bos> $B", special_tokens=[token])
    return PreTrainedTokenizerFast(tokenizer_object=made, eos_token="<eos>", bos_token="<bos>" if bos else None)


@cache
def sentence_tokenizer() -> PreTrainedTokenizerFast:
    """A BPE that marks spaces with ▁ and puts one before every text, as SentencePiece does; a quote and a letter may be one token."""
    made = Tokenizer(models.BPE(unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
    made.decoder = decoders.Metaspace(prepend_scheme="first")
    alphabet = sorted({letter for text in SENTENCES for letter in text} | {'"', "\n", "▁", "-", ">"})
    trainer = trainers.BpeTrainer(vocab_size=340, special_tokens=["<eos>", "<unk>"], initial_alphabet=alphabet, show_progress=False)
    made.train_from_iterator([*SENTENCES, *['"jump" becomes "jumped" and "play" becomes "played"'] * 3], trainer)
    return PreTrainedTokenizerFast(tokenizer_object=made, eos_token="<eos>", unk_token="<unk>")


def _config(arch: str, vocab: int) -> Any:
    # Wide initial weights, so that tiny models prefer some tokens to others.
    common: dict[str, Any] = dict(vocab_size=vocab, initializer_range=0.2, bos_token_id=None, eos_token_id=None, pad_token_id=None)
    sizes: dict[str, Any] = dict(
        hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4, max_position_embeddings=160, **common
    )
    if arch == "gpt2":
        return GPT2Config(n_embd=32, n_layer=2, n_head=4, n_positions=160, **common)
    if arch == "neox":
        return GPTNeoXConfig(**sizes)
    sizes |= dict(num_key_value_heads=2)  # grouped heads
    if arch == "llama":
        return LlamaConfig(tie_word_embeddings=True, **sizes)
    if arch == "qwen3":
        return Qwen3Config(head_dim=8, **sizes)
    assert arch == "gemma3"
    layers = ["sliding_attention", "full_attention"]
    return Gemma3TextConfig(head_dim=8, layer_types=layers, sliding_window=SLIDING_WINDOW, query_pre_attn_scalar=8, **sizes)


def make(arch: str = "llama", bos: bool = False, **changes: object) -> LanguageModel:
    """A new tiny model of `arch`, with the same random weights each time. `changes` are set on its configuration."""
    words = tokenizer(bos)
    config = _config(arch, len(words) + 12)  # rows that no token has, as in many real models
    for name, value in changes.items():
        setattr(config, name, value)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    return LanguageModel(model, words, f"tiny-{arch}")


def soft_prompt(vectors: Tensor) -> Prefix:
    """A soft prompt of these vectors, (virtual_tokens, d_model)."""
    return prefix_of(METHODS["prompt"], vectors)


def kv_prefix(values: Tensor) -> Prefix:
    """A K/V prefix of these keys and values, (layers, 2, virtual_tokens, kv_heads, head_dim)."""
    return prefix_of(METHODS["prefix"], values)


def random_prefix(lm: LanguageModel, method: str, count: int, seed: int = 0) -> Prefix:
    """A prefix of random numbers about as large as the model's own."""
    spread = lm.vocabulary.std().cpu() if METHODS[method].in_embedding_space else 1.0
    shape = METHODS[method].shape(lm.shape, count)
    return prefix_of(METHODS[method], torch.randn(shape, generator=torch.Generator().manual_seed(seed)) * spread).to(lm.device)


EXAMPLES = (  # inputs and answers of different lengths
    Example("jump", "jumped"),
    Example("walk a long way", "walked"),
    Example("play", "played the day away"),
    Example("sea", "seas"),
    Example("run over the lazy dog", "ran"),
)


def answer_task(**changes: Any) -> Task:
    """Free answers, all of them "yes" but a few: a task that a tiny model's prompt can learn."""
    rows = [Example(word, "no" if number % 6 == 5 else "yes") for number, word in enumerate(_WORDS.split())]
    fields: dict[str, Any] = dict(
        slug="tiny",
        name="Tiny",
        template="{input}",
        train=tuple(rows[:12]),
        validation=tuple(rows[12:16]),
        held_out=tuple(rows[16:]),
        handcrafted=(Handcrafted("sentence", "Word: {input} gives"), Handcrafted("example", "jump -> yes\n{input} ->")),
    )
    return Task(**(fields | changes))


def save_tiny(folder: Path) -> Path:
    """A tiny random model in `folder`."""
    lm = make("llama", max_position_embeddings=2048)
    lm.model.save_pretrained(folder)
    lm.tokenizer.save_pretrained(folder)
    return folder


def label_task(**changes: Any) -> Task:
    """The same with label words of one and of several tokens."""
    task = answer_task()

    def relabel(rows: tuple[Example, ...]) -> tuple[Example, ...]:
        return tuple(Example(row.input, "very good" if row.output == "yes" else "bad") for row in rows)

    fields: dict[str, Any] = dict(
        template="{input}\nLabel:",
        train=relabel(task.train),
        validation=relabel(task.validation),
        held_out=relabel(task.held_out),
        labels=("bad", "very good"),
        handcrafted=(Handcrafted("review", "Review: {input}\nIt was"),),
    )
    return answer_task(**(fields | changes))


_WORDS = "jump walk play run sea shore garden lazy quick brown over away the from one two three four five six seven eight fox film nine"


class Counting:
    """Counts how often a model runs."""

    def __init__(self, lm):
        self.runs = 0
        lm.model.register_forward_pre_hook(lambda *_: setattr(self, "runs", self.runs + 1))
