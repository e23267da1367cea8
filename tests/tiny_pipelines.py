"""Pipelines of the real classes with toy sizes and random weights, built from their configurations without a network.

They draw noise, but they load, step, offload and fail like the big ones. Each builder saves its pipeline to a folder as
safetensors and returns the folder. The weights are the same on every run.
"""

from __future__ import annotations

from pathlib import Path

import torch
from diffusers import (
    AutoencoderKL,
    EulerDiscreteScheduler,
    FlowMatchEulerDiscreteScheduler,
    StableDiffusionPipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
    ZImagePipeline,
    ZImageTransformer2DModel,
)
from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker
from tokenizers.pre_tokenizers import ByteLevel
from transformers import (
    CLIPConfig,
    CLIPImageProcessor,
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    CLIPTokenizer,
    Qwen2Tokenizer,
    Qwen3Config,
    Qwen3Model,
)

torch.set_num_threads(1)  # threads that wait for each other take longer than networks of this size
TEXT_WIDTH = 32
"""Width of every toy text encoder's hidden states."""
CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def build_stable_diffusion(folder: Path, *, safety_threshold: float | None = None) -> Path:
    """The class of Stable Diffusion 1.x and 2.x. Sizes are multiples of 8 pixels, as the class insists.

    A `safety_threshold` adds a safety checker: a cosine, so that -1 withholds every picture and 1 none.
    """
    torch.manual_seed(0)
    tokenizer = clip_tokenizer()
    has_checker = safety_threshold is not None
    pipeline = StableDiffusionPipeline(
        vae=autoencoder(latent_channels=4, blocks=2),
        text_encoder=CLIPTextModel(clip_text_config(tokenizer)),
        tokenizer=tokenizer,
        unet=UNet2DConditionModel(**unet_config(), cross_attention_dim=TEXT_WIDTH),
        scheduler=EulerDiscreteScheduler(
            beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", steps_offset=1
        ),
        safety_checker=safety_checker(safety_threshold) if safety_threshold is not None else None,
        feature_extractor=CLIPImageProcessor(size=32, crop_size=32) if has_checker else None,
        requires_safety_checker=has_checker,
    )
    return saved(pipeline, folder)


def build_sdxl(folder: Path) -> Path:
    """The class of Stable Diffusion XL: two text encoders, and a UNet that is told the picture's size."""
    torch.manual_seed(0)
    tokenizer = clip_tokenizer()
    unet = UNet2DConditionModel(
        **unet_config(),
        cross_attention_dim=2 * TEXT_WIDTH,
        addition_embed_type="text_time",
        addition_time_embed_dim=8,
        projection_class_embeddings_input_dim=TEXT_WIDTH + 6 * 8,
    )
    pipeline = StableDiffusionXLPipeline(
        vae=autoencoder(latent_channels=4, blocks=2),
        text_encoder=CLIPTextModel(clip_text_config(tokenizer)),
        text_encoder_2=CLIPTextModelWithProjection(clip_text_config(tokenizer)),
        tokenizer=tokenizer,
        tokenizer_2=clip_tokenizer(),
        unet=unet,
        scheduler=EulerDiscreteScheduler(
            beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", steps_offset=1
        ),
    )
    return saved(pipeline, folder)


def build_z_image(folder: Path) -> Path:
    """The class of Z-Image and Z-Image-Turbo. Sizes are multiples of 16 pixels, as with the real one."""
    torch.manual_seed(0)
    tokenizer = qwen_tokenizer()
    text_encoder = Qwen3Model(
        Qwen3Config(
            vocab_size=len(tokenizer),
            hidden_size=TEXT_WIDTH,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=2,
            num_key_value_heads=2,
            head_dim=16,
            max_position_embeddings=512,
        )
    )
    transformer = ZImageTransformer2DModel(
        in_channels=16,
        dim=32,
        n_layers=1,
        n_refiner_layers=1,
        n_heads=2,
        n_kv_heads=2,
        cap_feat_dim=TEXT_WIDTH,
        axes_dims=[8, 4, 4],
        axes_lens=[1024, 64, 64],
    )
    pipeline = ZImagePipeline(
        vae=autoencoder(latent_channels=16, blocks=4, shift_factor=0.1),
        text_encoder=text_encoder,
        tokenizer=tokenizer,
        transformer=transformer,
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0),
    )
    return saved(pipeline, folder)


