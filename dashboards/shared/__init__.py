"""What several pages use: data, filters, figures, charts, style."""
