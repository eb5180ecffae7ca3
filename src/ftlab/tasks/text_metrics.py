"""How near what a model wrote is to what was expected."""

import re
from collections.abc import Mapping, Sequence
from statistics import fmean

from rouge_score.rouge_scorer import RougeScorer
from rouge_score.tokenizers import Tokenizer
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF

from ftlab.record import Metric

_ROUGE = {"rouge_1": "rouge1", "rouge_2": "rouge2", "rouge_l": "rougeL"}  # ours -> rouge-score's
OF_EACH = ("exact_match", *_ROUGE)  # means over texts; the others are those of the corpus
NAMES = (*OF_EACH, "bleu", "chrf")

_HAN = "\u3400-\u9fff\uf900-\ufaff"
_KANA = "\u3040-\u30ff"
_TOKEN = re.compile(rf"[{_HAN}{_KANA}]|[^\W_{_HAN}{_KANA}]+")
_MOSTLY = 0.3  # share of characters from which on a text counts as Chinese: it holds numbers and Latin names too


class WordsAndCharacters(Tokenizer):  # type: ignore[misc]
    """Lower-case words of letters and digits, in any script; Chinese and Japanese by characters.

    On English it splits as rouge-score's own tokenizer without stemming does; that one drops all that is not ASCII.
    """

    def tokenize(self, text: str) -> list[str]:
        """Return the tokens."""
        return _TOKEN.findall(text.lower())


def scored(written: Sequence[str], expected: Sequence[str], each: Sequence[Mapping[str, float]]) -> dict[str, Metric]:
    """Return the metrics of all texts together.

    Exact match (white space aside) and ROUGE-1, -2 and -L (F-measures, Lin, 2004) are means over the texts, from 0 to
    1. BLEU (Papineni et al., 2002) and chrF (Popović, 2015) are those of the corpus, from 0 to 100, by sacrebleu, whose
    signature stands beside the value; BLEU's words are characters where the expected texts are Chinese.

    Args:
        written: by the model.
        expected: one for each.
        each: what `scored_each` says of them.
    """
    n = len(written)
    if not n:
        return missing("no text was written")
    metrics = {name: Metric(value=fmean(scores[name] for scores in each), n=n) for name in OF_EACH}
    for name, metric in {"bleu": BLEU(tokenize=_words(expected)), "chrf": CHRF()}.items():
        score = metric.corpus_score(list(written), [list(expected)]).score
        metrics[name] = Metric(value=float(score), n=n, signature=str(metric.get_signature()))
    return metrics


def scored_each(written: Sequence[str], expected: Sequence[str]) -> list[dict[str, float]]:
    """Return, for each text, the metrics whose means over texts `scored` has: by the names in `OF_EACH`."""
    scorer = RougeScorer(list(_ROUGE.values()), tokenizer=WordsAndCharacters())
    found = []
    for text, target in zip(written, expected, strict=True):
        rouge = scorer.score(target, text)
        scores = {name: float(rouge[theirs].fmeasure) for name, theirs in _ROUGE.items()}
        found.append({"exact_match": float(_plain(text) == _plain(target)), **scores})
    return found


def missing(why: str) -> dict[str, Metric]:
    """Return the metrics without values."""
    return {name: Metric(value=None, n=0, status=why) for name in NAMES}


def _plain(text: str) -> str:
    return " ".join(text.split())


def _words(texts: Sequence[str]) -> str:
    """Return the name of sacrebleu's tokenizer for these texts."""
    letters = re.sub(r"\s", "", "".join(texts))
    han, kana = (len(re.findall(f"[{kind}]", letters)) for kind in (_HAN, _KANA))
    if not letters or (han + kana) / len(letters) < _MOSTLY:
        return "13a"
    return "char" if kana > han / 4 else "zh"  # Japanese by words needs a dictionary
