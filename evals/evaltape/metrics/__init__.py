"""Metrics: functions of a sample and an answer, built in or the user's, and the part of an answer that they score."""
