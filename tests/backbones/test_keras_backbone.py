"""KerasBackbone: named maps, preprocessing, freezing, any size, saving."""

import json
import warnings

import keras
import numpy as np
import pytest
from keras import layers, ops

import mtlkit as mtl
from mtlkit.backbones import KerasBackbone
from mtlkit.backbones._applications import FAMILIES
from mtlkit.testing import input_gradients

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (16, 20, 28, 3)).astype("uint8")
LABELS = {"kind": RNG.integers(3, size=16), "size": RNG.random(16).astype("float32")}


def array(x):
    return ops.convert_to_numpy(x)


def network(size=(None, None), name="net", dropout=0.5):
    """Strides of 2 and 4, a branch, squeeze and excitation, nested batch normalisation."""
    image = keras.Input((*size, 3), name="image")
    x = layers.ZeroPadding2D(1, name="pad")(image)
    x = layers.Conv2D(4, 3, strides=2, name="conv")(x)
    inner = keras.Sequential([layers.BatchNormalization(name="norm")], name="nested")
    x = layers.ReLU(name="low")(inner(x))
    a = layers.Conv2D(4, 3, strides=2, padding="same", name="branch")(x)
    b = layers.MaxPooling2D(2, padding="same", name="shortcut")(x)
    x = layers.Add(name="sum")([a, b])
    gate = layers.GlobalAveragePooling2D(keepdims=True, name="squeeze")(x)
    gate = layers.Conv2D(4, 1, activation="sigmoid", name="excite")(gate)
    x = layers.Multiply(name="scaled")([x, gate])
    x = layers.Dropout(dropout, name="dropout")(x)
    return keras.Model(image, layers.Conv2D(6, 1, name="top")(x), name=name)


def tasks(**options):
    return [
        mtl.Task("kind", mtl.heads.ClassificationHead(3), **options),
        mtl.Task("size", mtl.heads.RegressionHead(hidden_units=4)),
    ]


def made_by(backbone):
    """The name of the layer that makes each map."""
    return {name: x._keras_history[0].name for name, x in backbone._tensors().items()}


