"""Confidences that are right on the first day: maps and thresholds fitted to labelled history, without torch."""
