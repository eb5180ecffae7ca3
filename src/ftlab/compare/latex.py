"""comparison.tex: each table as a booktabs table, to be read in by a paper that uses booktabs and UTF-8."""

from ftlab.compare.comparison import Comparison, Table
from ftlab.compare.sheet import Cell, sheet
from ftlab.compare.verdict import verdict

# Names and numbers are plain text: every sign that means something to TeX is written out. As in booktabs, no
# vertical rules.
_SIGNS = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "±": r"$\pm$",
    "—": "---",
    "·": r"$\cdot$",
    "×": r"$\times$",
    "[": "{[}",  # after a line's \\ it would be read as its option
    "]": "{]}",
    "\xa0": "~",
}


def latex(comparison: Comparison) -> str:
    """Return one `table` environment per dataset and model."""
    head = "% Made by ftlab compare. \\input this file; it needs \\usepackage{booktabs}."
    return "\n\n".join([head, *(_table(table, number) for number, table in enumerate(comparison.tables, 1))]) + "\n"


def _table(table: Table, number: int) -> str:
    content = sheet(table)
    notes = " ".join([f"{table.title}.", *verdict(table), content.caption, *map(_sentence, table.warnings)])
    rows = [" & ".join(escape(text) for text in (line.label, *_texts(line.cells))) for line in content.lines]
    between = len(content.headings) - 2
    return "\n".join(
        [
            "\\begin{table}",
            "\\centering",
            f"\\caption{{{escape(notes)}}}",
            f"\\label{{tab:ftlab-{number}}}",
            f"\\begin{{tabular}}{{@{{}}l{'r' * between}l@{{}}}}",
            "\\toprule",
            f"{' & '.join(map(escape, content.headings))} \\\\",
            "\\midrule",
            *(f"{row} \\\\" for row in rows),
            "\\bottomrule",
            "\\end{tabular}",
            "\\end{table}",
        ]
    )


def _texts(cells: tuple[Cell, ...]) -> list[str]:
    return [cell.text for cell in cells]


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}"


def escape(text: str) -> str:
    """Return text that TeX sets as it is written; line ends become spaces."""
    return "".join(_SIGNS.get(sign, sign) for sign in " ".join(text.split()))
