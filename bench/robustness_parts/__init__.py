"""What bench/robustness.py is made of: perturbations, the conditions they make, and the sums."""
