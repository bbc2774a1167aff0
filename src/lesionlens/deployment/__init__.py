"""The bundle: written with torch, run without it."""
