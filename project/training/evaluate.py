"""Ask the finished model for pictures and let a classifier, which never saw a generated one, name what it drew.

``python -m project.training.evaluate --work DIR`` writes ``evaluation.json`` and contact sheets. It ends with status 1
where less was recognised than `TARGETS` asks for.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoPipelineForText2Image, StableDiffusionPipeline
from PIL import Image

from .budget import find_device
from .captions import chinese, english
from .classifier import Classifier, classify, prepare, train_classifier
from .dataset import Recipe, held_out, recipe, rendered
from .looks import LOOKS
from .scenes import SCENES
from .subjects import SUBJECTS

TARGETS = {"subject": 0.75, "scene": 0.95, "look": 0.85}
"""Shares of the prompts in which each must be recognised, at least; what a training without a GPU can reach."""
STEPS = 16
GUIDANCE = 3.0
MODEL = Path(__file__).resolve().parent.parent / "embedded_model"


def draw(pipe: StableDiffusionPipeline, texts: list[str], first_seed: int, side: int, batch: int = 10) -> np.ndarray:
    """One picture per text, each from a seed of its own: uint8 (n, side, side, 3)."""
    pictures: list[np.ndarray] = []
    for start in range(0, len(texts), batch):
        part = texts[start : start + batch]
        seeds = [torch.Generator().manual_seed(first_seed + start + row) for row in range(len(part))]
        drawn = pipe(part, num_inference_steps=STEPS, guidance_scale=GUIDANCE, height=side, width=side, generator=seeds)
        pictures += [np.asarray(image) for image in drawn.images]
    return np.stack(pictures)


def sheet(pictures: np.ndarray, path: Path, columns: int = 8) -> None:
    """The pictures side by side in one file."""
    rows = [np.concatenate(list(pictures[i : i + columns]), 1) for i in range(0, len(pictures), columns)]
    Image.fromarray(np.concatenate([row for row in rows if row.shape[1] == rows[0].shape[1]])).save(path)


def wordings(recipes: list[Recipe]) -> list[str]:
    """A plain wording for each, three English to one Chinese."""
    rng = np.random.default_rng(5)
    return [(chinese if row % 4 == 3 else english)(what, rng, 0.0) for row, what in enumerate(recipes)]


def score(model: Classifier, pictures: np.ndarray, recipes: list[Recipe]) -> dict:
    """The shares recognised, those with all three right, and what subjects were taken for."""
    wanted = torch.tensor([(what.subject, what.scene, what.look) for what in recipes])
    found = classify(model, prepare(pictures))
    right = found.eq(wanted).float()
    shares = [round(share, 3) for share in right.mean(0).tolist()]
    names = [*(subject.name for subject in SUBJECTS), "nothing"]
    missed = [
        f"{names[want]} taken for {names[got]}"
        for want, got in zip(wanted[:, 0].tolist(), found[:, 0].tolist(), strict=True)
        if want != got
    ]
    return {
        "pictures": len(recipes),
        "subject": shares[0],
        "scene": shares[1],
        "look": shares[2],
        "all_three": round(right.prod(1).mean().item(), 3),
        "subjects_missed": missed,
    }


def missed(scores: dict) -> list[str]:
    """The targets that these scores do not reach, in words."""
    return [f"{name} {scores[name]} of {least}" for name, least in TARGETS.items() if scores[name] < least]


def main(arguments: list[str] | None = None) -> int:
    """The command. Returns its exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True, help="folder of rendered pictures; reports go there too")
    parser.add_argument("--model", type=Path, default=MODEL)
    parser.add_argument("--side", type=int, default=128)
    parser.add_argument("--minutes", type=float, default=5.0, help="to train the classifier")
    parser.add_argument("--prompts", type=int, default=200, help="of compositions that training may have seen")
    parser.add_argument("--held-out", type=int, default=50, help="of those that it has not")
    options = parser.parse_args(arguments)
    kept = options.work / f"classifier-{options.side}.pt"
    if kept.exists():
        state = torch.load(kept)
        model = Classifier()
        model.load_state_dict(state["model"])
        model.eval()
        ceiling = state["ceiling"]
    else:
        pictures, recipes = rendered(options.work, options.side)
        model, ceiling = train_classifier(pictures, recipes, options.minutes, lambda text: print(text, flush=True))
        torch.save({"model": model.state_dict(), "ceiling": ceiling}, kept)

    started = time.monotonic()
    pipe = AutoPipelineForText2Image.from_pretrained(options.model, use_safetensors=True).to(find_device())
    loading = time.monotonic() - started
    pipe.set_progress_bar_config(disable=True)
    started = time.monotonic()
    draw(pipe, ["a cat on the beach"], 1, options.side)
    one = time.monotonic() - started

    fresh = [recipe(50_000_000 + number, seed=1, empty_share=0.0) for number in range(options.prompts)]
    hidden = [Recipe(*composition, seed=number) for number, composition in enumerate(held_out()[: options.held_out])]
    of_fresh = draw(pipe, wordings(fresh), 1_000_000, options.side)
    of_hidden = draw(pipe, wordings(hidden), 2_000_000, options.side)
    report = {
        "steps": STEPS,
        "guidance_scale": GUIDANCE,
        "loading_seconds": round(loading, 2),
        "one_picture_seconds": round(one, 2),
        "classifier_on_rendered_pictures": dict(
            zip(("subject", "scene", "look"), (round(share, 3) for share in ceiling), strict=True)
        ),
        "prompts": score(model, of_fresh, fresh),
        "held_out_compositions": score(model, of_hidden, hidden),
        "tables": {"subjects": len(SUBJECTS), "scenes": len(SCENES), "looks": len(LOOKS)},
    }
    (options.work / "evaluation.json").write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n")
    sheet(of_fresh[:48], options.work / "evaluation.png")
    sheet(of_hidden[:48], options.work / "evaluation-held-out.png")
    print(json.dumps(report, indent=1, ensure_ascii=False))
    if below := missed(report["prompts"]):
        print(f"Not reached: {', '.join(below)}", file=sys.stderr)
    return 1 if below else 0


if __name__ == "__main__":
    sys.exit(main())
