#!/usr/bin/env bash
# Expected: a WordPiece tokenizer trained twice on the same text with the same settings gives the same ids, as no seed is involved.
# Seen: tokenizers 0.23.3 gives other ids in each process, for WordPiece and Unigram; BPE gives the same.
# What it costs: a model trained with one of them reads nonsense with the other, and a test or a paper whose tokenizer is retrained
#   cannot be repeated. Train once, keep tokenizer.json, compare its hash.
# Sources: the documentation of the trainers names neither a seed nor this; seen by running it, on 2026-11-30.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -qq --disable-pip-version-check tokenizers==0.23.3
cat >"$work/train.py" <<'PY'
import sys

from tokenizers import Tokenizer, models, pre_tokenizers, trainers

kinds = {
    "BPE": (models.BPE(), trainers.BpeTrainer),
    "WordPiece": (models.WordPiece(unk_token="[UNK]"), trainers.WordPieceTrainer),
    "Unigram": (models.Unigram(), trainers.UnigramTrainer),
}
text = ["the cat sat on the mat and the dog sat on the log", "a market fell as banks raised rates", "shares rose by five per cent"]
model, trainer = kinds[sys.argv[1]]
tokenizer = Tokenizer(model)
tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
tokenizer.train_from_iterator(text, trainer(vocab_size=60, show_progress=False))
print(tokenizer.encode("market dog").ids)
PY
for kind in BPE WordPiece Unigram; do
    for _ in 1 2 3 4 5 6; do "$work/venv/bin/python" "$work/train.py" "$kind"; done | sort -u >"$work/$kind"
    echo "$kind: $(wc -l <"$work/$kind") different encodings of 'market dog' from 6 processes"
    head -n 2 "$work/$kind"
done
if [ "$(wc -l <"$work/BPE")" = 1 ] && [ "$(wc -l <"$work/WordPiece")" -gt 1 ]; then echo "seen again"; else echo "changed"; exit 1; fi
