"""Thresholds chosen from the log: what they would ask of honest subjects, and how sure that is."""
