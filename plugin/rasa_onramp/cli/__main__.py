"""`python -m rasa_onramp.cli`, where the console script isn't on the PATH."""

from rasa_onramp.cli.main import main

__all__ = ["main"]

if __name__ == "__main__":
    main()