class TestMaps:
    def test_one_for_each_stride(self):
        model = network()
        backbone = KerasBackbone(model)
        assert backbone.feature_names == ["input", "stride2", "stride4", "last"]
        assert made_by(backbone) == {"stride2": "low", "stride4": "top", "last": "top"}
        assert backbone.same_as_last == ["stride4"]
        shapes = {name: tuple(x.shape) for name, x in backbone.output.items()}
        assert shapes["stride2"] == (None, None, None, 4)
        outputs = backbone(IMAGES)
        assert outputs["stride2"].shape == (16, 10, 14, 4)
        assert outputs["last"].shape == (16, 5, 7, 6)
        np.testing.assert_allclose(
            array(outputs["last"]), array(model(IMAGES.astype("float32"))), rtol=1e-6
        )
        np.testing.assert_array_equal(array(outputs["input"]), IMAGES)

    def test_layers_and_weights_are_those_of_the_model(self):
        model = network()
        backbone = KerasBackbone(model, preprocess="tf")
        assert backbone.keras_model is model
        assert len(backbone.weights) == len(model.weights)
        assert all(a is b for a, b in zip(backbone.weights, model.weights, strict=True))

    def test_the_last_tensor_where_all_meet(self):
        """Of stride 1 not the branch that comes last, but what both branches are made of."""
        image = keras.Input((16, 16, 3))
        x = layers.Conv2D(2, 3, padding="same", name="stem")(image)
        a = layers.Conv2D(2, 3, padding="same", name="inside")(x)
        a = layers.Conv2D(2, 3, strides=2, padding="same")(a)
        b = layers.AveragePooling2D(2)(x)
        model = keras.Model(image, layers.Add(name="sum")([a, b]))
        assert made_by(KerasBackbone(model)) == {"stride1": "stem", "stride2": "sum", "last": "sum"}

    def test_strides_of_small_maps_are_not_read_off_their_sizes(self):
        """A map of 7 pixels becomes one of 3, which is not a third of it."""
        image = keras.Input((7, 7, 1))
        x = layers.Conv2D(2, 3, strides=2, name="a")(image)
        x = layers.Conv2D(2, 3, name="b")(x)
        assert made_by(KerasBackbone(keras.Model(image, x))) == {"stride2": "b", "last": "b"}

    def test_up_again(self):
        image = keras.Input((None, None, 3))
        down = layers.Conv2D(2, 3, strides=4, padding="same", name="down")(image)
        up = layers.UpSampling2D(2, name="up")(down)
        expected = {"stride2": "up", "stride4": "down", "last": "up"}
        assert made_by(KerasBackbone(keras.Model(image, up))) == expected

    def test_channels_first(self):
        image = keras.Input((3, 12, 8))
        x = layers.Conv2D(2, 1, strides=2, data_format="channels_first", name="a", use_bias=False)(
            image
        )
        backbone = KerasBackbone(keras.Model(image, x))
        assert backbone.data_format == "channels_first"
        assert made_by(backbone) == {"stride2": "a", "last": "a"}
        assert backbone.output["stride2"].shape == (None, 2, 6, 4)

    def test_pooled_model_ends_in_a_vector(self):
        image = keras.Input((8, 8, 3))
        x = layers.Conv2D(2, 3, strides=2, padding="same", name="a")(image)
        pooled = layers.GlobalAveragePooling2D(name="pool")(x)
        backbone = KerasBackbone(keras.Model(image, pooled))
        assert made_by(backbone) == {"stride2": "a", "last": "pool"}
        assert backbone.same_as_last == []

    @pytest.mark.parametrize("maps", [{"early": "low", "late": "sum"}, ["low", "sum"]], ids=type)
    def test_given(self, maps):
        backbone = KerasBackbone(network(), maps)
        names = list(maps)
        assert backbone.feature_names == ["input", *names, "last"]
        assert made_by(backbone) == {names[0]: "low", names[1]: "sum", "last": "top"}

    def test_last_given(self):
        backbone = KerasBackbone(network(), {"last": "low"})
        assert made_by(backbone) == {"last": "low"}
        assert backbone(IMAGES)["last"].shape == (16, 10, 14, 4)

    def test_pyramid_outputs(self):
        """As models of KerasHub have them: functional, with maps by level."""

        class Backbone(keras.Model):
            def __init__(self):
                inner = network()
                super().__init__(inputs=inner.input, outputs=inner.output)
                self.pyramid_outputs = {
                    "P1": inner.get_layer("conv").output,
                    "P2": inner.get_layer("sum").output,
                }

        assert made_by(KerasBackbone(Backbone())) == {
            "stride2": "conv",
            "stride4": "sum",
            "last": "top",
        }

    def test_dict_of_outputs_and_several_inputs(self):
        """As text models of KerasHub have them."""
        tokens = keras.Input((None,), dtype="int32", name="token_ids")
        padding = keras.Input((None,), dtype="int32", name="padding_mask")
        x = layers.Embedding(9, 4)(tokens) * ops.cast(padding, "float32")[..., None]
        outputs = {"sequence": x, "pooled": layers.GlobalMaxPooling1D(name="pool")(x)}
        inputs = {"token_ids": tokens, "padding_mask": padding}
        backbone = KerasBackbone(keras.Model(inputs, outputs))
        assert backbone.feature_names == ["sequence", "pooled", "last"]
        assert made_by(backbone)["last"] == "pool"
        model = mtl.MultiTaskModel(backbone, tasks())
        x = {"token_ids": RNG.integers(9, size=(16, 5)), "padding_mask": np.ones((16, 5), "int32")}
        model.compile("adam")
        model.fit(x, LABELS, verbose=0)
        assert model.predict(x, verbose=0)["kind"].shape == (16, 3)

    def test_sequences_and_sequential_models(self):
        model = keras.Sequential(
            [
                keras.Input((10, 3)),
                layers.Conv1D(4, 3, strides=2, name="a"),
                layers.Conv1D(4, 3, name="b"),
            ]
        )
        backbone = KerasBackbone(model)
        assert backbone.feature_names == ["input", "a", "b", "last"]
        assert backbone.same_as_last == ["b"]

    def test_search_reads_no_map_twice(self):
        from mtlkit.search._head_space import HeadSpace

        space = HeadSpace(KerasBackbone(network((16, 16))), tasks(), "kind")
        assert space.space["feature"].values == ("auto", "input", "stride2")


