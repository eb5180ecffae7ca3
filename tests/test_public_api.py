"""The names that `import ftlab` offers: free of charge, complete, and on the page."""

import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest

import ftlab
from ftlab.core import errors

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "python_api.md").read_text(encoding="utf-8")


def test_importing_ftlab_imports_nothing_else() -> None:
    script = "import sys; before = {*sys.modules}; import ftlab; print(*sorted({*sys.modules} - before))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert {name.partition(".")[0] for name in done.stdout.split()} <= {"ftlab", *sys.stdlib_module_names}


def test_only_the_predictor_loads_torch() -> None:
    names = [name for name in ftlab.__all__ if name != "Predictor"]
    script = f"import sys, ftlab; [getattr(ftlab, name) for name in {names}]; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_every_name_is_there_and_says_what_it_is() -> None:
    assert set(ftlab.__all__) < set(dir(ftlab))
    for name in ftlab.__all__:
        assert getattr(ftlab, name).__doc__, name
    assert issubclass(ftlab.ConfigError, errors.UserError)
    with pytest.raises(AttributeError, match="lode_run"):
        _ = ftlab.lode_run


def test_no_package_has_a_public_name() -> None:
    packages = {module.name for module in pkgutil.iter_modules(ftlab.__path__)}
    assert "comparison" in packages
    assert not packages & set(ftlab.__all__), "importing it would put the module into the place of the function"


def test_the_page_names_every_public_name() -> None:
    named = set(re.findall(r"`(?:ftlab\.)?(\w+)", PAGE))
    missing = set(ftlab.__all__) - named
    assert not missing
    for cls in (ftlab.Run, ftlab.Sweep, ftlab.Comparison):
        public = {name for name in (*vars(cls), *cls.__dataclass_fields__) if not name.startswith("_")}
        assert not public - named, cls


def test_the_page_ends_with_what_the_example_prints() -> None:
    session = PAGE.partition("## A session")[2]
    printed = session.partition("```text\n")[2].partition("```")[0]
    script = (ROOT / "examples" / "compare_in_python.py").read_text(encoding="utf-8")
    for column in ("optim.lr", "p_adjusted"):
        assert column in script
        assert column in printed


def test_the_page_offers_nothing_that_is_not_there() -> None:
    offered = set(re.findall(r"`ftlab\.([a-z_]+|[A-Z]\w+)\b(?!\.)", PAGE))
    assert offered
    assert all(hasattr(ftlab, name) for name in offered)
