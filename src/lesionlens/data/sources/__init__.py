"""Readers of the layouts that public and private image collections come in."""
