"""Puts the notebooks into the site, beside the pages of the examples that link them."""

from pathlib import Path

from mkdocs.structure.files import File

NOTEBOOKS = Path(__file__).parents[1] / "examples" / "notebooks"


def on_files(files, config):
    """Adds each notebook to the files of the site."""
    for path in sorted(NOTEBOOKS.glob("*.ipynb")):
        address = f"examples/notebooks/{path.name}"
        files.append(File.generated(config, address, abs_src_path=str(path)))
    return files
