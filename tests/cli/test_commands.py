"""The commands on small data of every kind: what they say, write and return."""

import json

import keras
import numpy as np
import pandas
import pytest
from PIL import Image

import mtlkit as mtl
from mtlkit.cli import main
from mtlkit_cli import FINE, FOUND, INTERRUPTED, WRONG


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def table(here):
    """A table with words, prices, grades, and a person for each row."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(90, 2))
    columns = {
        "a": x[:, 0],
        "b": x[:, 1],
        "colour": np.where(x[:, 0] > 0, "red", "blue"),
        "price": 50 + 10 * x[:, 1].round(2),
        "grade": np.digitize(x[:, 1], [-0.5, 0.5]) + 3,
        "who": np.arange(90) % 30,
    }
    frame = pandas.DataFrame(columns)
    frame.loc[::10, "colour"] = None
    frame.to_csv("goods.csv", index=False)
    return "goods.csv"


TABLE = ["goods.csv", "--task", "colour", "--task", "price", "--ignore", "grade", "--ignore", "who"]


def the_error(capsys):
    said = [one for one in capsys.readouterr().err.splitlines() if one.startswith("mtlkit: error")]
    assert len(said) == 1
    return said[0]


# === info ===


def test_info_of_a_table_shows_kinds_gaps_and_classes(table, capsys):
    given = ["info", table, "--task", "colour", "--task", "price", "--task", "grade"]
    assert main([*given, "--group-column", "who"]) == FINE
    said = capsys.readouterr().out
    lines = [" ".join(line.split()) for line in said.splitlines()]
    assert any(line.startswith("colour classes") and "chance 50.0 %" in line for line in lines)
    assert any(line.startswith("price values") for line in lines)
    assert "colour (classes): no label in" in said and "1 red" in " ".join(lines)
    assert "3 different values: --kind grade=classes makes them classes" in said


def test_kinds_are_overridden(table, capsys):
    given = ["info", table, "--task", "grade", "--ignore", "colour"]
    assert main([*given, "--kind", "grade=ordinal"]) == FINE
    said = " ".join(capsys.readouterr().out.split())
    assert "grade ordinal 62 / 14 / 14 3 classes" in said and "0 3 " in said
    assert main([*given, "--kind", "grade=ordinal:2"]) == WRONG
    assert "classes below 2, for ordinal:2. Received: 2" in the_error(capsys)


def test_info_of_a_parquet_file_is_that_of_the_table(table, capsys):
    pytest.importorskip("pyarrow")
    pandas.read_csv(table).to_parquet("goods.parquet")
    said = []
    for name in (table, "goods.parquet"):
        assert main(["info", name, *TABLE[1:]]) == FINE
        said.append(capsys.readouterr().out)
    assert said[0] == said[1]


@pytest.mark.filterwarnings("always:.*have no row in the table")
def test_info_of_a_folder_of_images(here, capsys):
    rows = []
    for number in range(12):
        Image.fromarray(np.full((6, 5), 20 * number, "uint8")).save(f"{number}.png")
        rows.append({"kind": "ab"[number % 2], "file": f"{number}.png", "turn": number % 4})
    pandas.DataFrame(rows[:11]).to_csv("labels.csv", index=False)
    for data in (".", "labels.csv"):
        given = ["info", data, "--image-column", "file", "--image-size", "8x4"]
        assert main([*given, "--kind", "turn=orientation:4"]) == FINE
        said = capsys.readouterr()
        assert "8 x 4 x 1" in said.out and "2 classes" in said.out
        assert "orientation:4" in said.out
        assert said.err.startswith("mtlkit: note: 1 images in") and "11.png" in said.err


def test_info_of_archives(here, capsys):
    rng = np.random.default_rng(0)
    x, y = rng.random((30, 4)), rng.integers(3, size=30)
    np.savez("columns.npz", x=x, kind=y, kind_names=["a", "b", "c"], angle=rng.random(30) * 360)
    assert main(["info", "columns.npz", "--kind", "angle=orientation:8"]) == FINE
    said = " ".join(capsys.readouterr().out.split())
    assert "angle orientation:8" in said and "2 c " in said
    np.savez("divided.npz", x_train=x, y_train=y, x_test=x[:9], y_test=y[:9])
    assert main(["info", "divided.npz"]) == FINE
    assert "test 9" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["info", "nowhere.npz"], "Received: 'nowhere.npz', which is not there"),
        (["info", "goods.csv"], "list of the columns that are labels"),
        (["info", "goods.csv", "--task", "prize"], "Received: prize"),
        (["info", "goods.csv", "--task", "price"], "'red' in row 2. Turn them"),
        (["info", "goods.csv", "--task", "price"], "leave it out with --ignore"),
        (["info", "goods.csv", "--task", "price", "--inputs", "x"], "Received: --inputs; leave"),
        ([*["info", *TABLE], "--kind", "colour=kind"], "a kind out of classes, values"),
        (["train", *TABLE, "--model", "none.keras"], "'none.keras', which is not there"),
        ([*["info", *TABLE], "--group-column", "whom"], "Received: whom"),
        (["diagnose", "folder", "--task", "a"], "--table names one elsewhere"),
    ],
)
def test_errors_are_one_line(arguments, words, table, here, capsys):
    (here / "folder").mkdir()
    assert main(arguments) == WRONG
    assert words in the_error(capsys)
    assert not (here / "mtlkit-runs").exists()


def test_a_traceback_is_shown_if_asked_for(here):
    with pytest.raises(FileNotFoundError):
        main(["info", "nowhere.npz", "--traceback"])


# === train and preflight ===


def test_train_writes_all_and_overwrites_nothing(table, here, capsys):
    assert main(["train", *TABLE, "--epochs", "2"]) == FINE
    said = capsys.readouterr().out
    assert "model: DenseBackbone; colour: ClassificationHead, price: RegressionHead" in said
    assert "epoch 2/2" in said and "Scores on 14 test samples" in said
    assert "In mtlkit-runs/train-goods: model.keras" in said
    folder = here / "mtlkit-runs" / "train-goods"
    assert len(json.loads((folder / "history.json").read_text())["val_colour_accuracy"]) == 2
    assert (folder / "history.csv").read_text().startswith("epoch,colour_accuracy")
    assert (folder / "history.png").stat().st_size > 1000
    model = keras.models.load_model(folder / "model.keras")
    assert list(model.tasks) == ["colour", "price"]

    before = (folder / "history.json").read_text()
    elsewhere = ["--output", str(folder)]
    assert main(["train", *TABLE, "--epochs", "1", *elsewhere]) == WRONG
    assert "holds results of other settings (epochs)" in the_error(capsys)
    assert main(["train", *TABLE, "--epochs", "1", "--model", str(folder / "model.keras")]) == FINE
    said = capsys.readouterr()
    assert "In mtlkit-runs/train-goods-2: " in said.out and "other splits" not in said.err
    assert (folder / "history.json").read_text() == before


def test_a_folder_with_other_files_is_refused(table, here, capsys):
    (here / "notes").mkdir()
    (here / "notes" / "mine.txt").write_text("mine")
    assert main(["train", *TABLE, "--output", "notes"]) == WRONG
    assert "which holds other files. Name another --output" in the_error(capsys)


def test_ctrl_c_keeps_the_best_weights(table, here, capsys, monkeypatch):
    from mtlkit._cli import training

    class Impatient(training.EpochLines):
        def on_epoch_begin(self, epoch, logs=None):
            super().on_epoch_begin(epoch, logs)
            if epoch == self.last:
                raise KeyboardInterrupt

    monkeypatch.setattr(training, "EpochLines", Impatient)
    Impatient.last = 1
    assert main(["train", *TABLE]) == INTERRUPTED
    said = capsys.readouterr().out
    assert "model.keras has the best weights until then" in said
    assert (here / "mtlkit-runs" / "train-goods" / "model.keras").exists()
    Impatient.last = 0
    assert main(["train", *TABLE, "--output", "other"]) == INTERRUPTED
    assert "interrupted before results were written" in capsys.readouterr().err


@pytest.mark.filterwarnings("always:.*the loss takes logits")
def test_preflight_finds_a_problem(here, capsys):
    rng = np.random.default_rng(0)
    np.savez("columns.npz", x=rng.random((60, 4)), kind=rng.integers(3, size=60))
    assert main(["preflight", "columns.npz"]) == FINE
    model = keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(3, activation="softmax", name="kind")]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss=loss)
    model.save("wrong.keras")
    assert main(["preflight", "columns.npz", "--model", "wrong.keras"]) == FOUND
    assert "softmax_twice" in capsys.readouterr().out
    assert main(["train", "columns.npz", "--model", "wrong.keras", "--task", "size"]) == WRONG
    assert "Expected no --task beside a model" in the_error(capsys)


# === diagnose and search ===


@pytest.mark.filterwarnings("always:.*was trained on other data")
def test_diagnose_trains_a_model_and_goes_on(table, here, capsys):
    given = ["diagnose", table, "--task", "colour", "--label", "price", "--ignore", "who"]
    given += ["--ignore", "grade", "--epochs", "1", "--budget", "1s"]
    assert main(given) == FINE
    said = capsys.readouterr().out
    assert "a default one is trained first" in said and "diagnosis-colour.html" in said
    folder = here / "mtlkit-runs" / "diagnose-goods-colour"
    found = json.loads((folder / "diagnosis-colour.json").read_text())
    assert found["task"] == "colour" and found["setup"]["class_names"] == ["blue", "red"]
    assert "colour" in (folder / "diagnosis-colour.html").read_text()
    assert main(given) == FINE
    assert "Going on with" in capsys.readouterr().out

    given += ["--model", str(folder / "model.keras"), "--seed"]
    said = []
    for seed in ("0", "1"):
        assert main([*given, seed]) == FINE
        said.append("was trained on other data, or on other splits" in capsys.readouterr().err)
    assert said == [False, True]


def test_an_interrupted_diagnosis_says_how_to_go_on(table, here, capsys, monkeypatch):
    from mtlkit._cli import diagnose as command

    def interrupted(*arguments, **options):
        verdict = mtl.diagnostics.Verdict("undetermined", (), "It was interrupted.")
        return mtl.diagnostics.Diagnosis("price", verdict, {}, setup={"interrupted": True})

    monkeypatch.setattr(command, "diagnose", interrupted)
    data = ["--label", "colour", "--ignore", "grade", "--ignore", "who", "--epochs", "1"]
    assert main(["diagnose", table, "--task", "price", *data]) == INTERRUPTED
    assert "the same command goes on" in capsys.readouterr().out


def test_search_writes_page_winner_and_model(table, here, capsys):
    given = ["search", table, "--task", "colour", "--label", "price", "--ignore", "who"]
    given += ["--ignore", "grade", "--epochs", "1", "--max-trials", "1", "--output", "found"]
    assert main(given) == FINE
    said = capsys.readouterr().out
    assert "In found: search-colour.html, search-colour.json, best-colour.keras" in said
    best = json.loads((here / "found" / "search-colour.json").read_text())["best_config"]
    assert keras.saving.deserialize_keras_object(best["task"]).name == "colour"
    assert main(["search", table, "--task", "size", *given[4:]]) == WRONG
    assert "Received: size" in the_error(capsys)


def test_a_search_in_vain_says_so(table, here, capsys, monkeypatch):
    from mtlkit.search import SearchResult

    monkeypatch.setattr(SearchResult, "trials", property(lambda self: []))
    given = ["search", table, "--task", "colour", "--label", "price", "--ignore", "who"]
    given += ["--ignore", "grade", "--epochs", "1", "--max-trials", "1", "--output", "vain"]
    assert main(given) == FOUND
    said = capsys.readouterr().out
    assert said.count("None of the 0 trials for the task colour has a score.") == 1


def test_demo(here, capsys, monkeypatch):
    from mtlkit._cli import demo

    small = mtl.datasets.rotated_digits(copies=1)
    y = {task: labels[:64] for task, labels in small.y_train.items()}
    small = mtl.datasets.MultiTaskData(*(3 * [small.x_train[:64], y]))
    monkeypatch.setattr(demo.mtl.datasets, "rotated_digits", lambda **options: small)
    assert main(["demo", "--epochs", "1"]) == FINE
    said = capsys.readouterr().out
    assert "2. Polar head:" in said and "In mtlkit-runs/demo: digits.npz" in said
    kept = mtl.datasets.load_npz(here / "mtlkit-runs" / "demo" / "digits.npz")
    assert kept.kinds == {"orientation": "orientation:32"}
