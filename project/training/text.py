"""The tokenizer and the text encoder, which first learns what captions mean without any picture."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch.nn import functional as F
from transformers import BertTokenizer, CLIPTextConfig, CLIPTextModel

from .captions import caption, vocabulary
from .dataset import recipe
from .looks import LOOKS
from .scenes import SCENES
from .subjects import SUBJECTS

WIDTH = 192
LENGTH = 32


def make_tokenizer() -> BertTokenizer:
    """Words for English, characters for Chinese; what it does not know becomes one "[UNK]"."""
    return BertTokenizer(vocab=vocabulary(), model_max_length=LENGTH)


def make_text_encoder(tokenizer: BertTokenizer) -> CLIPTextModel:
    """A two-layer CLIP text model."""
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=WIDTH,
            intermediate_size=WIDTH * 3,
            num_hidden_layers=2,
            num_attention_heads=4,
            max_position_embeddings=LENGTH,
            pad_token_id=tokenizer.pad_token_id,
            bos_token_id=tokenizer.cls_token_id,
            eos_token_id=tokenizer.sep_token_id,
        )
    )


def tokens(tokenizer: BertTokenizer, texts: list[str], device: torch.device) -> torch.Tensor:
    """(texts, 32) token numbers, padded and cut."""
    rows = tokenizer(texts, padding="max_length", max_length=LENGTH, truncation=True)
    return torch.tensor(rows["input_ids"], device=device)


def pretrain(
    encoder: CLIPTextModel, tokenizer: BertTokenizer, steps: int, device: torch.device, log: Callable[[str], None]
) -> None:
    """Let the encoder tell subject, scene and look of captions, so that both languages mean the same from the start."""
    sizes = (len(SUBJECTS) + 1, len(SCENES), len(LOOKS))
    heads = torch.nn.ModuleList(torch.nn.Linear(WIDTH, size) for size in sizes).to(device)
    optimizer = torch.optim.AdamW([*encoder.parameters(), *heads.parameters()], lr=2e-3, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=steps, pct_start=0.1)
    rng = np.random.default_rng(11)
    number = 10_000_000
    encoder.train()
    for step in range(steps):
        recipes = [recipe(number + row) for row in range(96)]
        number += len(recipes)
        ids = tokens(tokenizer, [caption(what, rng) for what in recipes], device)
        summary = encoder(ids).last_hidden_state[:, 1:].mean(1)
        targets = torch.tensor(
            [(what.subject if what.subject >= 0 else sizes[0] - 1, what.scene, what.look) for what in recipes],
            device=device,
        )
        loss = sum(F.cross_entropy(head(summary), targets[:, i]) for i, head in enumerate(heads))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        schedule.step()
        if step % 50 == 49:
            log(f"text step {step + 1}: loss {loss.item():.3f}")
