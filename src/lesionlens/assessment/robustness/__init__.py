"""How far predictions hold: repeated photographs, views, corruptions, human readers, and hard images."""