class TestErrors:
    def test_not_functional(self):
        with pytest.raises(ValueError, match=r"functional keras\.Model.*Received: Dense; a layer"):
            KerasBackbone(layers.Dense(3))
        with pytest.raises(ValueError, match="sequential one that is built. Received: Sequential"):
            KerasBackbone(keras.Sequential([layers.Dense(3)]))

    def test_classifier(self):
        features = keras.Input((4,))
        hidden = layers.Dense(3, name="hidden")(features)
        model = keras.Model(features, layers.Dense(2, activation="softmax", name="classes")(hidden))
        message = r"ends in features.*classifier 'classes'.*include_top=False.*\"last\": \"hidden\""
        with pytest.raises(ValueError, match=message):
            KerasBackbone(model)
        assert KerasBackbone(model, {"last": "hidden"}).output["last"].shape == (None, 3)

    def test_unknown_layer(self):
        message = r"map 'x' to be a layer of the model, such as \['low'\].*Received: 'lowe'"
        with pytest.raises(ValueError, match=message):
            KerasBackbone(network(), {"x": "lowe"})

    @pytest.mark.parametrize("maps", ["low", {"x": 3}, [3], {"input": "low"}], ids=str)
    def test_maps(self, maps):
        with pytest.raises(ValueError, match="Expected m.*Received: maps="):
            KerasBackbone(network(), maps)

    def test_preprocess(self):
        with pytest.raises(ValueError, match=r'"auto", None, one of .*preprocess=\'imagenet\''):
            KerasBackbone(network(), preprocess="imagenet")

    def test_task_of_an_unknown_map(self):
        message = r"Task 'kind': expected feature .*'stride2', 'stride4', 'last'\].*'stride8'"
        with pytest.raises(ValueError, match=message):
            mtl.MultiTaskModel(KerasBackbone(network()), tasks(feature="stride8"))


@pytest.fixture(scope="module")
def trained():
    keras.utils.set_random_seed(0)
    model = mtl.MultiTaskModel(KerasBackbone(network(), preprocess="tf"), tasks(feature="stride2"))
    model.compile("adam")
    with pytest.warns(UserWarning, match=r"values in 0\.\.\.255, which .* Multiply them by 255"):
        model.fit(IMAGES / 255, LABELS, verbose=0)
    return model


