"""Measuring how well a domain is tracked: metrics, few-shot experiments, plots."""
