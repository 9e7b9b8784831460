"""`rasa-onramp doctor`: whether everything that a bot with us needs is there and fits.

    for finding in examine(RasaProject(Path("mybot"))):
        print(finding.level, finding.check, finding.says)

Each kind of thing has a module; a check yields findings and may raise any error of errors.py, which
then is one. Checks import what they need themselves, so that one thing that is broken doesn't keep
the others from being looked at.
"""

from rasa_onramp.doctor.examination import examine
from rasa_onramp.doctor.findings import OK, PROBLEM, WARNING, Finding

__all__ = ["OK", "PROBLEM", "WARNING", "Finding", "examine"]
