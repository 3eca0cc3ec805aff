"""Probes: each measures one thing, and returns evidence."""