class TestFreezing:
    """One model through all states, since each is compiled anew."""

    def values(self, model):
        return [array(weight).copy() for weight in model.backbone.weights]

    def changed(self, model, before):
        pairs = zip(model.backbone.weights, before, strict=True)
        return {w.path for w, old in pairs if not np.array_equal(array(w), old)}

    def test_states(self, trained, tmp_path):
        model = trained
        model.freeze_backbone()
        with pytest.raises(ValueError, match=r"(?s)Expected compile\(\) to be called.*model\.comp"):
            model.fit(IMAGES, LABELS, verbose=0)
        model.compile("adam")
        before = self.values(model)
        model.fit(IMAGES, LABELS, verbose=0)
        assert self.changed(model, before) == set()
        training = model.backbone(IMAGES, training=True)  # no dropout, no statistics of the batch
        inference = model.backbone(IMAGES, training=False)
        for name in inference:
            np.testing.assert_array_equal(array(training[name]), array(inference[name]))

        model.unfreeze_backbone(from_map="stride4")
        with pytest.raises(ValueError, match=r"Expected compile\(\)"):
            model.fit(IMAGES, LABELS, verbose=0)
        model.compile("adam")
        before = self.values(model)
        model.fit(IMAGES, {"size": LABELS["size"]}, verbose=0)
        trained_now = {path.split("/")[0] for path in self.changed(model, before)}
        assert trained_now == {"branch", "excite", "top"}

        model.save(tmp_path / "model.keras")
        loaded = keras.saving.load_model(tmp_path / "model.keras")
        flags = {layer.name: layer.trainable for layer in loaded.backbone.keras_model.layers}
        assert not flags["conv"] and not flags["nested"] and flags["branch"] and flags["top"]
        expected = model.predict(IMAGES, verbose=0)
        for name, found in loaded.predict(IMAGES, verbose=0).items():
            np.testing.assert_allclose(found, expected[name], rtol=1e-6)
        before = self.values(loaded)
        loaded.fit(IMAGES, LABELS, verbose=0)  # compiled, as it was saved
        assert not any("conv/" in path or "norm" in path for path in self.changed(loaded, before))

        model.unfreeze_backbone()
        model.compile("adam")
        before = self.values(model)
        model.fit(IMAGES, LABELS, verbose=0)
        changed = " ".join(self.changed(model, before))
        assert "conv/kernel" in changed and "norm/moving_mean" in changed

    def test_from_input_all_is_trained(self):
        backbone = KerasBackbone(network())
        backbone.trainable = False
        backbone.fine_tune("input")
        assert all(layer.trainable for layer in backbone.keras_model.layers)
        with pytest.raises(ValueError, match=r"one of the backbone's maps, \['input'.*'stride8'"):
            backbone.fine_tune("stride8")

    def test_model_frozen_before(self):
        model = network()
        model.trainable = False
        assert not KerasBackbone(model).trainable

    def test_other_backbones_are_trained_whole(self):
        model = mtl.MultiTaskModel(mtl.backbones.ConvBackbone(), tasks())
        with pytest.raises(
            ValueError, match=r"KerasBackbone\(model\). Received: from_map='stage2'"
        ):
            model.unfreeze_backbone(from_map="stage2")

    def test_layers_set_by_hand(self, trained):
        trained.compile("adam")
        trained.backbone.keras_model.get_layer("top").trainable = False
        with pytest.raises(ValueError, match=r"Expected compile\(\)"):
            trained.fit(IMAGES, LABELS, verbose=0)


def test_trains_as_the_model_alone():
    """Weights and moving statistics after some steps are those of plain Keras."""
    model = network(dropout=0.0)
    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    head = mtl.heads.RegressionHead(hidden_units=0, standardize=False)
    wrapped = mtl.MultiTaskModel(KerasBackbone(model), [mtl.Task("size", head)])
    outputs = layers.Dense(1, name="plain")(layers.GlobalAveragePooling2D()(copy.output))
    plain = keras.Model(copy.input, outputs)
    plain.get_layer("plain").set_weights(head.get_weights())
    x, y = IMAGES.astype("float32") / 255, LABELS["size"]
    for one, labels, loss in ((wrapped, {"size": y}, {}), (plain, y, {"loss": "mse"})):
        one.compile(keras.optimizers.SGD(0.1), **loss)
        one.fit(x, labels, batch_size=8, epochs=2, shuffle=False, verbose=0)
    for found, expected in zip(model.weights, copy.weights, strict=True):
        np.testing.assert_allclose(array(found), array(expected), rtol=1e-4, atol=1e-6)
    expected = plain.predict(x, verbose=0)
    np.testing.assert_allclose(wrapped.predict(x, verbose=0)["size"], expected, rtol=1e-4)


