"""A bundle of LesionLens as package data, in the folder `bundle`. Nothing here is imported."""
