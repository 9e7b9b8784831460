"""The methods that bench/peers.py measures, each run in processes of its own.

__main__.py     which method is run by what
work.py         what a method is given and what it hands back, as files
rasa_labels.py  what turns are called in Rasa's data, and the entities of a message
rasa_data.py    Rasa's training data from support dialogues (imports no Rasa)
rasa_walk.py    a trained Rasa bot, led through the held-out dialogues
rasa_bot.py     DIET + TED + ResponseSelector, and the CRF: train, then walk
onramp_bot.py   ours, imported or adapted, and plain fine-tuning of our checkpoint
parts.py        the linear probe and in-context prompting, which are parts of a bot only
scores.py       figures from what a method handed back: the same code for all
report.py       the table of all methods
"""
