"""Probes of a model: each trains copies of it with one thing changed, and returns evidence."""
