"""Probes of the data: each measures one thing, and returns evidence."""
