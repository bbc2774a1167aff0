"""What GET /openapi.json says."""