class TestSaving:
    def test_file(self, tmp_path):
        normalization = mtl.layers.InputNormalization("channels_last", name="normalized")
        backbone = KerasBackbone(network(), {"early": "low"}, normalization, name="trunk")
        assert not backbone.adapted
        backbone.adapt(IMAGES)
        assert backbone.adapted
        backbone.fine_tune("last")
        backbone.save(tmp_path / "trunk.keras")
        loaded = keras.saving.load_model(tmp_path / "trunk.keras")
        assert type(loaded) is KerasBackbone and loaded.adapted
        config, found = (json.dumps(one.get_config()) for one in (backbone, loaded))
        assert found == config
        expected = backbone(IMAGES)
        mean = IMAGES.reshape(-1, 3).mean(axis=0)
        std = IMAGES.reshape(-1, 3).std(axis=0)
        np.testing.assert_allclose(array(expected["input"]), (IMAGES - mean) / std, atol=1e-4)
        for name, outputs in loaded(IMAGES).items():
            np.testing.assert_allclose(array(outputs), array(expected[name]), rtol=1e-6)

    def test_mixed_precision(self):
        keras.config.set_dtype_policy("mixed_bfloat16")
        backbone = KerasBackbone(network(), preprocess="caffe")
        outputs = backbone(IMAGES)
        assert keras.backend.standardize_dtype(outputs["input"].dtype) == "bfloat16"
        assert keras.backend.standardize_dtype(outputs["last"].dtype) == "bfloat16"


class TestRange:
    """The first fit tells whether images are evidently of another range than is expected."""

    def backbone(self):
        image = keras.Input((None, None, 3))
        return KerasBackbone(
            keras.Model(image, layers.Conv2D(2, 3, strides=2)(image)), preprocess="tf"
        )

    def seen(self, backbone, x):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            backbone.check_inputs(x)
        return " ".join(str(one.message) for one in caught)

    def test_warns_once(self):
        backbone = self.backbone()
        message = self.seen(backbone, IMAGES / 255)
        assert "values in 0...255" in message and "from 0 to 1. Multiply them by 255" in message
        assert self.seen(backbone, IMAGES / 255) == ""

    def test_preprocessed_already(self):
        message = self.seen(self.backbone(), IMAGES / 127.5 - 1)
        assert "from -1 to 1. They seem to be preprocessed already" in message

    def test_bytes(self):
        assert self.seen(self.backbone(), IMAGES) == ""

    def test_a_network_that_rescales_bytes_itself(self):
        image = keras.Input((None, None, 3))
        model = keras.Model(image, layers.Conv2D(2, 3)(layers.Rescaling(1 / 255)(image)))
        assert "its first layer rescales" in self.seen(KerasBackbone(model), IMAGES / 255)
        assert self.seen(KerasBackbone(network()), IMAGES / 255) == ""


@pytest.fixture(scope="module")
def mobile():
    return keras.applications.MobileNetV2((32, 32, 3), alpha=0.35, weights=None, include_top=False)


