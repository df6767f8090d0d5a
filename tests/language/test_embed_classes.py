"""`mlt embed-classes`: from class names to a file, with a text tower of random weights."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from mlt.cli import main
from mlt.errors import CheckpointError, ConfigError
from mlt.language import ClassEmbeddings, TextTower, embed_classes, load_text_tower
from mlt.models.weights import read_tensors

pytest.importorskip("open_clip")


def direction(vector: np.ndarray) -> np.ndarray:
    return vector / np.linalg.norm(vector)


@pytest.fixture
def tower(tiny_clip: tuple[str, Path]) -> TextTower:
    return load_text_tower(tiny_clip[0], state=read_tensors(tiny_clip[1]))


def embed(*arguments: str) -> int:
    return main(["embed-classes", *arguments])


def test_one_template_is_what_open_clip_itself_gives(
    tiny_clip: tuple[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import open_clip

    output = tmp_path / "classes.safetensors"
    name, weights = tiny_clip
    assert embed("cat", "traffic_light", "--model", name, "--weights", str(weights),
                 "--output", str(output), "--device", "cpu") == 0  # fmt: skip
    said = capsys.readouterr()
    assert "2 classes, 2 texts, width 16, from mlt-tiny" in said.out
    assert "random" not in said.err
    model = open_clip.create_model(name, pretrained=str(weights)).eval()
    tokens = open_clip.get_tokenizer(name)(["a photo of a cat.", "a photo of a traffic light."])
    with torch.inference_mode():
        expected = model.encode_text(tokens, normalize=True).numpy()
    made = ClassEmbeddings.read(output)
    assert made.names == ("cat", "traffic_light")
    assert made.texts == (("a photo of a cat.",), ("a photo of a traffic light.",))
    assert made.scale == pytest.approx(1 / 0.07, rel=1e-4) and made.bias is None
    np.testing.assert_allclose(made.vectors, expected, atol=1e-6)


def test_several_texts_are_averaged_as_directions(tower: TextTower) -> None:
    # A vector ten times as long must not count ten times.
    class Longer(type(tower)):  # type: ignore[misc]
        def embed(self, texts):  # type: ignore[no-untyped-def]
            factors = torch.tensor([10.0 if "drawing" in text else 1.0 for text in texts])
            return super().embed(texts) * factors[:, None]

    tower.__class__ = Longer
    texts = ["a photo of a cat.", "a drawing of a cat."]
    one, two = (direction(vector.numpy()) for vector in tower.embed(texts))
    made = embed_classes(tower, {"cat": texts})
    np.testing.assert_allclose(made.vectors[0], direction(one + two), atol=1e-6)


def test_batches_do_not_change_which_text_is_whose(tower: TextTower) -> None:
    texts = {
        name: [f"a {name}.", f"one {name}.", f"some {name}."] for name in ("cat", "dog", "owl")
    }
    whole, cut = embed_classes(tower, texts), embed_classes(tower, texts, batch_size=2)
    np.testing.assert_allclose(whole.vectors, cut.vectors, atol=1e-6)


def test_names_and_descriptions_from_files(tiny_clip: tuple[str, Path], tmp_path: Path) -> None:
    name, weights = tiny_clip
    (tmp_path / "names.txt").write_text("dog\n\ncat\n")
    (tmp_path / "texts.json").write_text(
        json.dumps({"cat": ["it purrs", "it has whiskers"], "dog": "it barks"})
    )
    output = tmp_path / "classes.safetensors"
    assert embed("--names", str(tmp_path / "names.txt"), "--model", name, "--weights", str(weights),
                 "--descriptions", str(tmp_path / "texts.json"), "--template", "{}!", "the {}",
                 "--output", str(output)) == 0  # fmt: skip
    made = ClassEmbeddings.read(output)
    assert made.names == ("dog", "cat")
    assert made.texts == (
        ("dog!", "the dog", "it barks"),
        ("cat!", "the cat", "it purrs", "it has whiskers"),
    )


def test_classes_of_a_configuration(tiny_clip: tuple[str, Path], tmp_path: Path) -> None:
    name, weights = tiny_clip
    output = tmp_path / "classes.safetensors"
    assert embed("--config", "digits_mlt_bce", "--set", f"output={tmp_path}", "--model", name,
                 "--weights", str(weights), "--output", str(output)) == 0  # fmt: skip
    assert len(ClassEmbeddings.read(output).names) == 20


def test_weights_of_the_text_tower_alone(tiny_clip: tuple[str, Path], tower: TextTower) -> None:
    state = {k: v for k, v in read_tensors(tiny_clip[1]).items() if not k.startswith("visual.")}
    alone = load_text_tower(tiny_clip[0], state={f"text.{k}": v for k, v in state.items()})
    assert torch.equal(alone.embed(["a cat"]), tower.embed(["a cat"]))


def test_weights_of_another_model_are_refused(tiny_clip: tuple[str, Path]) -> None:
    state = read_tensors(tiny_clip[1])
    with pytest.raises(CheckpointError, match=r"1 tensors are missing .ln_final.bias"):
        load_text_tower(
            tiny_clip[0], state={k: v for k, v in state.items() if k != "ln_final.bias"}
        )
    state["ln_final.bias"] = torch.zeros(5)
    with pytest.raises(CheckpointError, match=r"do not fit the text tower: .*ln_final.bias"):
        load_text_tower(tiny_clip[0], state=state)


def test_a_folder_that_was_downloaded(tiny_folder: Path, tower: TextTower) -> None:
    there = load_text_tower(f"local-dir:{tiny_folder}")
    assert torch.equal(there.embed(["a cat"]), tower.embed(["a cat"]))


def test_a_long_text_is_named(
    tiny_clip: tuple[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name, weights = tiny_clip
    long = " ".join(["cat"] * 76)  # with start and end one token too many
    assert embed("cat", "--model", name, "--weights", str(weights), "--template", "{}" + long[3:],
                 "{}" + long[3:-4], "--output", str(tmp_path / "a.safetensors")) == 0  # fmt: skip
    assert "warning: 1 of 2 texts are longer" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give the classes in one way"),
        (["cat", "--names", "a.txt"], "got class names and --names"),
        (["cat", "cat"], "occur more than once: cat"),
        (["cat", "--template", "a cat"], "does not say where the class name goes"),
        (["cat", "--set", "seed=1"], "--set changes the configuration of --config"),
        (["--names", "nowhere.txt"], "there is no file nowhere.txt"),
        (["cat", "--descriptions", "nowhere.json"], "there is no file nowhere.json"),
    ],
)
def test_what_cannot_be_embedded(
    arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "a.safetensors"
    assert embed("--model", "ViT-B-16/openai", "--output", str(output), *arguments) == 2
    assert message in capsys.readouterr().err
    assert not output.exists()


def test_an_earlier_file_is_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "a.safetensors"
    output.write_text("precious")
    assert embed("cat", "--model", "ViT-B-16/openai", "--output", str(output)) == 2
    assert "--overwrite replaces it" in capsys.readouterr().err
    assert output.read_text() == "precious"


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("ViT-B-16", "has several weights; name one, ViT-B-16/WEIGHTS: openai"),
        ("ViT-B-17/openai", "neither timm nor open_clip .* has a model 'ViT-B-17/openai'. Close"),
        ("ViT-B-16/mine", "no weights 'mine' of ViT-B-16; what there is: openai"),
        ("ViT-S-16", "open_clip has no weights of ViT-S-16; give a file"),
        ("resnet50.tv_in1k", "no text tower is known for the image tower resnet50.tv_in1k"),
    ],
)
def test_unknown_models(model: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_text_tower(model)


@pytest.mark.parametrize(
    ("model", "quick"), [("ViT-B-16/openai", True), ("ViT-B-16/laion400m_e32", False)]
)
def test_the_activation_is_that_of_the_weights(
    model: str, quick: bool, tiny_clip: tuple[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    import open_clip

    asked = []
    create = open_clip.create_model

    def small(name: str, **options: object) -> object:
        asked.append((name, options["force_quick_gelu"]))
        return create(tiny_clip[0])

    monkeypatch.setattr(open_clip, "create_model", small)
    # From a file, too, which does not say so itself.
    load_text_tower(model, state=read_tensors(tiny_clip[1]))
    assert asked == [("ViT-B-16", quick)]


def test_no_connection_to_the_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    import open_clip

    def no_network(*args: object, **kwargs: object) -> None:
        raise OSError("Name or service not known")

    monkeypatch.setattr(open_clip, "create_model", no_network)
    with pytest.raises(CheckpointError, match=r"(?s)not known.*--weights FILE.*local-dir:FOLDER"):
        load_text_tower("vit_base_patch16_clip_224.openai")


@pytest.mark.parametrize("backend", ["open_clip", "transformers"])
def test_the_library_is_missing(backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, backend, None)
    with pytest.raises(ConfigError, match=rf"{backend}.*pip install 'mlt\[language\]'"):
        load_text_tower("ViT-B-16/openai", backend)  # type: ignore[arg-type]
