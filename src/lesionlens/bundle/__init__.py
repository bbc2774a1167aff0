"""Run, check and describe a bundle; nothing here loads torch."""
