#!/usr/bin/env bash
# Expected: two threads that call one fast tokenizer with their own max_length get texts of these lengths, or an error
#   ("Already borrowed" is what older reports of threads name).
# Seen: transformers 5.23.0 with tokenizers 0.23.3 raises nothing, and now and then returns a text cut to the max_length of the
#   other thread: too long for its model, or cut where it should be whole. Truncation is a state of the tokenizer, set before each
#   call, and the other thread sets it in between.
# What it costs: a server that shares a tokenizer between requests or models of several lengths answers some of them from
#   another text than it was given. Share a lock, or give each thread a tokenizer of its own.
# Sources: huggingface/transformers issue 47085 (the errors); the silent exchange seen by running it, on 2026-11-30.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -qq --disable-pip-version-check transformers==5.23.0 tokenizers==0.23.3
cat >"$work/ask.py" <<'PY'
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

words = [f"w{number}" for number in range(200)]
model = models.WordLevel({word: number for number, word in enumerate([*words, "[PAD]", "[UNK]"])}, unk_token="[UNK]")
plain = Tokenizer(model)
plain.pre_tokenizer = pre_tokenizers.Whitespace()
tokenizer = PreTrainedTokenizerFast(tokenizer_object=plain, pad_token="[PAD]", unk_token="[UNK]")
text, lengths = " ".join(words), [10, 150] * 2000


def ask(max_length: int) -> str:
    try:
        found = len(tokenizer(text, truncation=True, max_length=max_length)["input_ids"])
    except RuntimeError as error:
        return f"error: {error}"
    return "as asked" if found == max_length else f"asked for {max_length} tokens, got {found}"


print("one thread:", dict(Counter(map(ask, lengths))))
for rounds in range(1, 201):  # most rounds show it
    with ThreadPoolExecutor(8) as threads:
        answers = Counter(threads.map(ask, lengths))
    if any(answer.startswith("asked") for answer in answers):
        print(f"eight threads, round {rounds}:", dict(answers))
        sys.exit()
sys.exit("eight threads, 200 rounds: all as asked, or errors")
PY
if "$work/venv/bin/python" "$work/ask.py"; then echo "seen again"; else echo "changed"; exit 1; fi
