"""Makes the pictures of the documentation: two confusion matrices, a diagnosis, and a search.

`python docs/images/make_pictures.py FOLDER` runs the steps below, each in less than three minutes
on two free cores. FOLDER keeps the data, the models and the reports; a step can be run alone:
`... FOLDER --steps draw shoot`.

- `demo`: `mtlkit demo`, which trains the stuck model and the one with another head;
- `diagnose`: `mtlkit diagnose` of the stuck model;
- `search`: `mtlkit search` for the head of the stuck task; run it twice for a longer leaderboard;
- `quickstart`: the picture of `examples/quickstart.py`, which is run for each scheme;
- `draw`: the confusion matrices of both models;
- `shoot`: screenshots of the two pages, by headless Chromium, which has to be installed.

Every picture comes for the light and for the dark scheme of the site.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
SCHEMES = ("light", "dark")
#: Styles of matplotlib; the dark one has the colour of the site.
STYLES: dict[str, Any] = {
    "light": ["default"],
    "dark": ["dark_background", {"figure.facecolor": "#1e2129", "savefig.facecolor": "#1e2129"}],
}
NUM_BINS = 32


def command(folder: Path, *arguments: str) -> None:
    """Runs `mtlkit` in the folder."""
    print("mtlkit", *arguments, flush=True)
    subprocess.run([sys.executable, "-m", "mtlkit", *arguments], cwd=folder, check=True)


def demo(folder: Path) -> None:
    """Trains the two models."""
    command(folder, "demo", "--output", "demo")


def diagnose(folder: Path) -> None:
    """Asks why the stuck task does not learn, in 160 CPU-seconds."""
    model = ("--model", "demo/stuck.keras", "--task", "orientation")
    options = ("--budget", "160", "--output", "diagnosis")
    command(folder, "diagnose", "demo/digits.npz", *model, *options)


def search(folder: Path) -> None:
    """Searches the head for 150 seconds, or 300 in all if there was a search before."""
    budget = "300" if (folder / "search").is_dir() else "150"
    model = ("--model", "demo/stuck.keras", "--task", "orientation")
    options = ("--time-budget", budget, "--output", "search")
    command(folder, "search", "demo/digits.npz", *model, *options)


def quickstart(folder: Path) -> None:
    """Runs the quickstart in each style."""
    script = HERE.parents[1] / "examples" / "quickstart.py"
    for scheme in SCHEMES:
        output = folder / f"quickstart-{scheme}"
        code = (
            f"import matplotlib.style, runpy, sys; matplotlib.style.use({STYLES[scheme]}); "
            f"sys.argv[1:] = ['--output', {str(output)!r}]; "
            f"runpy.run_path({str(script)!r}, run_name='__main__')"
        )
        subprocess.run([sys.executable, "-c", code], check=True)
        shutil.copy(output / "confusion.png", HERE / f"quickstart_{scheme}.png")


def draw(folder: Path) -> None:
    """Draws what the two models predict on the test images."""
    import keras
    import matplotlib.style
    import numpy as np
    from matplotlib.figure import Figure

    import mtlkit as mtl

    data = mtl.datasets.load_npz(folder / "demo" / "digits.npz")
    true = data.y_test["orientation"]
    predicted = {}
    for title, name in {"pooled head": "stuck", "polar head": "cured"}.items():
        model = keras.models.load_model(folder / "demo" / f"{name}.keras")
        found = model.predict_tasks(data.x_test, verbose=0)
        predicted[title] = found["orientation"]["label"]
    for scheme in SCHEMES:
        with matplotlib.style.context(STYLES[scheme]):
            figure = Figure(figsize=(9, 4.7), layout="constrained")
            for ax, (title, label) in zip(figure.subplots(1, 2), predicted.items(), strict=True):
                right = 100 * np.mean(label == true)
                title = f"{title}: {right:.0f} % right"
                mtl.reports.plot_confusion(true, label, NUM_BINS, ax=ax, title=title)
                ax.images[0].colorbar.remove()
            figure.savefig(HERE / f"confusion_{scheme}.png", dpi=100)


def shoot(folder: Path) -> None:
    """Takes the screenshots."""
    pages = {
        "diagnosis": (folder / "diagnosis" / "diagnosis-orientation.html", "1000,945"),
        "search": (folder / "search" / "search-orientation.html", "1000,835"),
    }
    for name, (page, size) in pages.items():
        for scheme in SCHEMES:
            screenshot(page.resolve().as_uri(), HERE / f"{name}_{scheme}.png", size, scheme)


def screenshot(address: str, path: Path, size: str, scheme: str) -> None:
    """Takes a picture of a page, in the colours that a reader of this scheme sees."""
    browser = next(filter(None, map(shutil.which, ["chromium", "chromium-browser", "chrome"])))
    subprocess.run(
        [
            browser,
            *("--headless", "--no-sandbox", "--hide-scrollbars", "--disable-gpu"),
            f"--blink-settings=preferredColorScheme={0 if scheme == 'dark' else 1}",
            f"--window-size={size}",
            f"--screenshot={path}",
            address,
        ],
        check=True,
        capture_output=True,
    )
    shrink(path)


def shrink(path: Path) -> None:
    """Saves a picture with 256 colours: a third of the size, and text stays sharp."""
    from PIL import Image

    Image.open(path).convert("RGB").quantize(256).save(path, optimize=True)


STEPS = {
    "demo": demo,
    "diagnose": diagnose,
    "search": search,
    "quickstart": quickstart,
    "draw": draw,
    "shoot": shoot,
}


def main() -> None:
    """Runs the steps."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="where the data and the reports are kept")
    parser.add_argument("--steps", nargs="+", choices=STEPS, default=list(STEPS))
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    for step in arguments.steps:
        STEPS[step](arguments.folder)


if __name__ == "__main__":
    main()
