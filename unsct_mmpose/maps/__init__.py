"""The mathematics of maps, in torch: heatmaps, fields, losses, evidence, uncertainty, fusion."""
