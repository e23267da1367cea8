"""Models at full size without a download: the real architectures, with random weights.

They draw noise at the price of pictures. The figures of the configurations are those that the published models carry.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from cms_ai_images.backends.diffusers import DiffusersBackend
from cms_ai_images.backends.diffusers.libraries import quieten_libraries, require_libraries
from cms_ai_images.backends.diffusers.placement import choose_device, choose_dtype, describe_device, place
from cms_ai_images.backends.diffusers.tuning import read_options, tune

DEVIATION = 0.02
"""Of the random weights: large enough that nothing vanishes, small enough that nothing overflows."""

Config = dict[str, Any]

VAE: Config = {
    "down_block_types": ["DownEncoderBlock2D"] * 4,
    "up_block_types": ["UpDecoderBlock2D"] * 4,
    "block_out_channels": [128, 256, 512, 512],
    "layers_per_block": 2,
    "sample_size": 1024,
}
TINY_VAE: Config = {"block_out_channels": [8, 8, 8, 8], "layers_per_block": 1, "norm_num_groups": 4}

Z_IMAGE: dict[str, Config] = {
    "transformer": {},  # the class's defaults are the published 6 B
    "text_encoder": {
        "vocab_size": 151936,
        "hidden_size": 2560,
        "intermediate_size": 9728,
        "num_hidden_layers": 36,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "head_dim": 128,
    },
    "vae": {
        **VAE,
        "latent_channels": 16,
        "scaling_factor": 0.3611,
        "shift_factor": 0.1159,
        "use_quant_conv": False,
        "use_post_quant_conv": False,
    },
}
TINY_Z_IMAGE: dict[str, Config] = {
    "transformer": {
        "dim": 32,
        "n_layers": 1,
        "n_refiner_layers": 1,
        "n_heads": 2,
        "n_kv_heads": 2,
        "cap_feat_dim": 32,
        "axes_dims": [8, 4, 4],
    },
    "text_encoder": {
        "vocab_size": 300,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "head_dim": 16,
    },
    "vae": TINY_VAE,
}
SDXL: dict[str, Config] = {
    "unet": {
        "sample_size": 128,
        "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"],
        "up_block_types": ["CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"],
        "block_out_channels": [320, 640, 1280],
        "transformer_layers_per_block": [1, 2, 10],
        "attention_head_dim": [5, 10, 20],
        "cross_attention_dim": 2048,
        "use_linear_projection": True,
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": 256,
        "projection_class_embeddings_input_dim": 2816,
    },
    "text_encoder": {
        "hidden_size": 768,
        "intermediate_size": 3072,
        "num_hidden_layers": 12,
        "num_attention_heads": 12,
        "projection_dim": 768,
    },
    "text_encoder_2": {
        "hidden_size": 1280,
        "intermediate_size": 5120,
        "num_hidden_layers": 32,
        "num_attention_heads": 20,
        "projection_dim": 1280,
        "hidden_act": "gelu",
    },
    "vae": {**VAE, "latent_channels": 4, "scaling_factor": 0.13025},
}
TINY_TEXT: Config = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "projection_dim": 32,
}
TINY_SDXL: dict[str, Config] = {
    "unet": {
        "block_out_channels": [8, 16, 16],
        "norm_num_groups": 4,
        "transformer_layers_per_block": [1, 1, 1],
        "attention_head_dim": [2, 2, 2],
        "cross_attention_dim": 64,
        "addition_time_embed_dim": 8,
        "projection_class_embeddings_input_dim": 32 + 6 * 8,
    },
    "text_encoder": TINY_TEXT,
    "text_encoder_2": TINY_TEXT,
    "vae": TINY_VAE,
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Model:
    """What is measured, and how it is usually used."""

    assemble: Callable[[dict[str, Config]], Any]
    full: dict[str, Config]
    tiny: dict[str, Config]
    steps: int
    guidance_scale: float

    def pipeline(self, *, tiny: bool) -> Any:
        """The pipeline with the default initialisation, on the default device."""
        return self.assemble(
            {name: {**config, **(self.tiny[name] if tiny else {})} for name, config in self.full.items()}
        )


def assemble_z_image(configs: dict[str, Config]) -> Any:
    """`Tongyi-MAI/Z-Image-Turbo`."""
    from diffusers import AutoencoderKL, FlowMatchEulerDiscreteScheduler, ZImagePipeline, ZImageTransformer2DModel
    from transformers import Qwen3Config, Qwen3Model

    from tests.tiny_pipelines import qwen_tokenizer

    return ZImagePipeline(
        transformer=ZImageTransformer2DModel(**configs["transformer"]),
        text_encoder=Qwen3Model(Qwen3Config(**configs["text_encoder"])),
        tokenizer=qwen_tokenizer(),
        vae=AutoencoderKL(**configs["vae"]),
        scheduler=on_the_cpu(FlowMatchEulerDiscreteScheduler, shift=3.0),
    )


def assemble_sdxl(configs: dict[str, Config]) -> Any:
    """`stabilityai/stable-diffusion-xl-base-1.0`."""
    from diffusers import AutoencoderKL, EulerDiscreteScheduler, StableDiffusionXLPipeline, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    from tests.tiny_pipelines import clip_tokenizer

    tokenizer = clip_tokenizer()
    marks = {"bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id}
    return StableDiffusionXLPipeline(
        unet=UNet2DConditionModel(**configs["unet"]),
        text_encoder=CLIPTextModel(CLIPTextConfig(**configs["text_encoder"], **marks)),
        text_encoder_2=CLIPTextModelWithProjection(CLIPTextConfig(**configs["text_encoder_2"], **marks)),
        tokenizer=tokenizer,
        tokenizer_2=clip_tokenizer(),
        vae=AutoencoderKL(**configs["vae"]),
        scheduler=on_the_cpu(
            EulerDiscreteScheduler,
            beta_start=0.00085,
            beta_end=0.012,
            beta_schedule="scaled_linear",
            steps_offset=1,
        ),
    )


def on_the_cpu(scheduler: Any, **config: Any) -> Any:
    """A scheduler as it comes from a file, whatever the default device is."""
    import torch

    with torch.device("cpu"):
        return scheduler(**config)


MODELS = {
    "z_image": Model(assemble=assemble_z_image, full=Z_IMAGE, tiny=TINY_Z_IMAGE, steps=8, guidance_scale=0.0),
    "sdxl": Model(assemble=assemble_sdxl, full=SDXL, tiny=TINY_SDXL, steps=30, guidance_scale=5.0),
}


def networks(pipeline: Any) -> dict[str, Any]:
    """The parts of a pipeline that have weights."""
    return {name: part for name, part in pipeline.components.items() if hasattr(part, "parameters")}


def random_pipeline(name: str, device: str, dtype: Any, *, tiny: bool) -> Any:
    """A model on a device, its matrices and kernels drawn from N(0, `DEVIATION`); norms and biases as they begin."""
    import torch

    torch.manual_seed(0)
    with torch.device(device):
        pipeline = MODELS[name].pipeline(tiny=tiny)
    with torch.no_grad():
        for network in networks(pipeline).values():
            network.to(dtype).eval()
            for weight in network.parameters():
                if weight.ndim > 1:
                    weight.normal_(0.0, DEVIATION)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


class RandomWeights(DiffusersBackend):
    """The diffusers backend, except that its model comes from nowhere: `source` is `z_image` or `tiny:sdxl`."""

    def load(self) -> None:
        if self.pipeline is not None:
            return
        require_libraries()
        quieten_libraries()
        size, _, name = self.spec.source.rpartition(":")
        tuning = read_options(self.spec)
        device = choose_device()
        pipeline = random_pipeline(name, device, choose_dtype(self.spec, device, ""), tiny=size == "tiny")
        place(pipeline, self.spec, device)
        tune(pipeline, self.spec, tuning)
        self.adopt(pipeline)
        self._device = describe_device(device)
        self._warm_up(tuning)
