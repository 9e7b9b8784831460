"""The Rasa components, and the only place that imports Rasa.

pipeline:
  - name: rasa_onramp.components.OnrampModel
  - name: rasa_onramp.components.OnrampStateTracker
policies:
  - name: rasa_onramp.components.OnrampPolicy
nlg:  # endpoints.yml
  type: rasa_onramp.components.OnrampResponseGenerator
"""

import os

# TensorFlow would take all of a GPU's memory, and ours runs on the same one.
os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")

# torch's threads spin for each other; briefly only, as in our commands: beside workers they'd wait
# long, and a core that spins is none for the rest of the bot.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")

from rasa_onramp.components.model import OnrampModel
from rasa_onramp.components.policy import OnrampPolicy
from rasa_onramp.components.response_generator import OnrampResponseGenerator
from rasa_onramp.components.state_tracker import OnrampStateTracker

__all__ = ["OnrampModel", "OnrampPolicy", "OnrampResponseGenerator", "OnrampStateTracker"]
