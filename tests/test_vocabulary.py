"""Rules for names and sentences: CONTRIBUTING's section on words, as far as a parser can hold it."""

import ast

from tests.fixtures.source_trees import ROOT, source_trees

# First words of a docstring that is a riddle, a story or an order. That of a module says what it is: a noun phrase.
NO_NOUN_PHRASE = frozenset(
    {
        *("what", "how", "where", "whether", "who", "whose", "which", "when", "why", "while", "that", "if"),
        *("from", "to", "between", "in", "on", "at", "with", "by", "as", "for", "of", "until", "because"),
        *("is", "are", "was", "has", "have", "did", "does", "do", "can", "be"),
        *("examines", "imported", "keep", "keeps", "load", "put", "silence", "start", "starting", "turn", "write"),
    }
)
# Bound to anything, these say nothing of it.
NAMES_WITHOUT_A_NOUN = frozenset({"found", "given", "known", "most", "one", "own", "told"})


def test_module_docstrings_are_noun_phrases() -> None:
    modules = {**source_trees("src"), **source_trees("tests"), **source_trees("benchmarks")}
    first_lines = {
        str(path.relative_to(ROOT)): (ast.get_docstring(tree) or "").split("\n")[0] for path, tree in modules.items()
    }
    assert len(first_lines) > 400
    missing = [path for path, line in first_lines.items() if not line and path.startswith("src")]
    assert not missing, "say what the module is"
    wrong = [
        f"{path}: {line}"
        for path, line in sorted(first_lines.items())
        if line and line.split()[0].strip("`,:").lower() in NO_NOUN_PHRASE
    ]
    assert not wrong, "say what the module is: 'Batch sampler that fills every micro-batch.'"


def test_variables_are_named_by_what_they_hold() -> None:
    wrong = []
    for path, tree in source_trees("src").items():
        for node in ast.walk(tree):
            bound = isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and node.id
            name = bound or (isinstance(node, ast.arg) and node.arg)
            if name in NAMES_WITHOUT_A_NOUN:
                wrong.append(f"{path.relative_to(ROOT)}:{node.lineno}: {name}")
    assert not wrong, "name what it is: match, example, message, limit"
