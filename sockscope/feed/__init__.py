"""Floor 4: pacing, the collecting thread and the detail lane; knows no textual."""