class TestApplications:
    """A cheap part; the whole table has been compared with `preprocess_input`."""

    def test_mobilenet_v2(self, mobile):
        backbone = KerasBackbone(mobile)
        strides = [f"stride{2**n}" for n in range(1, 6)]
        assert backbone.feature_names == ["input", *strides, "last"]
        assert made_by(backbone) == {
            "stride2": "block_1_expand_relu",
            "stride4": "block_3_expand_relu",
            "stride8": "block_6_expand_relu",
            "stride16": "block_13_expand_relu",
            "stride32": "out_relu",
            "last": "out_relu",
        }
        for n, name in enumerate(strides, 1):
            assert tuple(backbone.output[name].shape[1:3]) == (32 // 2**n, 32 // 2**n)

    @pytest.mark.parametrize(
        ("mode", "module"), [("caffe", "resnet"), ("tf", "mobilenet_v2"), ("torch", "densenet")]
    )
    @pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
    def test_preprocessing_is_that_of_keras(self, mode, module, data_format):
        x = IMAGES if data_format == "channels_last" else np.moveaxis(IMAGES, -1, 1)
        layer = mtl.layers.ImageNetPreprocessing(mode, data_format)
        preprocess = getattr(keras.applications, module).preprocess_input
        expected = preprocess(x.astype("float32"), data_format=data_format)
        np.testing.assert_allclose(array(layer(x)), expected, atol=1e-4)

    def test_preprocessing_lets_gradients_through(self):
        layer = mtl.layers.ImageNetPreprocessing("torch")
        gradient = input_gradients(lambda x: ops.sum(layer(x)), IMAGES.astype("float32"))
        expected = 1 / (255 * np.array([0.229, 0.224, 0.225]))
        np.testing.assert_allclose(gradient, np.broadcast_to(expected, gradient.shape), rtol=1e-5)

    def test_auto(self, mobile):
        found = array(KerasBackbone(mobile).get_layer("preprocessing")(IMAGES))
        expected = keras.applications.mobilenet_v2.preprocess_input(IMAGES.astype("float32"))
        np.testing.assert_allclose(found, expected, atol=1e-5)
        cut = keras.Model(mobile.input, mobile.get_layer("block_3_expand_relu").output)
        assert KerasBackbone(cut).get_layer("preprocessing").mode == "tf"
        assert "preprocessing" not in [
            layer.name for layer in KerasBackbone(mobile, preprocess=None).layers
        ]

    def test_preprocessed_before(self, mobile):
        image = keras.Input((32, 32, 3))
        rescaled = layers.Rescaling(1 / 127.5, -1)(image)
        backbone = KerasBackbone(keras.Model(image, mobile(rescaled)))
        assert [layer.name for layer in backbone.layers if "pre" in layer.name] == []

    @pytest.mark.parametrize("before", [lambda x: x, layers.RandomFlip(seed=0)], ids=["", "flip"])
    def test_cannot_be_told(self, mobile, before):
        image = keras.Input((32, 32, 3))
        model = keras.Model(image, mobile(before(image)), name="wrapped")
        message = (
            r"Received: preprocess='auto' for 'wrapped', .*MobileNetV2 inside.*preprocess=None"
        )
        with pytest.raises(ValueError, match=message):
            KerasBackbone(model)
        assert KerasBackbone(model, preprocess="tf").feature_names[0] == "input"

    def test_a_family_without_its_own(self):
        image = keras.Input((32, 32, 3))
        x = image
        for name in next(f.layers for f in FAMILIES if f.name == "EfficientNet"):
            x = layers.Conv2D(2, 1, name=name)(x)
        with pytest.raises(ValueError, match="kind EfficientNet without the preprocessing"):
            KerasBackbone(keras.Model(image, x))

    def test_its_own_is_the_input_map(self):
        image = keras.Input((32, 32, 3))
        x = layers.Normalization(mean=[1.0] * 3, variance=[4.0] * 3)(
            layers.Rescaling(1 / 255)(image)
        )
        backbone = KerasBackbone(keras.Model(image, layers.Conv2D(2, 3, strides=2)(x)))
        white = np.full((1, 32, 32, 3), 255.0, "float32")
        np.testing.assert_allclose(array(backbone(white)["input"]), 0, atol=1e-6)
        assert backbone.feature_names == ["input", "stride2", "last"]


def test_preprocessing_layer_errors():
    with pytest.raises(ValueError, match=r"one of \('caffe', 'tf', 'torch'\).*mode='imagenet'"):
        mtl.layers.ImageNetPreprocessing("imagenet")
    with pytest.raises(ValueError, match=r'three channels for mode="caffe".*\(None, 8, 8, 1\)'):
        mtl.layers.ImageNetPreprocessing("caffe", "channels_last")(keras.Input((8, 8, 1)))
