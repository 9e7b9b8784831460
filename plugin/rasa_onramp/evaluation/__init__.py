"""Measuring states and replies: metrics, few-shot experiments, intervals, judging, plots."""
