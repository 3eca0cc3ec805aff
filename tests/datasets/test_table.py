import numpy as np
import pandas
import pytest

from mtlkit.datasets import load_table


def table(rows=40, **more):
    rng = np.random.default_rng(0)
    columns = {"a": rng.random(rows), "b": rng.integers(9, size=rows), "kind": ["x", "y"]}
    columns["kind"] = np.resize(columns["kind"], rows)
    return pandas.DataFrame({**columns, **more})


def all_labels(data, task):
    return np.concatenate([y[task] for _, _, y in data.splits()])


def test_other_columns_are_inputs_in_their_order():
    given = table()
    data = load_table(given, ["kind"])
    x = np.concatenate([x for _, x, _ in data.splits()])
    assert x.dtype == "float32"
    assert {tuple(row) for row in x} == {
        tuple(row) for row in given[["a", "b"]].to_numpy("float32")
    }
    assert [len(x) for _, x, _ in data.splits()] == [28, 6, 6]


def test_rows_keep_their_labels_and_their_order():
    given = table(number=np.arange(40) + 0.5)
    data = load_table(given.assign(copy=given["number"]), ["number"], ignore=["kind", "a", "b"])
    for _, x, y in data.splits():
        np.testing.assert_array_equal(x[:, 0], y["number"])
        assert (np.diff(y["number"]) > 0).all()


def test_words_are_classes_with_names_and_gaps_are_unlabelled():
    data = load_table(table(colour=["red", None, "blue", ""] * 10), ["kind", "colour"])
    assert data.class_names == {"kind": ["x", "y"], "colour": ["blue", "red"]}
    assert sorted(all_labels(data, "colour").tolist()) == [-1] * 20 + [0] * 10 + [1] * 10


@pytest.mark.parametrize(
    ("values", "kind", "dtype"),
    [
        (np.resize([0, 1, 2], 40), "classes", "i"),
        (np.resize([0.0, 1.0, np.nan], 40), "classes", "i"),
        (pandas.array(np.resize([0, 1, None], 40), dtype="Int64"), "classes", "i"),
        (np.resize([True, False], 40), "classes", "i"),
        (np.resize([1, 2, 3], 40), "values", "f"),  # does not count from 0
        (np.resize([-1.0, 0.0, 1.0], 40), "values", "f"),
        (np.resize([-2, -1, 0], 40), "values", "f"),
        (np.linspace(0, 1, 40), "values", "f"),
    ],
)
def test_kinds_of_numbers(values, kind, dtype):
    data = load_table(table(label=values), ["label"], ignore=["kind"])
    assert data.kind("label").name == kind and data.y_train["label"].dtype.kind == dtype


def test_kinds_are_overridden():
    given = table(grade=np.resize([3, 5, 4], 40), count=np.resize([0, 1], 40))
    kinds = {"grade": "ordinal", "count": "values"}
    data = load_table(given, ["grade", "count"], ignore=["kind"], kinds=kinds)
    assert data.class_names == {"grade": ["3", "4", "5"]}
    grade = np.resize([0, 2, 1], 40)
    assert sorted(all_labels(data, "grade")) == sorted(grade)
    assert all_labels(data, "count").dtype.kind == "f"


def test_splits_of_a_column():
    words = np.resize(["Train", "train", "validation", "test"], 40)
    for name, options in (("split", {}), ("part", {"split": "part"})):
        data = load_table(table(**{name: words}), ["kind"], **options)
        assert [len(x) for _, x, _ in data.splits()] == [20, 10, 10]
        assert data.x_train.shape[1] == 2


def test_a_split_that_is_missing_is_drawn_from_training():
    data = load_table(table(split=np.resize(["train", "train", "train", "test"], 40)), ["kind"])
    assert [len(x) for _, x, _ in data.splits()] == [25, 5, 10]


def test_groups_are_not_divided_and_seeds_differ():
    given = table(who=np.repeat(np.arange(10), 4))
    given["copy"] = given["who"]
    found = [load_table(given, ["kind"], group="who", seed=seed) for seed in (0, 0, 1)]
    who = [[set(x[:, 2]) for _, x, _ in data.splits()] for data in found]
    assert who[0] == who[1] != who[2]
    assert all(len(set.union(*sets)) == 10 == sum(map(len, sets)) for sets in who)


