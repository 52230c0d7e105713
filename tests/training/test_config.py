"""A configuration is whole and right, or refused in one line that names file, key and remedy."""

import subprocess
import sys
from pathlib import Path

import pytest

import melody
from melody.config import check_config, load_config
from melody.errors import ConfigError

MINIMAL = "name: chorale\ncorpus: chorale\n"


def written(folder: Path, text: str) -> Path:
    path = folder / "run.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def message(folder: Path, text: str, *overrides: str) -> str:
    with pytest.raises(ConfigError) as error:
        load_config(written(folder, text), overrides)
    return str(error.value)


def test_defaults_stand_where_nothing_is_said(tmp_path: Path) -> None:
    config = load_config(written(tmp_path, MINIMAL))
    assert config.model.name == "residual_lstm"
    assert config.model.attention is None
    assert (config.data.batch_size, config.data.window) == (32, 128)


def test_values_and_overrides_are_read(tmp_path: Path) -> None:
    path = written(tmp_path, MINIMAL + "model:\n  layers: 2\noptimizer:\n  learning_rate: 1e-3\n")
    config = load_config(path, ["model.layers=4", "model.attention={heads: 4, memory: 64}", "max_minutes=2.5"])
    assert config.optimizer.learning_rate == 0.001
    assert config.model.layers == 4
    assert config.model.options()["attention"] == {"heads": 4, "memory": 64}
    assert config.max_minutes == 2.5


def test_a_model_has_the_options_of_its_kind_alone(tmp_path: Path) -> None:
    config = load_config(written(tmp_path, MINIMAL), ["model.name=transformer", "model.memory=64"])
    assert (config.model.name, config.model.options()["memory"]) == ("transformer", 64)
    assert check_config(config.model_dump(mode="json")) == config
    said = message(tmp_path, MINIMAL + "model: {name: transformer, weight_dropout: 0.1}")
    assert "model.weight_dropout: unknown key; did you mean dropout?" in said


def test_configurations_of_earlier_versions_are_read(tmp_path: Path) -> None:
    assert load_config(written(tmp_path, MINIMAL + "distillation: null")).objective.name == "cross_entropy"
    config = load_config(written(tmp_path, MINIMAL + "distillation: {teachers: [a], weight: 0.3}"))
    told = {"name": "distilled", "teachers": ("a",), "weight": 0.3, "temperature": 1.0, "drawn": 0}
    assert config.objective.model_dump() == told
    for path in sorted((Path(melody.__file__).parent / "bundles").glob("*/config.yaml")):
        assert load_config(path).model.name == "residual_lstm"


def test_every_objective_has_its_section_and_can_be_made() -> None:
    from melody.learning.objectives import MAKERS
    from melody.training.objectives import OBJECTIVES

    options: dict[str, dict[str, object]] = {
        "distilled": {"teachers": ["a"]},
        "policy": {"rewards": {"ending": 1.0}},
    }
    for name in OBJECTIVES:
        values = {"name": "x", "corpus": "x", "objective": {"name": name, **options.get(name, {})}}
        assert check_config(values).objective.name == name
    assert MAKERS.keys() == OBJECTIVES.keys()


def test_a_configuration_survives_its_own_json(tmp_path: Path) -> None:
    config = load_config(written(tmp_path, MINIMAL), ["model.attention.heads=2", "evaluation.patience=null"])
    assert check_config(config.model_dump(mode="json")) == config


@pytest.mark.parametrize(
    ("text", "override", "expected"),
    [
        ("model: {hiden_size: 5}", "", "model.hiden_size: unknown key; did you mean hidden_size?"),
        ("model: {attention: {head: 5}}", "", "model.attention.head: unknown key; did you mean heads?"),
        ("modell: {}", "", "modell: unknown key; did you mean model?"),
        ("data: {zzz: 1}", "", "data.zzz: unknown key; there are: batch_size, window"),
        ("", "model.hiden_size=5", "model.hiden_size: unknown key; did you mean hidden_size?"),
        ("objective: {name: distiled}", "", "objective.name: 'distiled' is unknown; did you mean distilled?"),
        ("objective: {name: distilled}", "", "objective.teachers: is missing"),
        ("model: {layers: 0}", "", "model.layers: input should be greater than or equal to 1, got 0"),
        ("model: {dropout: 1.0}", "", "model.dropout: input should be less than 1, got 1.0"),
        ("model: {layers: two}", "", "model.layers: input should be a valid integer"),
        ("model: 3", "", "model: input should be a valid dictionary"),
        ("model: {name: transfomer}", "", "model.name: 'transfomer' is unknown; did you mean transformer?"),
        (
            "model: {hidden_size: 10, attention: {heads: 4}}",
            "",
            "model: attention.heads must divide hidden_size 10, got 4",
        ),
        ("precision: fp16", "", "precision: input should be 'auto', 'bf16-mixed' or '32-true', got 'fp16'"),
        ("devices: 3", "", "data.batch_size must be a multiple of devices 3"),
        ("max_minutes: .inf", "", "max_minutes: input should be a finite number"),
        ("model: {layers: '${nothing}'}", "", "nothing"),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, text: str, override: str, expected: str) -> None:
    said = message(tmp_path, MINIMAL + text, *filter(None, [override]))
    assert said.startswith(f"{tmp_path / 'run.yaml'}: ")
    assert expected in said
    assert "\n" not in said


def test_several_mistakes_are_several_lines(tmp_path: Path) -> None:
    lines = message(tmp_path, "corpus: x\nmodel: {layrs: 2}\n").split("\n")
    assert [line.split(": ", 1)[1] for line in lines] == [
        "name: is missing",
        "model.layrs: unknown key; did you mean layers?",
    ]


def test_a_file_that_is_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.yaml: cannot read: No such file"):
        load_config(tmp_path / "none.yaml")
    assert "is not YAML" in message(tmp_path, "name: [")
    assert "must hold keys and values" in message(tmp_path, "- a\n- b\n")
    assert "'layers' is no change of the configuration; write key=value" in message(tmp_path, MINIMAL, "layers")


def test_bytes_that_are_no_text_are_named(tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_bytes(b"\xff\xfe\x00\xd8")
    with pytest.raises(ConfigError, match="is not YAML"):
        load_config(path)


def test_reading_a_configuration_does_not_import_torch() -> None:
    code = "import sys, melody.config; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
