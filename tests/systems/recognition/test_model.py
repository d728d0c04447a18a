import numpy as np
import onnxruntime as ort
import pytest
import torch

from contracts.module import check_module
from mien.losses.margin_head import DEFAULT_MARGINS, build_margin_loss
from mien.systems.recognition.config import EmbedderConfig
from mien.systems.recognition.model import build_embedder, export_embedder

TINY = EmbedderConfig.tiny()


def crops(px: int, b: int = 4, seed: int = 1) -> torch.Tensor:
    return torch.rand(b, 3, px, px, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("config", [TINY, EmbedderConfig.small()], ids=["tiny", "small"])
def test_embedders_keep_the_contract(config, tmp_path):
    check_module(lambda: build_embedder(config), crops(config.input_px), tmp_path)


@pytest.mark.parametrize(
    ("preset", "parameters"), [("tiny", 10_528), ("small", 280_256), ("paper", 1_003_136)]
)
def test_presets_have_their_sizes(preset, parameters):
    config = getattr(EmbedderConfig, preset)()
    embedder = build_embedder(config)
    assert sum(p.numel() for p in embedder.parameters()) == parameters
    assert (embedder.input_px, embedder.dim) == (config.input_px, config.embedding_dim)


def test_settings_reach_the_network():
    embedder = build_embedder(EmbedderConfig(input_px=48, embedding_dim=20, width=0.25)).eval()
    assert embedder(crops(48)).shape == (4, 20)
    assert embedder.network.stem[0][0].out_channels == 16


def test_crops_of_0_to_1_reach_the_network_as_minus_1_to_1():
    embedder = build_embedder(TINY).eval()
    x = crops(32)
    assert torch.equal(embedder(x), embedder.network(x * 2 - 1))


def test_templates_have_length_1_and_the_embeddings_direction():
    embedder = build_embedder(TINY).eval()
    x = crops(32)
    templates, embeddings = embedder.templates(x), embedder(x)
    torch.testing.assert_close(templates.norm(dim=1), torch.ones(4))
    torch.testing.assert_close(templates * embeddings.norm(dim=1, keepdim=True), embeddings)


def test_the_onnx_file_gives_the_same_templates_for_any_batch(tmp_path):
    torch.manual_seed(2)
    embedder = build_embedder(TINY)
    embedder(crops(32))
    assert export_embedder(embedder, tmp_path / "tiny.onnx") < 1e-6
    assert embedder.training
    embedder.eval()
    session = ort.InferenceSession(tmp_path / "tiny.onnx", providers=["CPUExecutionProvider"])
    for b in (1, 2, 5):
        x = crops(32, b=b, seed=b)
        (seen,) = session.run(["templates"], {"crops": x.numpy()})
        assert seen.dtype == np.float32
        np.testing.assert_allclose(np.linalg.norm(seen, axis=1), 1, atol=1e-6)
        np.testing.assert_allclose(seen, embedder.templates(x).detach().numpy(), atol=1e-6)


@pytest.mark.parametrize("name", DEFAULT_MARGINS)
def test_an_embedder_learns_to_tell_noises_apart(name):
    torch.manual_seed(4)
    embedder = build_embedder(TINY)
    head = build_margin_loss(name, embedder.dim, 4, scale=16.0)
    people = crops(32, b=4)
    labels = torch.arange(4).repeat(4)
    steps = torch.optim.Adam([*embedder.parameters(), *head.parameters()], lr=3e-3)
    for seed in range(40):
        steps.zero_grad()
        x = people[labels] + 0.3 * (crops(32, b=16, seed=seed) - 0.5)
        head(embedder(x), labels).backward()
        steps.step()
    with torch.no_grad():
        new = people[labels] + 0.3 * (crops(32, b=16, seed=999) - 0.5)
        templates = embedder.eval().templates(new)
    cos = templates @ templates.T
    same = labels[:, None] == labels
    assert cos[same].min() > cos[~same].max()
