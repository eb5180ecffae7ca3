"""Metrics of generated texts: exact match, ROUGE, BLEU, chrF."""

import re
from collections.abc import Mapping, Sequence
from itertools import chain, zip_longest
from statistics import fmean

from rouge_score.rouge_scorer import RougeScorer
from rouge_score.tokenizers import Tokenizer
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF

from ftlab.record import Metric

_ROUGE = {"rouge_1": "rouge1", "rouge_2": "rouge2", "rouge_l": "rougeL"}  # our name -> rouge-score's
PER_TEXT_METRICS = ("exact_match", *_ROUGE)  # averaged over texts; the others are corpus metrics
METRIC_NAMES = (*PER_TEXT_METRICS, "bleu", "chrf")

_HAN = "\u3400-\u9fff\uf900-\ufaff"
_KANA = "\u3040-\u30ff"
_TOKEN = re.compile(rf"[{_HAN}{_KANA}]|[^\W_{_HAN}{_KANA}]+")
_MIN_CJK_SHARE = 0.3  # texts with at least this share of CJK characters are split as Chinese or Japanese


class WordsAndCharacters(Tokenizer):  # type: ignore[misc]
    """Tokenizer for ROUGE: lower-case words of letters and digits in any script; characters in Chinese and Japanese.

    On English it equals rouge-score's own tokenizer without stemming, which drops everything that is not ASCII.
    """

    def tokenize(self, text: str) -> list[str]:
        """Return the tokens."""
        return _TOKEN.findall(text.lower())


def corpus_metrics(
    predictions: Sequence[str], references: Sequence[Sequence[str]], text_scores: Sequence[Mapping[str, float]]
) -> dict[str, Metric]:
    """Return the metrics over all texts.

    Exact match (ignoring white space) and ROUGE-1, -2 and -L (F-measures, Lin, 2004) are means over the texts, from 0
    to 1. BLEU (Papineni et al., 2002) and chrF (Popović, 2015) are corpus metrics from 0 to 100, by sacrebleu, whose
    signature is stored with the value; BLEU counts characters instead of words if the references are Chinese. Of
    several references of a text, sacrebleu takes for BLEU the n-grams of all, and for chrF the best.

    Args:
        predictions: texts from the model.
        references: the expected texts of each, of which any is right; at least one.
        text_scores: what `score_each_text` returned for them.
    """
    n = len(predictions)
    if not n:
        return undefined_metrics("no text was written")
    metrics = {name: Metric(value=fmean(scores[name] for scores in text_scores), n=n) for name in PER_TEXT_METRICS}
    # the first reference of every text, then the second ones, with None for texts that have fewer
    streams = [list(stream) for stream in zip_longest(*references)]
    tokenizer = _bleu_tokenizer([*chain.from_iterable(references)])
    for name, metric in {"bleu": BLEU(tokenize=tokenizer), "chrf": CHRF()}.items():
        score = metric.corpus_score(list(predictions), streams).score
        metrics[name] = Metric(value=float(score), n=n, signature=str(metric.get_signature()))
    return metrics


def score_each_text(predictions: Sequence[str], references: Sequence[Sequence[str]]) -> list[dict[str, float]]:
    """Return the metrics in `PER_TEXT_METRICS` for each text: each metric by the reference that gives the most."""
    scorer = RougeScorer(list(_ROUGE.values()), tokenizer=WordsAndCharacters())
    scores = []
    for prediction, expected in zip(predictions, references, strict=True):
        rouge = scorer.score_multi(expected, prediction)
        f_measures = {name: float(rouge[rouge_name].fmeasure) for name, rouge_name in _ROUGE.items()}
        exact_match = _normalise_spaces(prediction) in map(_normalise_spaces, expected)
        scores.append({"exact_match": float(exact_match), **f_measures})
    return scores


def undefined_metrics(reason: str) -> dict[str, Metric]:
    """Return all metrics without a value; the reason is their status."""
    return {name: Metric(value=None, n=0, status=reason) for name in METRIC_NAMES}


def _normalise_spaces(text: str) -> str:
    return " ".join(text.split())


def _bleu_tokenizer(texts: Sequence[str]) -> str:
    """Return the name of sacrebleu's tokenizer for these texts."""
    letters = re.sub(r"\s", "", "".join(texts))
    han, kana = (len(re.findall(f"[{kind}]", letters)) for kind in (_HAN, _KANA))
    if not letters or (han + kana) / len(letters) < _MIN_CJK_SHARE:
        return "13a"
    return "char" if kana > han / 4 else "zh"  # word segmentation of Japanese needs a dictionary
