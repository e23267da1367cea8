"""AI image generation where editors write."""

__version__ = "0.1.0"
