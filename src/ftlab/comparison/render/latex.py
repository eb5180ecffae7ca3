"""LaTeX file of a comparison: each table as a booktabs table, for a paper that uses booktabs and UTF-8."""

from ftlab.comparison.render.findings import findings
from ftlab.comparison.render.main_table import Cell, main_table
from ftlab.comparison.tables import ComparisonTables, Table

# Names and numbers are plain text, so every character with a meaning in TeX is escaped.
_ESCAPES = {
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
    "[": "{[}",  # after the \\ of a line TeX would read it as an optional argument
    "]": "{]}",
    "\xa0": "~",
}


def latex(comparison: ComparisonTables) -> str:
    """Return the text of comparison.tex: one `table` environment per dataset and model."""
    head = "% Made by ftlab compare. \\input this file; it needs \\usepackage{booktabs}."
    return "\n\n".join([head, *(_table(table, number) for number, table in enumerate(comparison.tables, 1))]) + "\n"


def _table(table: Table, number: int) -> str:
    content = main_table(table)
    notes = " ".join(
        [f"{table.title}.", *findings(table), content.head, content.caption, *map(_capitalised, table.warnings)]
    )
    rows = [" & ".join(escape_latex(text) for text in (line.label, *_texts(line.cells))) for line in content.lines]
    numeric_columns = len(content.headings) - 2  # all but method and status; booktabs tables have no vertical rules
    return "\n".join(
        [
            "\\begin{table}",
            "\\centering",
            f"\\caption{{{escape_latex(notes)}}}",
            f"\\label{{tab:ftlab-{number}}}",
            f"\\begin{{tabular}}{{@{{}}l{'r' * numeric_columns}l@{{}}}}",
            "\\toprule",
            f"{' & '.join(map(escape_latex, content.headings))} \\\\",
            "\\midrule",
            *(f"{row} \\\\" for row in rows),
            "\\bottomrule",
            "\\end{tabular}",
            "\\end{table}",
        ]
    )


def _texts(cells: tuple[Cell, ...]) -> list[str]:
    return [cell.text for cell in cells]


def _capitalised(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}"


def escape_latex(text: str) -> str:
    """Return text that TeX prints literally; line ends become spaces."""
    return "".join(_ESCAPES.get(character, character) for character in " ".join(text.split()))