@pytest.mark.parametrize(
    ("given", "options", "words"),
    [
        (table(), {"tasks": []}, "columns that are labels, out of a, b, kind. Received: none"),
        (table(), {"tasks": ["size"]}, "columns out of a, b, kind. Received: size"),
        (table(), {"tasks": ["a"]}, "columns of inputs. Received: 'kind': 'x' in row 1. Turn"),
        (table(c=[0.5] * 39 + [None]), {"tasks": ["kind"]}, "'c'.* 1 of 40 rows, .* row 40"),
        (
            table(c=[np.inf] * 40, town=["Rome"] * 40),
            {"tasks": ["kind"]},
            r"'c': .* in 40 of 40 rows, the first in row 1; 'town': 'Rome' in row 1\. ",
        ),
        (table(), {"tasks": ["kind"], "ignore": ["a", "b"]}, "one column of inputs"),
        (table(split=["train"] * 39 + ["tets"]), {"tasks": ["kind"]}, "'tets' in row 40"),
        (table(split=["test"] * 40), {"tasks": ["kind"]}, "rows for training. Received: test"),
        (table(who=[1.0] * 39 + [None]), {"tasks": ["kind"], "group": "who"}, "'who' without gaps"),
        (
            table(who=[1] * 40, split=np.resize(["train", "test"], 40)),
            {"tasks": ["kind"], "group": "who"},
            "a group in one split. Received: the group of row 2 in train and in test",
        ),
        (table(rows=1), {"tasks": ["kind"]}, "enough rows"),
        (table(), {"tasks": ["kind"], "kinds": {"kind": "values"}}, "the words x, y"),
        (table(), {"tasks": ["kind"], "kinds": {"kind": "ordinal"}}, "Number them from 0"),
        (table(), {"tasks": ["kind"], "kinds": {"kin": "values"}}, "Received: .*kin"),
    ],
)
def test_errors_name_what_is_wrong(given, options, words):
    with pytest.raises(ValueError, match=words):
        load_table(given, **options)


def test_files(tmp_path):
    given = table()
    for name, options in (("goods.csv", {}), ("goods.tsv", {"sep": "\t"})):
        given.to_csv(tmp_path / name, index=False, **options)
        data = load_table(tmp_path / name, ["kind"])
        assert data.name == "goods"
        np.testing.assert_array_equal(data.x_test, load_table(given, ["kind"]).x_test)
    given.to_csv(tmp_path / "europe.csv", index=False, sep=";")
    with pytest.raises(ValueError, match=r"Received: semicolons, .* 'a;b;kind'.*sep=';'"):
        load_table(tmp_path / "europe.csv", ["kind"])
    with pytest.raises(FileNotFoundError, match=r"none\.csv"):
        load_table(tmp_path / "none.csv", ["kind"])
    with pytest.raises(ValueError, match=r"\.csv, \.tsv, \.parquet"):
        load_table(tmp_path / "goods.xlsx", ["kind"])
    (tmp_path / "empty.csv").write_text("a,kind\n")
    with pytest.raises(ValueError, match="with rows"):
        load_table(tmp_path / "empty.csv", ["kind"])


def test_without_pandas_the_cure_is_named(tmp_path, monkeypatch):
    table().to_csv(tmp_path / "goods.csv")
    monkeypatch.setitem(__import__("sys").modules, "pandas", None)
    with pytest.raises(ImportError, match=r'pip install "mtlkit\[table\]"'):
        load_table(tmp_path / "goods.csv", ["kind"])


def test_minus_one_in_a_column_of_whole_numbers_is_no_label():
    rng = np.random.default_rng(0)
    table = pandas.DataFrame(
        {"x": rng.random(40), "k": [0, 1, 2, -1] * 10, "t": [-5, -1, 0, 3] * 10}
    )
    with pytest.warns(UserWarning, match="'k': -1 in 10 rows is taken for no label"):
        data = load_table(table, ["k", "t"])
    every = np.concatenate([y["k"] for _, _, y in data.splits()])
    assert str(data.kind("k")) == "classes" and sorted(set(every.tolist())) == [-1, 0, 1, 2]
    values = np.concatenate([y["t"] for _, _, y in data.splits()])
    assert not np.isnan(values).any() and values.min() == -5


def test_names_of_columns_may_be_numbers():
    table = pandas.DataFrame(np.random.default_rng(0).random((20, 3)))
    assert load_table(table, ["2"]).tasks == ("2",)


def test_numbers_that_float32_does_not_tell_apart_are_said():
    table = pandas.DataFrame({"time": 1.7e9 + np.arange(60), "k": [0, 1] * 30})
    with pytest.warns(UserWarning, match="'time': float32 does not tell"):
        load_table(table, ["k"])
