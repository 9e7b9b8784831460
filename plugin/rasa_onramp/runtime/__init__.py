"""What a turn needs, with Rasa or without: routing, live domains, the conversation."""
