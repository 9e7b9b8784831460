"""The parts of bench/load.py: what users say, the users, and the servers' memory."""
