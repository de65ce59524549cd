"""What an export leaves behind that lost too much accuracy: its report, and nothing else.

The next attempt may take the place of such a folder without being told to: there is nothing in it
that anybody needs.
"""

import json

MARK = "refused"  # key of `report.json`
_REPORT = "report.json"
_MOST_BYTES = 1 << 24


def is_alone(folder):
    """Whether a folder holds the report of a refused export and no other file.

    Args:
        folder: `pathlib.Path` of a folder.
    """
    names = {path.name for path in folder.iterdir()}
    if _REPORT not in names or not all(_is_of_a_report(folder / name) for name in names):
        return False
    path = folder / _REPORT
    try:
        if path.stat().st_size > _MOST_BYTES:
            return False
        figures = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(figures, dict) and figures.get(MARK) is True


def _is_of_a_report(path):
    """Whether a file's name is one of `report.report_files`."""
    is_report = path.stem == "report" and path.suffix in (".md", ".json")
    is_plot = path.stem.startswith("report_") and path.suffix == ".png"
    return (is_report or is_plot) and path.is_file() and not path.is_symlink()
