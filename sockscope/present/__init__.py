"""Floor 5: values to strings and colour roles. Every outside text passes `present.text` on its way out."""