def autoencoder(*, latent_channels: int, blocks: int, **config: float) -> AutoencoderKL:
    """A VAE that makes 2 ** (blocks - 1) pixels of a latent."""
    return AutoencoderKL(
        down_block_types=["DownEncoderBlock2D"] * blocks,
        up_block_types=["UpDecoderBlock2D"] * blocks,
        block_out_channels=[8] * blocks,
        norm_num_groups=4,
        layers_per_block=1,
        latent_channels=latent_channels,
        **config,
    )


def unet_config() -> dict[str, object]:
    """What the toy UNets have in common."""
    return {
        "sample_size": 32,
        "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D"],
        "up_block_types": ["CrossAttnUpBlock2D", "UpBlock2D"],
        "block_out_channels": [8, 16],
        "norm_num_groups": 4,
        "layers_per_block": 1,
        "attention_head_dim": 8,
    }


def clip_text_config(tokenizer: CLIPTokenizer) -> CLIPTextConfig:
    """A toy CLIP text encoder for a tokenizer."""
    return CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=TEXT_WIDTH,
        projection_dim=TEXT_WIDTH,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )


def safety_checker(threshold: float) -> StableDiffusionSafetyChecker:
    """Withholds a picture when its embedding is closer than `threshold` to a concept's."""
    config = CLIPConfig(
        vision_config={
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "image_size": 32,
            "patch_size": 8,
        },
        projection_dim=16,
    )
    checker = StableDiffusionSafetyChecker(config)
    checker.concept_embeds_weights.data.fill_(threshold)
    checker.special_care_embeds_weights.data.fill_(1.0)
    return checker


def clip_tokenizer() -> CLIPTokenizer:
    """Knows every byte, inside a word and at its end, and no longer token: any prompt can be written with it."""
    alphabet = sorted(ByteLevel.alphabet())
    tokens = [*alphabet, *(f"{letter}</w>" for letter in alphabet), "<|startoftext|>", "<|endoftext|>"]
    return CLIPTokenizer(vocab=numbered(tokens), merges=[], model_max_length=77)


def qwen_tokenizer() -> Qwen2Tokenizer:
    """Knows every byte and the chat's marks."""
    tokens = [*sorted(ByteLevel.alphabet()), "<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    return Qwen2Tokenizer(
        vocab=numbered(tokens),
        merges=[],
        model_max_length=512,
        chat_template=CHAT_TEMPLATE,
        additional_special_tokens=["<|im_start|>", "<|im_end|>"],
    )


def numbered(tokens: list[str]) -> dict[str, int]:
    """A vocabulary: each token with its place."""
    return {token: number for number, token in enumerate(tokens)}


def saved(pipeline: object, folder: Path) -> Path:
    """Write a pipeline as safetensors and return where."""
    pipeline.save_pretrained(folder, safe_serialization=True)  # type: ignore[attr-defined]
    return folder


def teach_colors(vae: AutoencoderKL, steps: int = 120) -> None:
    """Train a toy VAE's decoder until its latents mean colours, as a real one's do: random ones make patterns only."""
    torch.manual_seed(0)
    channels = vae.config.latent_channels
    colors = torch.randn(channels, 3) / channels**0.5
    optimizer = torch.optim.Adam([*vae.decoder.parameters(), *vae.post_quant_conv.parameters()], lr=1e-2)
    for _ in range(steps):
        shapes = torch.nn.functional.interpolate(torch.randn(4, channels, 4, 4), size=8, mode="bilinear")
        latents = shapes + 0.5 * torch.randn(4, channels, 8, 8)
        pictures = vae.decode(latents / vae.config.scaling_factor + (vae.config.shift_factor or 0)).sample
        wanted = torch.tanh(torch.einsum("bchw,cr->brhw", latents, colors))
        loss = (pictures - torch.nn.functional.interpolate(wanted, size=pictures.shape[-2:])).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
